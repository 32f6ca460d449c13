"""Polling many sockets from one thread. What `selectors` does, without the objects that it makes for each event."""

from __future__ import annotations

import select
import selectors
from typing import Final

READABLE: Final = selectors.EVENT_READ
WRITABLE: Final = selectors.EVENT_WRITE


class EpollPoller:
    """Over Linux's epoll. Descriptors may be added and removed while another thread polls."""

    def __init__(self) -> None:
        self._epoll = select.epoll()

    def add(self, fd: int, events: int) -> None:
        """Watches a descriptor."""
        self._epoll.register(fd, _epoll_events(events))

    def change(self, fd: int, events: int) -> None:
        """Watches a descriptor for other events."""
        self._epoll.modify(fd, _epoll_events(events))

    def remove(self, fd: int) -> None:
        """Stops watching a descriptor; it is still open."""
        self._epoll.unregister(fd)

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        """Waits for at most ``timeout`` seconds; returns descriptors with a combination of READABLE and WRITABLE.

        An error or a hang-up counts as readable: reading says which.
        """
        return [
            (fd, (events & select.EPOLLOUT and WRITABLE) | (events & ~select.EPOLLOUT and READABLE))
            for fd, events in self._epoll.poll(timeout)
        ]

    def close(self) -> None:
        """Stops watching everything."""
        self._epoll.close()


class SelectorPoller:
    """Over whatever the system has: kqueue on macOS."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def add(self, fd: int, events: int) -> None:
        """Watches a descriptor."""
        self._selector.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        """Watches a descriptor for other events."""
        self._selector.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Stops watching a descriptor."""
        self._selector.unregister(fd)

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        """See `EpollPoller.poll`."""
        return [(key.fd, events) for key, events in self._selector.select(timeout)]

    def close(self) -> None:
        """Stops watching everything."""
        self._selector.close()


def _epoll_events(events: int) -> int:
    return (events & READABLE and select.EPOLLIN) | (events & WRITABLE and select.EPOLLOUT)


Poller = EpollPoller if hasattr(select, "epoll") else SelectorPoller
