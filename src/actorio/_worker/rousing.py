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
# How long it waits for an answer before it knocks again, in seconds: at first, and then twice as long each time until
# it gives up, which is when the main thread is in code that lets nobody in.
_PATIENCE, _LONGEST_PATIENCE = 0.005, 2.0


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

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to hear of signals."""
        loop.add_reader(self._heard, self._hear, loop)

    def _answer(self, _number: int, _frame: FrameType | None) -> None:
        self._is_answered = True

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        is_news = any(number != _KNOCK for number in os.read(self._heard, 4096))
        if is_news and self._is_answered and signal.getsignal(_KNOCK) == self._answer:
            self._is_answered = False
            self._knock(loop, _PATIENCE)

    def _knock(self, loop: asyncio.AbstractEventLoop, patience: float) -> None:
        if self._is_answered or patience > _LONGEST_PATIENCE:
            self._is_answered = True
            return
        signal.pthread_kill(self._sleeper, _KNOCK)
        loop.call_later(patience, self._knock, loop, patience * 2)
