"""Polling many sockets from one thread. What `selectors` does, without the objects that it makes for each event."""

from __future__ import annotations

import select
import selectors


class EpollPoller:
    """Over Linux's epoll. Descriptors may be added and removed while another thread polls.

    ``poll(timeout)`` waits for at most that many seconds and returns pairs of a descriptor and its events. Whatever
    is not WRITABLE alone counts as readable: of an error or a hang-up, reading says which.
    """

    READABLE, WRITABLE = select.EPOLLIN, select.EPOLLOUT

    def __init__(self) -> None:
        self._epoll = select.epoll()
        # The system's own functions: this is the way of each blocking call.
        self.poll = self._epoll.poll
        self.add = self._epoll.register
        self.change = self._epoll.modify
        self.remove = self._epoll.unregister
        self.close = self._epoll.close


class SelectorPoller:
    """Over whatever the system has: kqueue on macOS. See `EpollPoller`."""

    READABLE, WRITABLE = selectors.EVENT_READ, selectors.EVENT_WRITE

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        """Waits for events."""
        return [(key.fd, events) for key, events in self._selector.select(timeout)]

    def add(self, fd: int, events: int) -> None:
        """Watches a descriptor."""
        self._selector.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        """Watches a descriptor for other events."""
        self._selector.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Stops watching a descriptor; it is still open."""
        self._selector.unregister(fd)

    def close(self) -> None:
        """Stops watching everything."""
        self._selector.close()


Poller = EpollPoller if hasattr(select, "epoll") else SelectorPoller
