"""The lanes of the threads that have no event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorio._caller.corks import FREE_CALLS, FULL
from actorio._caller.interrupts import InterruptGate
from actorio._caller.lane import Lane
from actorio._model.travel import KeepingBytes

if TYPE_CHECKING:
    from actorio._caller.pending import PendingResult


class ThreadLane(Lane):
    """The lane of the threads that have no event loop: writes at once, or within a moment, read by the pump."""

    # Calls since the last time that all of them were sent together.
    _burst = 0
    _is_corked = False

    def _write(self, frame: bytes) -> None:
        if self._is_corked:
            if frame.__class__ is bytes:
                self._out += frame
            else:
                self._out.add(frame)
            if len(self._out) > FULL and not self._is_watched:
                with InterruptGate():
                    self._flush()
            return
        self._burst += 1
        if self._burst > FREE_CALLS or self._out or len(frame) > FULL or frame.__class__ is KeepingBytes:
            self._keep(frame)
            return
        rest = self._try_to_send(frame)
        if rest:
            self._keep(rest)

    def _keep(self, frame: bytes) -> None:
        # Ctrl-C before this line loses a call that nobody has a reference to; after it, the frame is sent whole.
        self._out.add(frame)
        if self._is_watched:
            return
        with InterruptGate():
            if len(self._out) > FULL or frame.__class__ is KeepingBytes:
                self._flush()
            else:
                self._is_corked = True
                self.pump.corks.add(self)

    def uncork(self) -> None:
        """Sends what is kept; the next calls leave at once."""
        self._burst = 0
        self._is_corked = False
        self.flush()

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
