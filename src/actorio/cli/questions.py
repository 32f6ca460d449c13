"""Questions to actors, on their own sockets, past the node: how busy they are, where their threads and tasks are."""

from __future__ import annotations

import itertools
import selectors
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actorio._transport.sockets import CHUNK, ForeignPeerError, connect
from actorio._wire.frames import ProtocolError
from actorio._wire.messages import Inspect, Result, encode, reply_reader

if TYPE_CHECKING:
    import socket


@dataclass
class Line:
    """The connection to one actor, with one question under way at most.

    Attributes:
        asked: when the question left, on the monotonic clock; 0.0 when none is under way.
        answer: the last answer's bytes, b"" until there is one.
        came: when that answer came, on the monotonic clock.
        took: how long it took, in seconds.
    """

    sock: socket.socket
    asked: float = 0.0
    answer: bytes = b""
    came: float = 0.0
    took: float = 0.0

    def __post_init__(self) -> None:
        self.reader = reply_reader()

    def send(self, number: int, what: str) -> None:
        """Asks; an earlier answer is forgotten."""
        self.answer, self.asked = b"", time.monotonic()
        self.sock.sendall(encode(Inspect(number, what)))

    def receive(self) -> None:
        """Reads what is there.

        Raises:
            OSError, ProtocolError: the actor has ended, or does not know the question.
        """
        data = self.sock.recv(CHUNK)
        if not data:
            raise ConnectionResetError
        for reply, payload in self.reader.feed(data):
            self.came = time.monotonic()
            self.took, self.asked = self.came - self.asked, 0.0
            self.answer = bytes(payload) if isinstance(reply, Result) else b""


class Asker:
    """Asks actors, and waits for their answers.

    Actors are told apart by whatever hashable key the caller chooses.
    """

    def __init__(self) -> None:
        self._lines: dict[object, Line] = {}
        self._numbers = itertools.count(1)
        self._selector = selectors.DefaultSelector()

    def watch(self, fd: int) -> None:
        """Ends `wait` when there is something to read from another descriptor."""
        self._selector.register(fd, selectors.EVENT_READ)

    def ask(self, key: object, address: str, what: str) -> None:
        """Asks the actor that listens at ``address``, unless it still owes an answer."""
        line = self._lines.get(key)
        if line is not None and line.asked:
            return
        try:
            if line is None:
                line = Line(connect(address))
                self._lines[key] = line
                self._selector.register(line.sock, selectors.EVENT_READ, key)
            line.send(next(self._numbers), what)
        except (OSError, ForeignPeerError):
            self.forget(key)

    def line(self, key: object) -> Line | None:
        """Returns the connection to an actor; None when there is none."""
        return self._lines.get(key)

    def wait(self, timeout: float, *, for_answers: bool = True) -> bool:
        """Reads answers for ``timeout`` seconds, or until all are there.

        Returns True as soon as there is something to read from a watched descriptor.
        """
        deadline = time.monotonic() + timeout
        while not for_answers or any(line.asked for line in self._lines.values()):
            for key, _ in self._selector.select(max(0.0, deadline - time.monotonic())):
                if key.data is None:
                    return True
                self._receive(key.data)
            if time.monotonic() >= deadline:
                break
        return False

    def _receive(self, key: object) -> None:
        try:
            self._lines[key].receive()
        except BlockingIOError:
            pass
        except (OSError, ProtocolError):
            self.forget(key)

    def keep(self, keys: set[object]) -> None:
        """Forgets all actors but these."""
        for key in set(self._lines) - keys:
            self.forget(key)

    def forget(self, key: object) -> None:
        """Closes the connection to an actor."""
        line = self._lines.pop(key, None)
        if line is not None:
            with suppress(KeyError, ValueError):
                self._selector.unregister(line.sock)
            line.sock.close()

    def close(self) -> None:
        """Closes all connections."""
        self.keep(set())
        self._selector.close()


def ask_one(address: str, what: str, timeout: float) -> bytes:
    """Returns the answer of a single actor, b"" when it gives none within ``timeout`` seconds."""
    asker = Asker()
    try:
        asker.ask(address, address, what)
        asker.wait(timeout)
        line = asker.line(address)
        return b"" if line is None else line.answer
    finally:
        asker.close()
