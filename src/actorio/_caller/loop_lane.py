"""The lanes of event loops."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from actorio._caller.lane import Lane
from actorio._caller.wakers import running_loop

if TYPE_CHECKING:
    import asyncio

    from actorio._caller.lane import Explain
    from actorio._caller.pending import PendingResult
    from actorio._caller.pump import Pump
    from actorio._transport.spin import LoopSpin


class LoopLane(Lane):
    """The lane of an event loop: read by the loop, written once per iteration."""

    def __init__(
        self,
        address: str,
        sock: socket.socket,
        pump: Pump,
        explain: Explain,
        loop: asyncio.AbstractEventLoop,
        *,
        is_ordered: bool,
        spin: LoopSpin,
    ) -> None:
        super().__init__(address, sock, pump, explain, is_ordered=is_ordered)
        self._spin = spin
        self.loop: asyncio.AbstractEventLoop | None = loop
        self._home = loop
        self._is_scheduled = False
        loop.add_reader(sock.fileno(), self._read_soon)

    def _write(self, frame: bytes) -> None:
        is_plain = frame.__class__ is bytes
        if is_plain and len(self._peer.open) <= 1 and not self._out and running_loop() is self._home:
            # Nothing else is on its way: nobody gains by its waiting for company.
            self._send_alone(frame)
            return
        if is_plain:
            self._out += frame
        else:
            self._out.add(frame)
        if self.is_borrowed or running_loop() is not self._home:
            # The loop is blocked, or a call that was held is sent in another thread: nobody may ever flush it later.
            self._flush()
        elif not self._is_scheduled:
            self._is_scheduled = True
            self._home.call_soon(self._flush_soon)

    def _send_alone(self, frame: bytes) -> None:
        rest = self._try_to_send(frame)
        if rest:
            self._out += rest
            self._flush()
        self._spin.sent()

    def _flush_soon(self) -> None:
        self._is_scheduled = False
        self.flush()
        self._spin.sent()

    def _read_soon(self) -> None:
        self._spin.arrived()
        self.read()

    def _watch_writable(self, *, is_wanted: bool) -> None:
        if running_loop() is not self._home:
            # Flushed by a thread that has borrowed the lane from its loop, or adopted it, or has sent a held call.
            if not self.pump.watch_writable(self, is_wanted=is_wanted) and is_wanted:
                self.take_back()
        elif is_wanted:
            self._home.add_writer(self.sock.fileno(), self.flush)
        else:
            self._home.remove_writer(self.sock.fileno())

    def take_back(self) -> None:
        """Sends in the loop what a thread that had borrowed the lane has left over."""
        if self._is_watched and self.loop is not None:
            self._is_watched = False
            with suppress(RuntimeError):
                self._home.call_soon_threadsafe(self.flush)

    def keep_pumped(self, result: PendingResult) -> None:
        """See `Lane.keep_pumped`."""
        if self._home.is_closed():
            self.adopt()
        # Borrowed also while its loop runs: whoever waits may block the loop's own thread, as a notebook does.
        self.pump.pump_until_done(result, borrowed=self)

    def adopt(self) -> None:
        """Hands the lane of a closed loop to the pump, for good."""
        if self.loop is None:
            return
        self.loop = None
        self.is_orphan = True
        self.pump.add(self)
        self.flush()

    def _close_socket(self) -> None:
        self.pump.forget(self)
        if self._home.is_closed():
            self.sock.close()
        elif running_loop() is self._home or not self._home.is_running():
            self._close_in_loop()
        else:
            # The loop watches the socket and runs in another thread: only there can it be told to stop.
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
            with suppress(RuntimeError):
                self._home.call_soon_threadsafe(self._close_in_loop)

    def _close_in_loop(self) -> None:
        fd = self.sock.fileno()
        if fd >= 0:
            self._home.remove_reader(fd)
            self._home.remove_writer(fd)
            self.sock.close()
