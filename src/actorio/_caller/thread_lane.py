"""The lanes of the threads that have no event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorio._caller.lane import Lane

if TYPE_CHECKING:
    from actorio._caller.pending import PendingResult


class ThreadLane(Lane):
    """The lane of the threads that have no event loop: writes at once, read by the pump."""

    def _write(self, frame: bytes) -> None:
        if self._out:
            self._out += frame
            return
        try:
            sent = self.sock.send(frame)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.is_lost = True
            return
        if sent < len(frame):
            self._out += frame[sent:]
            self._set_watched(is_wanted=True)

    def _drain(self) -> None:
        self.pump.drain()

    def _watch_writable(self, *, is_wanted: bool) -> None:
        self.pump.watch_writable(self, is_wanted=is_wanted)

    def keep_pumped(self, result: PendingResult) -> None:
        """See `Lane.keep_pumped`."""
        self.pump.pump_until_done(result)

    def _close_socket(self) -> None:
        self.pump.forget(self)
        self.sock.close()
