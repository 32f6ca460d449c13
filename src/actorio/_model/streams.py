"""Streams: the values of a generator that runs in another process, as they come.

`ObjectRefGenerator` gives references, as Ray's does; `Stream` gives the values. Several tasks or threads may take items
from one: each gets the next that nobody has. Either can be sent to another process, which goes on with it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

from actorio._model import runtime
from actorio._model.generic import Generic, T_co
from actorio._model.reference import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Generator

    from actorio._model.runtime import Flow, Pending

FLOW_BYTES = 64 << 20
"""How many bytes of items may be on their way, in all, though the window would let more."""


class _Items:
    """What both kinds have in common: the item that is waited for, and the end."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._next: Pending | None = None
        self._is_over = False
        # A signal's handler may take an item in the midst of this.
        self._guard = threading.RLock()
        # What another process needs to go on with it: it is that one's now.
        self._exported: tuple[Any, ...] | None = None

    def _upcoming(self) -> Pending:
        """Returns the next item; the same one until it has been taken."""
        if self._exported is not None:
            raise RuntimeError(f"{self!r} has been passed on to another process, which takes its items now")
        with self._guard:
            if self._next is None:
                self._next = self._flow.next()
            return self._next

    def _take(self, pending: Pending) -> bool:
        """Takes an item; returns False when another task or thread was quicker."""
        with self._guard:
            is_mine = self._next is pending
            if is_mine:
                self._next = None
        return is_mine

    def _next_item(self) -> Pending:
        """Blocks until the next item is there, and takes it.

        Raises:
            StopIteration: there is none.
        """
        while not self._is_over:
            pending = self._upcoming()
            if not pending.is_done():
                runtime.of_handles().block(pending, f"{type(self).__name__}.__next__")
            if self._is_last(pending):
                break
            if self._take(pending):
                return pending
        raise StopIteration

    async def _awaited_item(self) -> Pending:
        """Waits until the next item is there, and takes it.

        Raises:
            StopAsyncIteration: there is none.
        """
        while not self._is_over:
            pending = self._upcoming()
            if not pending.is_done():
                await Waiting(pending.wait_done())
            if self._is_last(pending):
                break
            if self._take(pending):
                return pending
        raise StopAsyncIteration

    def _is_last(self, pending: Pending) -> bool:
        is_last = self._flow.is_end(pending)
        self._is_over = self._is_over or is_last
        return is_last

    def behind(self) -> Pending:
        """Returns what ends with the stream; for `actorio.cancel`."""
        return self._flow.end

    def close(self) -> None:
        """Takes no more items: the generator is closed where it runs, and its ``finally`` runs. Does not wait."""
        if not self._is_over and self._exported is None:
            self._is_over = True
            self._flow.leave()

    async def aclose(self) -> None:
        """Does the same, for `contextlib.aclosing`."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.close()

    def __del__(self) -> None:
        # It may die in the midst of its making.
        if not getattr(self, "_is_over", True):
            self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._flow.call})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Passes the stream on: whoever gets it takes the items from now on."""
        if self._is_over:
            raise TypeError(f"{self!r} has ended: there is nothing to pass on")
        if self._exported is None:
            if self._next is not None:
                self._flow.give_back(self._next)
                self._next = None
            self._exported = self._flow.export()
        return _passed_on, (type(self), *self._exported)


class ObjectRefGenerator(_Items, Generic[T_co]):
    """The references of a stream's items, in their order: for ``for``, ``async for``, `next`, `anext` and `wait`.

    An error of the generator is the last reference, which raises it; then the stream ends. What nobody takes is freed
    with this object, and the generator is closed where it runs.
    """

    def __iter__(self) -> ObjectRefGenerator[T_co]:
        return self

    def __next__(self) -> ObjectRef[T_co]:
        """Blocks until the next item is there."""
        return ObjectRef(self._next_item())

    def __aiter__(self) -> ObjectRefGenerator[T_co]:
        return self

    async def __anext__(self) -> ObjectRef[T_co]:
        """Waits for the next item. Safe to cancel: the item is there the next time."""
        return ObjectRef(await self._awaited_item())

    def upcoming(self) -> ObjectRef[Any]:
        """Returns a reference to what the next item, or the end, will be; to be waited for, and not to be read."""
        return ObjectRef(self._upcoming())

    def completed(self) -> ObjectRef[None]:
        """Returns a reference that is done when the generator has ended: with None, or with its error."""
        return ObjectRef(self._flow.end)

    def next_ready(self) -> bool:
        """Is the next item, or the end, there?"""
        return self._is_over or self._upcoming().is_done()

    def is_finished(self) -> bool:
        """Has everything been taken?"""
        return self._is_over or (self.next_ready() and self._flow.is_end(self._upcoming()))


class Stream(_Items, Generic[T_co]):
    """The values of a stream, in their order: for ``async for`` and for ``for``. What the generator raises is raised.

    Leaving an ``async for`` drops it, which closes the generator where it runs; `close` does so at once, as does the
    end of ``async with`` and ``with``.
    """

    def __iter__(self) -> Stream[T_co]:
        return self

    def __next__(self) -> T_co:
        """Blocks until the next value is there."""
        value: T_co = self._next_item().value()
        return value

    def __aiter__(self) -> Stream[T_co]:
        return self

    async def __anext__(self) -> T_co:
        """Waits for the next value. Safe to cancel: the value is there the next time."""
        value: T_co = (await self._awaited_item()).value()
        return value


class Waiting:
    """Awaits what is written as a generator."""

    __slots__ = ("_steps",)

    def __init__(self, steps: Generator[Any, None, None]) -> None:
        self._steps = steps

    def __await__(self) -> Generator[Any, None, None]:
        return self._steps


def _passed_on(kind: type[_Items], *exported: Any) -> _Items:
    return kind(runtime.of_handles().subscribe(*exported))
