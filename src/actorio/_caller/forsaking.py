"""A cancelled ``await`` cancels the call, when nobody else holds the reference.

Nothing of this costs a call that is not cancelled: who holds a reference is counted when its ``await`` has been
cancelled. If somebody does, the question is asked again when that reference is gone.
"""

from __future__ import annotations

import asyncio
import os.path
import sys
import weakref
from typing import TYPE_CHECKING, Any

from actorio._caller.pending import HERE, PENDING

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType

    from actorio._caller.pending import PendingResult
    from actorio._model.reference import ObjectRef

# Functions of the standard library that await for somebody else hold what they await while they unwind.
_WRAPPERS = os.path.dirname(asyncio.__file__)  # noqa: PTH120  # compared with the text in code objects
_watches: set[weakref.ref[Any]] = set()


def forsake(result: PendingResult, ref: ObjectRef[Any] | None) -> None:
    """An ``await`` on a reference was cancelled before the result was there; called in the generator it ran in."""
    if ref is None or not result.is_owned or result.is_shared:
        return
    holders = _holders_of(ref) - _holds(sys._getframe(2), ref)  # noqa: SLF001  # there is no other way up
    if holders <= _Baseline.count() and not result.is_awaited():
        HERE.cancel(result)
    else:
        _watch(result, ref)


def _watch(result: PendingResult, ref: ObjectRef[Any]) -> None:
    def gone(watch: weakref.ref[Any]) -> None:
        _watches.discard(watch)
        # An object dies in the midst of anything.
        HERE.holdings.call_later(lambda: _look_again(result))

    _watches.add(weakref.ref(ref, gone))


def _look_again(result: PendingResult) -> None:
    if result.state == PENDING and not result.is_shared and not result.is_awaited():
        HERE.cancel(result)


def _holders_of(ref: Any) -> int:
    return sys.getrefcount(ref)


def _holds(frame: FrameType | None, ref: object) -> int:
    """Returns how many variables of the awaiting function are the reference, if that function is asyncio's own."""
    if frame is None or not frame.f_code.co_filename.startswith(_WRAPPERS):
        return 0
    return sum(value is ref for value in frame.f_locals.values())


class _Baseline:
    """How many holders `_holders_of` finds of what nobody else holds; that depends on the interpreter."""

    _count = 0

    @classmethod
    def count(cls) -> int:
        if not cls._count:
            waiting = _await_probe().__await__()
            next(waiting)
            try:
                waiting.throw(asyncio.CancelledError)
            except asyncio.CancelledError:
                cls._count = _Probe.found
        return cls._count


class _Probe:
    """Awaited as a reference is, to see what nobody else holds."""

    found = 0

    def __await__(self) -> Generator[None, None, None]:
        return self._wait(self)

    @staticmethod
    def _wait(ref: Any) -> Generator[None, None, None]:
        try:
            yield
        except asyncio.CancelledError:
            _Probe._look(ref)
            raise

    @staticmethod
    def _look(ref: Any) -> None:
        _Probe.found = _holders_of(ref)


async def _await_probe() -> None:
    await _Probe()
