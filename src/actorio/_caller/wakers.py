"""How a task sleeps until another thread, or its own loop, wakes it: one waker for asyncio, one for trio.

A waker is made in the task that is to sleep, and that task waits on it once, without awaiting anything else before. It
is called once or more, in any thread, by whoever has what the task waits for; called before, it wakes the task at once.

Which library runs is decided by asyncio first, at the price of one look. Of trio nothing is imported here: where a
trio loop runs, its modules are there.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from actorio._model.streams import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    import trio

T = TypeVar("T")

running_loop = asyncio._get_running_loop  # noqa: SLF001  # documented for speed: the public one raises when there is none


class Waker(Protocol):
    """Wakes the task that has made it.

    Attributes:
        call: the call of an actor within which the task waits.
    """

    call: object

    def __call__(self, _cause: object = None, /) -> None:
        """Wakes the task; from any thread, any number of times."""

    def wait(self) -> Iterable[Any]:
        """Returns what to ``yield from`` until it is called. Cancelling ends that, and nothing else."""


class AsyncioWaker:
    """Wakes a task of an asyncio loop, uvloop's included."""

    __slots__ = ("_future", "_loop", "call")

    # See `PendingResult`.
    only_wakes = True

    # Slots have no defaults: only who waits within a call of an actor sets it.
    call: object

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._future = loop.create_future()

    def __call__(self, _cause: object = None, /) -> None:
        """See `Waker`."""
        if running_loop() is not self._loop:
            call_in(self._loop, self._wake)
        elif not self._future.done():
            self._future.set_result(None)

    def _wake(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def wait(self) -> asyncio.Future[None]:
        """See `Waker`."""
        return self._future


class TrioWaker:
    """Wakes a task of a trio loop.

    Raises:
        RuntimeError: no task of trio runs in this thread.
    """

    __slots__ = ("_is_asleep", "_task", "_token", "_trio", "call")

    call: object

    def __init__(self, trio_: Any) -> None:
        # Without types: it need not be installed.
        self._trio = trio_
        self._token: trio.lowlevel.TrioToken = trio_.lowlevel.current_trio_token()
        self._task: trio.lowlevel.Task = trio_.lowlevel.current_task()
        # Of the loop's thread alone.
        self._is_asleep = False

    def __call__(self, _cause: object = None, /) -> None:
        """See `Waker`."""
        try:
            self._token.run_sync_soon(self._wake)
        except self._trio.RunFinishedError:
            # The loop has ended, and the task with it.
            return

    def _wake(self) -> None:
        if self._is_asleep:
            self._is_asleep = False
            self._trio.lowlevel.reschedule(self._task)

    def wait(self) -> Iterable[Any]:
        """See `Waker`."""
        self._is_asleep = True
        return self._trio.lowlevel.wait_task_rescheduled(self._abort).__await__()  # type: ignore[no-any-return]  # see `_trio`

    def _abort(self, _raise_cancel: object) -> object:
        self._is_asleep = False
        return self._trio.lowlevel.Abort.SUCCEEDED


def waker_of(loop: asyncio.AbstractEventLoop | None) -> Waker:
    """Returns a waker of the task that runs in this thread; ``loop`` is the running asyncio loop, if there is one.

    Raises:
        RuntimeError: no event loop runs in this thread.
    """
    return _waker_without_asyncio() if loop is None else AsyncioWaker(loop)


def _waker_without_asyncio() -> Waker:
    trio_ = sys.modules.get("trio")
    try:
        if trio_ is not None:
            return TrioWaker(trio_)
    except (RuntimeError, AttributeError):
        # It does not run here, or another thread is just importing it.
        pass
    raise RuntimeError("no running event loop")


class Inbox(Generic[T]):
    """What any thread puts in, one task takes out in the same order, under whichever library."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._waker: Waker | None = None

    def __bool__(self) -> bool:
        """Is there an item?"""
        return bool(self._items)

    def put(self, item: T) -> None:
        """Adds an item; from any thread."""
        self._items.append(item)
        waker = self._waker
        if waker is not None:
            waker()

    async def take(self) -> T:
        """Waits for the first item and removes it. Cancelling loses none.

        Raises:
            RuntimeError: no event loop runs in this thread.
        """
        while not self._items:
            # Whoever puts an item in looks for the waker afterwards: one of the two sees the other.
            self._waker = waker = waker_of(running_loop())
            if not self._items:
                await Waiting(_asleep(waker))
        return self.take_nowait()

    def take_nowait(self) -> T:
        """Removes the first item, which is there."""
        return self._items.popleft()


class Flag:
    """Is set once; any number of tasks wait for that, under whichever libraries."""

    def __init__(self) -> None:
        self._is_set = False
        self._wakers: list[Waker] = []

    def set(self) -> None:
        """Wakes all who wait; from any thread."""
        self._is_set = True
        for waker in list(self._wakers):
            waker()

    async def wait(self) -> None:
        """Waits until it is set.

        Raises:
            RuntimeError: no event loop runs in this thread.
        """
        while not self._is_set:
            waker = waker_of(running_loop())
            self._wakers.append(waker)
            try:
                if not self._is_set:
                    await Waiting(_asleep(waker))
            finally:
                self._wakers.remove(waker)


def _asleep(waker: Waker) -> Generator[Any, None, None]:
    yield from waker.wait()


def call_in(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Calls ``callback`` in the loop's thread, soon; from any thread. Does nothing when the loop has closed."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        # Whoever waited on it has ended with it.
        return
