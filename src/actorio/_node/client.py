"""A process that is connected to the node: its messages, and what is sent to it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from actorio._transport.descriptors import close_all
from actorio._transport.sockets import peer_pid, receive
from actorio._wire.frames import ProtocolError
from actorio._wire.messages import Hello, control_reader, encode

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

    from actorio._wire.frames import Payload
    from actorio._wire.messages import Control, Message

    OnMessage = Callable[["Client", Control, Payload], None]
    OnEnd = Callable[["Client"], None]

_ROLES = {"driver": "the driver", "actor": "an actor", "tool": "the command line"}


class Client:
    """One control connection.

    Args:
        on_message: called with each message, in order.
        on_end: called once, when the process has gone.
        on_drained: called when all that was sent has been taken.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        on_message: OnMessage,
        on_end: OnEnd,
        on_drained: Callable[[], None],
    ) -> None:
        self.pid = peer_pid(sock)
        self.role = ""
        # Names the process, the same on all its connections.
        self.peer = ""
        self.actor_id = ""
        # It has asked to leave, and waits until its actors have ended.
        self.is_leaving = False
        self.descriptors: list[int] = []
        self._loop = loop
        self._sock = sock
        self._on_message = on_message
        self._on_end = on_end
        self._on_drained = on_drained
        self._reader = control_reader()
        self._out = bytearray()
        self._is_watched = False
        self._pidfd = -1
        self._is_closing = False
        loop.add_reader(sock.fileno(), self._read)

    @property
    def is_driver(self) -> bool:
        """Is it a driver? The session stays for it."""
        return self.role == "driver"

    def who(self) -> str:
        """Returns who this is, for a person: ``"the driver (pid 12)"``."""
        return f"{_ROLES.get(self.role, 'a process')} (pid {self.pid})"

    def backlog(self) -> int:
        """How many bytes wait to be taken."""
        return len(self._out)

    def watch_process(self) -> None:
        """Also notices the death of the process itself: a child that it forked may hold its socket open."""
        if hasattr(os, "pidfd_open") and self.pid and self._pidfd < 0:
            with suppress(OSError):
                self._pidfd = os.pidfd_open(self.pid)
                self._loop.add_reader(self._pidfd, self.close)

    def take_descriptors(self, count: int) -> list[int]:
        """Returns the next descriptors that came with messages."""
        taken, self.descriptors = self.descriptors[:count], self.descriptors[count:]
        return taken

    def _read(self) -> None:
        try:
            data = receive(self._sock, self.descriptors)
            messages = self._reader.feed(data) if data else []
        except BlockingIOError:
            return
        except (OSError, ProtocolError):
            data = b""
        if not data:
            self.close()
            return
        for message, payload in messages:
            if isinstance(message, Hello):
                self.role, self.peer, self.actor_id = message.role, message.peer, message.actor_id
            self._on_message(self, message, payload)

    def send(self, message: Message, payload: Payload = b"") -> None:
        """Sends a message, now or when the process takes it."""
        if self._sock.fileno() < 0:
            return
        self._out += encode(message, payload)
        if not self._is_watched:
            self._flush()

    def _flush(self) -> None:
        try:
            while self._out:
                sent = self._sock.send(self._out)
                del self._out[:sent]
        except BlockingIOError:
            if not self._is_watched:
                self._is_watched = True
                self._loop.add_writer(self._sock.fileno(), self._flush)
            return
        except OSError:
            self._out.clear()
        if self._is_watched:
            self._is_watched = False
            self._loop.remove_writer(self._sock.fileno())
        self._on_drained()
        if self._is_closing:
            self.close()

    def flush_blocking(self, timeout: float) -> None:
        """Sends what is left, while the process takes some of it every ``timeout`` seconds; the node ends."""
        if self._is_watched:
            self._is_watched = False
            self._loop.remove_writer(self._sock.fileno())
        if self._sock.fileno() >= 0:
            self._sock.settimeout(timeout)
        with suppress(OSError):
            while self._out:
                del self._out[: self._sock.send(self._out)]

    def close_when_sent(self) -> None:
        """Ends the connection from this side as soon as all has been sent; without a word to ``on_end``."""
        self._on_end = _ignore
        self._is_closing = True
        if not self._out:
            self.close()

    def close(self) -> None:
        """Ends the connection; calls ``on_end`` the first time."""
        fd = self._sock.fileno()
        if fd < 0:
            return
        self._loop.remove_reader(fd)
        if self._is_watched:
            self._loop.remove_writer(fd)
        self._sock.close()
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        close_all(self.descriptors)
        self._on_end(self)


def _ignore(_client: Client) -> None:
    """It is known that this client goes."""
