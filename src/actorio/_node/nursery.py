"""The node's side of the zygote: sends it what to fork and whom to signal, hears who was born and who died."""

from __future__ import annotations

import array
import os
import signal
import socket
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from actorio._node.cradles import is_alive
from actorio._transport.descriptors import close_all
from actorio._wire.frames import ProtocolError
from actorio._wire.messages import Drivers, Finish, Forget, Signal, encode, zygote_reader

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from actorio._wire.messages import Fork, Zygote

_CHUNK = 1 << 16
# How often a zygote that is to end is looked at, in seconds.
_PAUSE = 0.002


class Nursery:
    """The connection to the zygote, never blocking: both ends may have much to say at once.

    Args:
        on_news: called with each of its messages.
        on_lost: called once, when it has gone.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        pid: int,
        on_news: Callable[[Zygote], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.pid = pid
        self.is_lost = False
        self._loop = loop
        self._sock = sock
        self._on_news = on_news
        self._on_lost = on_lost
        self._reader = zygote_reader()
        self._out: deque[tuple[bytes, list[int], list[int]]] = deque()
        self._is_watched = False
        sock.setblocking(False)
        loop.add_reader(sock.fileno(), self._read)

    def fork(self, message: Fork, spec: bytes, descriptors: list[int], closing: list[int]) -> None:
        """Has an actor's process made; those of the descriptors to be closed are closed here once they are sent."""
        self._out.append((encode(message, spec), descriptors, closing))
        self._flush()

    def forget(self, actor_id: str) -> None:
        """Has everything closed that is kept of an actor."""
        self._out.append((encode(Forget(actor_id)), [], []))
        self._flush()

    def signal(self, pids: Iterable[int], number: int) -> None:
        """Sends a signal to the process groups of actors; by itself when the zygote has gone."""
        for pid in pids:
            if self.is_lost:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, number)
            else:
                self._out.append((encode(Signal(pid, number)), [], []))
        self._flush()

    def _flush(self) -> None:
        try:
            while self._out:
                data, descriptors, closing = self._out[0]
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
                sent = self._sock.sendmsg([data], rights)
                close_all(closing)
                if sent < len(data):
                    self._out[0] = (data[sent:], [], [])
                else:
                    self._out.popleft()
        except BlockingIOError:
            if not self._is_watched:
                self._is_watched = True
                self._loop.add_writer(self._sock.fileno(), self._flush)
            return
        except OSError:
            # It has gone; the reader says so.
            while self._out:
                close_all(self._out.popleft()[2])
        if self._is_watched:
            self._is_watched = False
            self._loop.remove_writer(self._sock.fileno())

    def _read(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
            messages = self._reader.feed(data)
        except BlockingIOError:
            return
        except (OSError, ProtocolError):
            data = b""
        if not data:
            self._lose()
            return
        for message, _ in messages:
            self._on_news(message)

    def _lose(self) -> None:
        self.close()
        self.is_lost = True
        self._on_lost()

    def tell_drivers(self, pids: list[int]) -> None:
        """Says for whom the zygote is to wait should this node be killed."""
        self._out.append((encode(Drivers(pids)), [], []))
        self._flush()

    def finish(self) -> None:
        """Has the zygote end whoever is left, and itself."""
        self._out.append((encode(Finish()), [], []))
        self._flush()

    def close(self) -> None:
        """Ends the connection; without `finish`, the zygote waits for another node."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            if self._is_watched:
                self._loop.remove_writer(self._sock.fileno())
            self._sock.close()

    def wait(self, seconds: float) -> None:
        """Waits for the zygote's process to end, and kills it when it does not within ``seconds``."""
        deadline = time.monotonic() + seconds
        while self._is_alive():
            if time.monotonic() > deadline:
                with suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
            time.sleep(_PAUSE)

    def _is_alive(self) -> bool:
        try:
            return os.waitpid(self.pid, os.WNOHANG) == (0, 0)
        except ChildProcessError:
            # The child of a node before this one.
            return is_alive(self.pid)
