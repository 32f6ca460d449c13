"""Who watches the sockets of a server: its event loop, or for a moment another thread that looks out for calls.

The sockets are watched by one epoll, and that by another one, which the loop watches: so a thread takes all of them
over, or gives them back, with one system call, and the loop sleeps on meanwhile. Where there is no epoll, the loop
watches each socket itself and nobody takes over.
"""

from __future__ import annotations

import select
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

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

    def give_back(self) -> None:
        """Leaves the watch to the loop. In any thread."""

    def poll(self) -> list[Connection]:
        """Returns where something has arrived; whoever has the watch calls it."""
        return []

    def close(self) -> None:
        """Watches no more. In the loop's thread."""


class EpollLookout(LoopLookout):
    """The loop watches, unless a thread has taken over. See `LoopLookout`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._sockets, self._watch = select.epoll(), select.epoll()
        self._watch.register(self._sockets.fileno(), select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        # Whoever reads has it.
        self._lock = threading.Lock()
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
        self._watch.modify(self._sockets.fileno(), 0)
        return True

    def give_back(self) -> None:
        """See `LoopLookout`."""
        self._watch.modify(self._sockets.fileno(), select.EPOLLIN)
        self._lock.release()

    def poll(self) -> list[Connection]:
        """See `LoopLookout`."""
        ready = self._sockets.poll(0)
        return [self._connections[fd] for fd, _ in ready if fd in self._connections] if ready else []

    def close(self) -> None:
        """See `LoopLookout`."""
        self._loop.remove_reader(self._watch.fileno())
        self._watch.close()
        self._sockets.close()

    def _read(self) -> None:
        # A thread that has just taken over reads by itself.
        if self._lock.acquire(blocking=False):
            try:
                for connection in self.poll():
                    connection.read()
            finally:
                self._lock.release()


def new_lookout(loop: asyncio.AbstractEventLoop) -> LoopLookout:
    """Returns the best that the system allows."""
    return EpollLookout(loop) if hasattr(select, "epoll") else LoopLookout(loop)
