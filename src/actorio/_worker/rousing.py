"""No signal is overslept by the main thread of a threaded actor.

Python runs signal handlers in the main thread, between two steps of the program. A signal that comes just before that
thread falls asleep on a lock is noted and wakes nobody: its handler would run with the next call, if one ever comes.
The mailbox's loop hears of every signal through a pipe, and knocks at the main thread until it has answered.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from types import FrameType

# What it knocks with: nobody else needs that signal, and a process that does not know it ignores it.
_KNOCK = signal.SIGURG
# How long it waits for an answer before it knocks again, in seconds: at first, and at most.
_PATIENCE, _LONGEST_PATIENCE = 0.005, 1.0


class Rouser:
    """Made in the main thread; the rest runs in the thread of the loop."""

    def __init__(self) -> None:
        self._sleeper = threading.get_ident()
        self._is_answered = True
        self._heard, tell = os.pipe()
        for end in (self._heard, tell):
            os.set_blocking(end, False)
        signal.signal(_KNOCK, self._answer)
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        # A child's signals are its own.
        os.register_at_fork(after_in_child=_tell_nobody)

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to hear of signals."""
        loop.add_reader(self._heard, self._hear, loop)

    def _answer(self, _number: int, _frame: FrameType | None) -> None:
        self._is_answered = True

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        if any(number != _KNOCK for number in os.read(self._heard, 4096)) and self._is_answered:
            self._is_answered = False
            self._knock(loop, _PATIENCE)

    def _knock(self, loop: asyncio.AbstractEventLoop, patience: float) -> None:
        if not self._is_answered:
            signal.pthread_kill(self._sleeper, _KNOCK)
            loop.call_later(patience, self._knock, loop, min(patience * 2, _LONGEST_PATIENCE))


def _tell_nobody() -> None:
    signal.set_wakeup_fd(-1)
