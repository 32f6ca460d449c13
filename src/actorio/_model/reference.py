"""`ObjectRef`: a reference to a result that is there, or will be.

Awaitable from any event loop and waited for from any thread, any number of times, whichever context made it.
"""

from __future__ import annotations

import asyncio
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from actorio._model import runtime
from actorio._model.generic import Generic, T_co

if TYPE_CHECKING:
    import concurrent.futures
    import contextvars
    from collections.abc import Callable, Generator, Iterable

    from actorio._model.runtime import Pending

_PENDING = attrgetter("_pending")


class ObjectRef(Generic[T_co]):
    """A reference to the result of a call, or to a value that was `put`.

    ``await ref`` gives the value or raises the call's error, on any event loop (asyncio, uvloop, trio) in any thread.
    `actorio.get` does so for blocking code. Each read unpickles anew, so that two readers never share a mutable
    value. For what cancelling an ``await`` does see `__await__`.

    References hash and compare by identity of the result, also after a trip through other processes. They can be
    passed to actors inside containers, and as arguments of their own: then the actor gets the value.

    It also behaves as far as a future as `asyncio.wait` needs it to: `done`, `add_done_callback`, `exception`.
    """

    __slots__ = ("__weakref__", "_pending")

    def __init__(self, pending: Pending) -> None:
        """Not for users: references come from ``.remote()`` and `put`."""
        self._pending = pending

    def __await__(self) -> Generator[Any, None, T_co]:
        """Waits on the running loop.

        Cancelled, it cancels the call in the actor, when nobody else has the reference: ``await h.m.remote()`` leaves
        nothing running. Somebody who has it, in a variable for example, can ask again; the call is cancelled when that
        is gone, too. A reference that was passed on, or is never awaited, is left alone.
        """
        return self._pending.wait_async(self)

    def future(self) -> concurrent.futures.Future[T_co]:
        """Returns a new `concurrent.futures.Future` of the result; cancelling it does not cancel the call.

        It completes without anybody waiting. Its callbacks run one after the other in a thread for that purpose; they
        may block, for other results too.
        `asyncio.wrap_future(ref.future())` and `concurrent.futures.as_completed` work with it.
        """
        return self._pending.future()

    def as_future(self) -> asyncio.Future[T_co]:
        """Returns an asyncio future of the result for the running loop, as Ray's deprecated method does."""
        return asyncio.wrap_future(self.future())

    def done(self) -> bool:
        """Has the result arrived? Never blocks."""
        return self._pending.is_done()

    def cancelled(self) -> bool:
        """Returns False: a reference ends with a value or an error."""
        return False

    def result(self) -> T_co:
        """Returns the value or raises the error of a reference that is done.

        Raises:
            asyncio.InvalidStateError: it is not done; ``await`` it or use `actorio.get`.
        """
        self._check_done()
        value: T_co = self._pending.value()
        return value

    def exception(self) -> BaseException | None:
        """Returns the error of a reference that is done, None when it has a value.

        Raises:
            asyncio.InvalidStateError: it is not done.
        """
        self._check_done()
        try:
            self._pending.value()
        except BaseException as error:  # an error of any class is what is asked for
            return error
        return None

    def _check_done(self) -> None:
        if not self._pending.is_done():
            raise asyncio.InvalidStateError(f"{self!r} is not done: `await` it, or use actorio.get()")

    def add_done_callback(
        self, callback: Callable[[ObjectRef[T_co]], object], *, context: contextvars.Context | None = None
    ) -> None:
        """Calls ``callback(ref)`` on the running event loop, soon after the result is there.

        Raises:
            RuntimeError: no event loop is running in this thread; use ``ref.future().add_done_callback`` there.
        """
        loop = asyncio.get_running_loop()
        self._pending.add_loop_callback(lambda: loop.call_soon(callback, self, context=context), callback)

    def remove_done_callback(self, callback: Callable[[ObjectRef[T_co]], object]) -> int:
        """Forgets a callback; returns how often it had been added."""
        return self._pending.discard_loop_callbacks(callback)

    def binary(self) -> bytes:
        """Returns the 28 bytes that identify the result."""
        return self._pending.identity

    def hex(self) -> str:
        """Returns `binary` as 56 hexadecimal digits."""
        return self._pending.identity.hex()

    def is_nil(self) -> bool:
        """Returns False: every reference refers to a result."""
        return False

    def __repr__(self) -> str:
        return f"ObjectRef({self.hex()})"

    def __hash__(self) -> int:
        return hash(self._pending.origin)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectRef) and self._pending.identity == other._pending.identity

    def __reduce__(self) -> tuple[Callable[..., ObjectRef[Any]], tuple[Any, ...]]:
        return _borrowed, self._pending.export()


def pending_of(ref: ObjectRef[Any]) -> Pending:
    """Returns the pending result behind a reference, for the rooms that wait for it."""
    return ref._pending  # noqa: SLF001  # the one door to it


def all_pending_of(refs: Iterable[ObjectRef[Any]]) -> list[Pending]:
    """Returns the pending results behind references."""
    return list(map(_PENDING, refs))


def _borrowed(*exported: Any) -> ObjectRef[Any]:
    return ObjectRef(runtime.of_handles().borrow(*exported))
