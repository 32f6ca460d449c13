"""Coroutines that run beside the task that has started them, on the loop of asyncio or of trio.

They belong to whoever has started them, who cancels them or waits for their end: to trio they are system tasks, so that
an asynchronous generator may own some without a nursery.
"""

from __future__ import annotations

import contextvars
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from actorio._caller.wakers import Flag, running_loop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractContextManager

T = TypeVar("T")


class Job(Generic[T]):
    """A coroutine that runs until it ends or is cancelled.

    Attributes:
        cancel: asks it to end soon.
    """

    cancel: Callable[[], object]

    def __init__(self) -> None:
        self._has_ended = Flag()
        self._callbacks: list[Callable[[Job[T]], object]] = []

    def result(self) -> T:
        """Returns what it has returned, or raises what it has raised; once, when it has ended."""
        raise NotImplementedError

    def add_done_callback(self, callback: Callable[[Job[T]], object]) -> None:
        """Calls ``callback`` when it ends. It has not ended yet."""
        self._callbacks.append(callback)

    async def wait(self) -> None:
        """Waits for its end. Cancelling leaves it alone."""
        await self._has_ended.wait()

    def _end(self, _cause: object = None) -> None:
        self._has_ended.set()
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)


class _AsyncioJob(Job[T]):
    def __init__(self, steps: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._task = loop.create_task(steps)
        self._task.add_done_callback(self._end)
        self.cancel = self._task.cancel

    def result(self) -> T:
        """See `Job.result`."""
        return self._task.result()

    def _end(self, cause: object = None) -> None:
        if not self._task.cancelled():
            # Looked at, so that asyncio does not report an error that nobody takes any more.
            self._task.exception()
        super()._end(cause)


class _TrioJob(Job[T]):
    _value: T

    def __init__(self, steps: Coroutine[Any, Any, T], trio: Any) -> None:
        super().__init__()
        self._steps = steps
        self._error: BaseException | None = None
        self._scope = trio.CancelScope()
        self._cancelled = trio.Cancelled
        self.cancel = self._scope.cancel
        trio.lowlevel.spawn_system_task(self._run, context=contextvars.copy_context())

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._live()
        finally:
            self._end()

    async def _live(self) -> None:
        try:
            self._value = await self._steps
        except self._cancelled:
            raise
        except BaseException as error:  # raised where the result is taken: here it would end the whole run
            self._error = error

    def result(self) -> T:
        """See `Job.result`."""
        error, self._error = self._error, None
        if error is None:
            return self._value
        try:
            raise error
        finally:
            # Its traceback holds this frame: together they would keep whatever the steps have known.
            del error


def start(steps: Coroutine[Any, Any, T]) -> Job[T]:
    """Begins to run a coroutine on the loop that runs in this thread, asyncio's or trio's.

    Raises:
        RuntimeError: none does.
    """
    loop = running_loop()
    if loop is not None:
        return _AsyncioJob(steps, loop)
    try:
        return _TrioJob(steps, sys.modules["trio"])
    except (KeyError, RuntimeError):
        steps.close()
        raise RuntimeError("no running event loop") from None


def shielded() -> AbstractContextManager[object]:
    """Returns what a wait runs in that trio must not cancel, though it has cancelled the task; asyncio does so once."""
    if running_loop() is not None:
        return nullcontext()
    scope: AbstractContextManager[object] = sys.modules["trio"].CancelScope(shield=True)
    return scope
