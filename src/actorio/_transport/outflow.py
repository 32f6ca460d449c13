"""The sending side of a stream: how far it may be ahead, and whether anybody still takes its items.

What makes the items waits here, in a thread or on the loop of the connection. Credits, and the news that nobody takes
any more, come in the thread of that loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from actorio._model.streams import FLOW_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from actorio._transport.serving import Connection
    from actorio._wire.messages import Call

END = object()
"""What there is behind the last item."""


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
    """One stream: registered at its connection while it runs.

    Args:
        connection: where the items go.
        request: what they answer.
    """

    def __init__(self, connection: Connection, request: Call) -> None:
        self.connection = connection
        self.allowance = Allowance(request.window)
        self.is_left = False
        self._number = request.id
        connection.outflows[request.id] = self
        # Nobody may have waited for it to begin. From here on the loop's thread may say so as well: what it has said
        # stays.
        if request.id in connection.left or not connection.is_open():
            self.is_left = True
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
    """A stream whose items are made in a thread.

    Args:
        connection: where the items go.
        request: what they answer.
        resting: returns what the thread waits in; None when nothing may take its place.
    """

    def __init__(
        self, connection: Connection, request: Call, resting: Callable[[], AbstractContextManager[None]] | None
    ) -> None:
        self._resting = resting
        self._changed = threading.Condition()
        super().__init__(connection, request)

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
        if not self.is_left and (not self.allowance.is_open() or self.connection.is_clogged()):
            if self._resting is None:
                self._wait()
            else:
                with self._resting():
                    self._wait()
        return not self.is_left

    def _wait(self) -> None:
        # A thread that makes more meanwhile would keep the loop, which sends it, from running.
        while not self.is_left and self.connection.is_clogged():
            self.connection.push()
        with self._changed:
            while not self.is_left and not self.allowance.is_open():
                self._changed.wait()


class LoopOutflow(_Outflow):
    """A stream whose items are made in a task, on the loop of the connection; to be made in that task."""

    def __init__(self, connection: Connection, request: Call) -> None:
        self._task = asyncio.current_task()
        self._is_stepping = False
        self._changed = asyncio.Event()
        super().__init__(connection, request)

    def grant(self, count: int) -> None:
        """See `serving.Outflow`."""
        self.allowance.grant(count)
        self._changed.set()

    def leave(self) -> None:
        """See `serving.Outflow`. What is awaited for the next item is cancelled."""
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
            return await anext(items, END)
        except asyncio.CancelledError:
            if not self.is_left or self._task is None:
                raise
            self._task.uncancel()
            return END
        finally:
            self._is_stepping = False
