"""Who watches the sockets of a server: its event loop, or for a moment another thread that looks out for calls.

The sockets are watched by one epoll, and that by another one, which the loop watches: so a thread takes all of them
over, or gives them back, with one system call, and the loop sleeps on meanwhile. Where there is no epoll, the loop
watches each socket itself and nobody takes over.

Of the sockets at which something has arrived each gets its turn before any gets another, whoever watches.
"""

from __future__ import annotations

import select
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from actorio._transport.serving import Connection


class LoopLookout:
    """The loop watches."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def add(self, fd: int, connection: Connection) -> None:
        """Has a connection read when something has arrived. In the loop's thread."""
        self._loop.add_reader(fd, connection.read)

    def remove(self, fd: int) -> None:
        """Forgets a connection that is about to be closed. In the loop's thread."""
        self._loop.remove_reader(fd)

    def take(self) -> bool:
        """Takes the watch over from the loop; returns False when somebody else has it. In any thread."""
        return False

    def give_back(self, rest: Callable[[], object] | None = None) -> None:
        """Leaves the watch to the loop. In the thread that has it.

        Args:
            rest: what was read and only the loop's thread may see to: it does so before anything else is read.

        Raises:
            RuntimeError: this thread does not have it.
        """

    def let_go(self) -> None:
        """Gives the watch back if this thread has it: it was interrupted, and may have been anywhere."""

    def poll(self) -> Connection | None:
        """Returns where something has arrived, if anywhere. In the thread that has the watch."""
        return None

    def close(self) -> None:
        """Watches no more. In the loop's thread."""


class EpollLookout(LoopLookout):
    """The loop watches, unless a thread has taken over. See `LoopLookout`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._sockets, self._watch = select.epoll(), select.epoll()
        self._watch.register(self._sockets.fileno(), select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        # Whoever reads has it. It knows its thread, which may be interrupted anywhere, and then gives it back.
        self._lock = threading.RLock()
        # What was read and the loop's thread has to see to; where a thread has seen something and has not read it yet.
        self._rest: deque[Callable[[], object]] = deque()
        self._ready: deque[Connection] = deque()
        loop.add_reader(self._watch.fileno(), self._read)

    def add(self, fd: int, connection: Connection) -> None:
        """See `LoopLookout`."""
        self._connections[fd] = connection
        self._sockets.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        """See `LoopLookout`."""
        if self._connections.pop(fd, None) is not None:
            self._sockets.unregister(fd)

    def take(self) -> bool:
        """See `LoopLookout`."""
        if not self._lock.acquire(blocking=False):
            return False
        if self._rest:
            self._lock.release()
            # It may have found the lock taken just now.
            self._loop.call_soon_threadsafe(self._read)
            return False
        self._watch.modify(self._sockets.fileno(), 0)
        return True

    def give_back(self, rest: Callable[[], object] | None = None) -> None:
        """See `LoopLookout`."""
        if rest is not None:
            self._rest.append(rest)
        # Should the loop look before the lock is free, it does so again as long as there is something to read.
        self._watch.modify(self._sockets.fileno(), select.EPOLLIN)
        self._lock.release()
        if self._rest:
            self._loop.call_soon_threadsafe(self._read)

    def let_go(self) -> None:
        """See `LoopLookout`."""
        with suppress(RuntimeError):
            self.give_back()

    def poll(self) -> Connection | None:
        """See `LoopLookout`."""
        if not self._ready:
            self._look()
        return self._ready.popleft() if self._ready else None

    def _look(self) -> None:
        for fd, _ in self._sockets.poll(0):
            connection = self._connections.get(fd)
            if connection is not None:
                self._ready.append(connection)

    def close(self) -> None:
        """See `LoopLookout`."""
        self._loop.remove_reader(self._watch.fileno())
        self._watch.close()
        self._sockets.close()

    def _read(self) -> None:
        # A thread that has just taken over reads by itself.
        if not self._lock.acquire(blocking=False):
            return
        try:
            while self._rest:
                self._rest.popleft()()
            # What a thread has seen and not read is still there.
            self._ready.clear()
            self._look()
            while self._ready:
                self._ready.popleft().read()
        finally:
            self._lock.release()


def new_lookout(loop: asyncio.AbstractEventLoop) -> LoopLookout:
    """Returns the best that the system allows."""
    return EpollLookout(loop) if hasattr(select, "epoll") else LoopLookout(loop)
