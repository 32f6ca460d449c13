"""Ctrl-C while a lane is being read: raised while the thread waits, deferred while it handles what it read.

Python runs signal handlers between any two steps of the main thread. A KeyboardInterrupt between receiving bytes
and noting them would lose a reply; a notebook goes on after Ctrl-C and must find its lanes whole.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Self

# The public functions spend microseconds on turning numbers into enumerations.
try:
    from _signal import getsignal as _get_handler  # type: ignore[import-not-found]
    from _signal import signal as _set_handler
except ImportError:  # an interpreter without the private module
    _get_handler, _set_handler = signal.getsignal, signal.signal


class InterruptGate:
    """Holds back SIGINT in the main thread between `close` and `open`; does nothing in other threads.

    As a context manager it takes SIGINT over from the handler in force, and gives it back.
    """

    __slots__ = ("_previous", "is_open", "pending")

    def __init__(self) -> None:
        self._previous: Any = None
        self.is_open = False
        self.pending: FrameType | None = None

    def __enter__(self) -> Self:
        if threading.get_ident() == threading.main_thread().ident:
            previous = _get_handler(signal.SIGINT)
            if callable(previous):
                self._previous = previous
                _set_handler(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            _set_handler(signal.SIGINT, self._previous)
            self.deliver()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_open:
            self._previous(number, frame)
        else:
            self.pending = frame

    def open(self) -> None:
        """From here on a signal is handled at once; one that came before is handled now."""
        self.is_open = True
        if self.pending is not None:
            self.deliver()

    def close(self) -> None:
        """From here on signals wait."""
        self.is_open = False

    def deliver(self) -> None:
        """Handles now what came while the gate was closed."""
        frame, self.pending = self.pending, None
        if frame is not None:
            self._previous(signal.SIGINT, frame)
