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

from actorio._transport.descriptors import close_all
from actorio._transport.signals import set_handler

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
        self._heard, tell = self._pipe = os.pipe()
        for end in self._pipe:
            os.set_blocking(end, False)
        set_handler(_KNOCK, self._answer)
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)

    def close(self) -> None:
        """Hears no more of signals. In the main thread, when its loop runs no more."""
        signal.set_wakeup_fd(-1)
        signal.signal(_KNOCK, signal.SIG_DFL)
        close_all(self._pipe)

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
