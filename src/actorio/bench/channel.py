"""Length-prefixed pickles over a Unix socket: all the protocol that the floor has."""

from __future__ import annotations

import pickle
import select
import struct
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

_LENGTH = struct.Struct("<I")
_BUFFER_BYTES = 1 << 18


def frame(message: object) -> bytes:
    """Pickle one message behind its length."""
    data = pickle.dumps(message, 5)
    return _LENGTH.pack(len(data)) + data


class Channel:
    """Length-prefixed pickles both ways over a non-blocking Unix socket, used by one thread.

    With a loop attached, reading is the loop's business and the writes of one iteration leave together.
    Without one, `send` writes at once and the caller calls `pump` when the socket is readable.

    Args:
        sock: A connected stream socket; made non-blocking.
        deliver: Called with each message that arrives.
        closed: Called when the other side has gone.
        spin: For so many seconds after it has sent something, a channel on a loop looks for an answer again and again,
            before it lets the loop sleep. Between two looks everything else on the loop has its turn.
    """

    def __init__(
        self,
        sock: socket.socket,
        deliver: Callable[[Any], object],
        closed: Callable[[], None],
        *,
        spin: float = 0.0,
    ) -> None:
        sock.settimeout(0)
        self.sock = sock
        self._deliver = deliver
        self._closed = closed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._view = memoryview(bytearray(_BUFFER_BYTES))
        self._start = self._end = 0
        self._unsent = bytearray()
        self._is_flush_due = False
        self._spin = spin
        self._spin_until = 0.0
        self._is_spinning = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let a loop read and write from now on."""
        self._loop = loop
        loop.add_reader(self.sock, self.pump)

    @property
    def is_attached(self) -> bool:
        """Does a loop read and write?"""
        return self._loop is not None

    def detach(self) -> None:
        """Give the socket back to the calling thread; nothing may be under way."""
        if self._loop is not None:
            self._loop.remove_reader(self.sock)
            self._loop = None
            self._is_spinning = False

    def send(self, message: object) -> None:
        """Send one message: at once, or at the end of this iteration of the loop."""
        data = pickle.dumps(message, 5)
        self._unsent += _LENGTH.pack(len(data))
        self._unsent += data
        if self._loop is None:
            self._send_some()
            if self._unsent:
                self._wait_and_send()
        elif not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)
        if self._spin:
            self._begin_to_spin()

    def pump(self) -> None:
        """Read what has arrived and deliver every whole message."""
        try:
            count = self.sock.recv_into(self._view[self._end :])
        except BlockingIOError:
            return
        except ConnectionError:
            count = 0
        if count == 0:
            self._closed()
            return
        self._end += count
        self._deliver_whole_messages()

    def _deliver_whole_messages(self) -> None:
        view, start, end = self._view, self._start, self._end
        while end - start >= _LENGTH.size:
            body = start + _LENGTH.size
            stop = body + _LENGTH.unpack_from(view, start)[0]
            if stop > end:
                break
            self._deliver(pickle.loads(view[body:stop]))
            start = stop
        if start == end:
            start = end = 0
        elif end > _BUFFER_BYTES // 2:
            # Messages are far shorter than half the buffer, so room is never lacking after this.
            view[: end - start] = view[start:end]
            start, end = 0, end - start
        self._start, self._end = start, end

    def _send_some(self) -> None:
        # Not contextlib.suppress: this runs once for every blocking call.
        try:
            del self._unsent[: self.sock.send(self._unsent)]
        except BlockingIOError:
            return

    def _wait_and_send(self) -> None:
        while self._unsent:
            # A server whose answers nobody reads stops reading: read while waiting for room.
            readable, writable, _ = select.select([self.sock], [self.sock], [])
            if readable:
                self.pump()
            if writable:
                self._send_some()

    def _begin_to_spin(self) -> None:
        self._spin_until = time.perf_counter() + self._spin
        if self._loop is not None and not self._is_spinning:
            self._is_spinning = True
            self._loop.call_soon(self._look_again)

    def _look_again(self) -> None:
        if self._loop is None:
            self._is_spinning = False
            return
        self.pump()
        if time.perf_counter() < self._spin_until:
            self._loop.call_soon(self._look_again)
        else:
            self._is_spinning = False

    def _flush(self) -> None:
        self._is_flush_due = False
        self._send_some()
        if self._unsent and self._loop is not None:
            self._loop.add_writer(self.sock, self._flush_more)

    def _flush_more(self) -> None:
        self._send_some()
        if not self._unsent and self._loop is not None:
            self._loop.remove_writer(self.sock)
