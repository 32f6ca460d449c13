"""Streams in the actor: items leave as they are made, and the generator rests when it is a window ahead.

The generator runs where its method would: in a thread of the pool, or in the call's task on the loop. Credits and the
news that nobody takes items any more come in the thread of the mailbox's loop.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from actorio._model.streams import FLOW_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractContextManager

    from actorio._transport.serving import Connection
    from actorio._worker.executor import Delivered, Executor

_END = object()


class Allowance:
    """How far a generator may be ahead. Pure.

    Args:
        window: in items.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        # The sizes of what was sent and has not been taken, in bytes.
        self._out: deque[int] = deque()
        self._bytes = 0

    def is_open(self) -> bool:
        """May another item be sent? One always may, however large it is."""
        return not self._out or (len(self._out) < self._window and self._bytes < FLOW_BYTES)

    def sent(self, size: int) -> None:
        """An item of so many bytes has left."""
        self._out.append(size)
        self._bytes += size

    def grant(self, count: int) -> None:
        """So many items have been taken."""
        for _ in range(min(count, len(self._out))):
            self._bytes -= self._out.popleft()


class _Outflow:
    """One stream: registered at its connection while it runs."""

    def __init__(self, call: Delivered) -> None:
        connection, request, _ = call
        self.connection: Connection = connection
        self.allowance = Allowance(request.window)
        self.is_left = False
        self._number = request.id
        connection.outflows[request.id] = self
        # Nobody may have waited for it to begin.
        self.is_left = request.id in connection.left or not connection.is_open()
        connection.left.discard(request.id)

    def grant(self, count: int) -> None:
        """See `serving.Outflow`."""
        raise NotImplementedError

    def leave(self) -> None:
        """See `serving.Outflow`."""
        raise NotImplementedError

    def close(self) -> None:
        """The stream has ended."""
        self.connection.outflows.pop(self._number, None)


class ThreadOutflow(_Outflow):
    """A stream whose generator runs in a thread.

    Args:
        resting: returns what the thread waits in; None when nothing may take its place.
    """

    def __init__(self, call: Delivered, resting: Callable[[], AbstractContextManager[None]] | None) -> None:
        self._resting = resting
        self._changed = threading.Condition()
        super().__init__(call)

    def grant(self, count: int) -> None:
        """See `serving.Outflow`."""
        with self._changed:
            self.allowance.grant(count)
            self._changed.notify()

    def leave(self) -> None:
        """See `serving.Outflow`."""
        with self._changed:
            self.is_left = True
            self._changed.notify()

    def may_go_on(self) -> bool:
        """Waits until another item may be sent; returns False when nobody takes any."""
        if not self.is_left and not self.allowance.is_open():
            if self._resting is None:
                self._wait()
            else:
                with self._resting():
                    self._wait()
        return not self.is_left

    def _wait(self) -> None:
        with self._changed:
            while not self.is_left and not self.allowance.is_open():
                self._changed.wait()


class LoopOutflow(_Outflow):
    """A stream whose generator runs on the loop that reads the mailbox."""

    def __init__(self, call: Delivered) -> None:
        self._task = asyncio.current_task()
        self._is_stepping = False
        self._changed = asyncio.Event()
        super().__init__(call)

    def grant(self, count: int) -> None:
        """See `serving.Outflow`."""
        self.allowance.grant(count)
        self._changed.set()

    def leave(self) -> None:
        """See `serving.Outflow`. What the generator awaits is cancelled."""
        self.is_left = True
        self._changed.set()
        if self._is_stepping and self._task is not None:
            self._task.cancel()

    async def may_go_on(self) -> bool:
        """Waits until another item may be sent; returns False when nobody takes any."""
        while not self.is_left and not self.allowance.is_open():
            self._changed.clear()
            await self._changed.wait()
        return not self.is_left

    async def step(self, items: AsyncIterator[Any]) -> Any:
        """Returns the next item, or that there is none."""
        self._is_stepping = True
        try:
            return await anext(items, _END)
        except asyncio.CancelledError:
            if not self.is_left or self._task is None:
                raise
            self._task.uncancel()
            return _END
        finally:
            self._is_stepping = False


def flow_in_thread(
    executor: Executor, call: Delivered, value: Any, resting: Callable[[], AbstractContextManager[None]] | None
) -> None:
    """Sends the items of what a method has returned.

    Raises:
        ValueError: it is no generator.
        Exception: whatever the generator raises.
    """
    items: Iterator[Any] = executor.items_of(call, value)
    outflow = ThreadOutflow(call, resting)
    try:
        while outflow.may_go_on():
            item = next(items, _END)
            if item is _END:
                return
            frame, size = executor.item(call, item)
            outflow.allowance.sent(size)
            outflow.connection.reply_now(frame, more_follow=True)
    finally:
        outflow.close()
        if inspect.isgenerator(items):
            items.close()


async def flow_on_loop(executor: Executor, call: Delivered, value: Any) -> None:
    """Sends the items of what a method has returned; see `flow_in_thread`."""
    items = executor.items_of(call, value)
    outflow = LoopOutflow(call)
    is_async = hasattr(items, "__anext__")
    try:
        while await outflow.may_go_on():
            item = await outflow.step(items) if is_async else next(items, _END)
            if item is _END:
                return
            frame, size = executor.item(call, item)
            outflow.allowance.sent(size)
            outflow.connection.reply_soon(frame)
    finally:
        outflow.close()
        if inspect.isasyncgen(items):
            await items.aclose()
        elif inspect.isgenerator(items):
            items.close()
