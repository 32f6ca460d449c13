"""The way to the owners of results: what they have to hear of the references that this process has.

One connection to each owner, on which nothing comes back. When it ends, so does all that was said on it, and so the
owner hears of this process's death.
"""

from __future__ import annotations

import select
import threading
from contextlib import suppress
from socket import SHUT_RDWR
from typing import TYPE_CHECKING

from actorio._transport.sockets import connect
from actorio._wire.messages import encode

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from actorio._wire.messages import Message


def ledger_path(path: str) -> str:
    """Returns where an owner that listens at ``path`` hears of references."""
    directory, _, name = path.rpartition("/")
    return f"{directory}/l{name[1:]}"


class OwnerLink:
    """The connection to one owner.

    Args:
        path: where the owner listens.

    Raises:
        OSError: it has ended.
    """

    def __init__(self, path: str) -> None:
        self._sock: socket.socket = connect(ledger_path(path))
        self._out = bytearray()
        self._lock = threading.RLock()

    def send(self, message: Message) -> bool:
        """Sends a message, as much as the owner takes; returns whether that was all.

        Raises:
            OSError: the owner has ended.
        """
        with self._lock:
            self._out += encode(message)
            return self._send_rest()

    def _send_rest(self) -> bool:
        with self._lock, suppress(BlockingIOError):
            while self._out:
                del self._out[: self._sock.send(self._out)]
            return True
        return False

    def flush(self) -> None:
        """Sends what is left, however long that takes.

        Raises:
            OSError: the owner has ended, or this end was closed.
        """
        poll = select.poll()
        poll.register(self._sock, select.POLLOUT)
        while not self._send_rest():
            poll.poll()

    def close(self) -> None:
        """Closes the connection; wakes who waits for it."""
        with suppress(OSError):
            self._sock.shutdown(SHUT_RDWR)
        self.abandon()

    def abandon(self) -> None:
        """Closes this process's copy of the socket."""
        self._sock.close()


class Owners:
    """Where to tell what of whose results.

    Args:
        call_later: calls a function in a thread that may wait for a slow owner.
    """

    def __init__(self, call_later: Callable[[Callable[[], None]], None]) -> None:
        self._call_later = call_later
        # None for an owner that has ended.
        self._links: dict[str, OwnerLink | None] = {}
        self._is_closed = False
        self._lock = threading.Lock()

    def tell(self, path: str, message: Message) -> None:
        """Tells an owner; one that has ended need not know."""
        link = self._link(path)
        try:
            if link is not None and not link.send(message):
                self._call_later(lambda: self._flush(path, link))
        except OSError:
            self._forget(path)

    def _flush(self, path: str, link: OwnerLink) -> None:
        try:
            link.flush()
        except (OSError, ValueError):
            self._forget(path)

    def _link(self, path: str) -> OwnerLink | None:
        with self._lock:
            if path not in self._links and not self._is_closed:
                try:
                    self._links[path] = OwnerLink(path)
                except OSError:
                    self._links[path] = None
            return self._links.get(path)

    def _forget(self, path: str) -> None:
        with self._lock:
            link = self._links.get(path)
            self._links[path] = None
        if link is not None:
            link.close()

    def close(self) -> None:
        """Closes every connection: the owners hear that this process keeps nothing any more."""
        with self._lock:
            self._is_closed = True
            links, self._links = self._links, {}
        for link in links.values():
            if link is not None:
                link.close()

    def abandon(self) -> None:
        """Closes this process's copies of the sockets; in a forked child."""
        self._is_closed = True
        for link in self._links.values():
            if link is not None:
                link.abandon()
        self._links = {}
