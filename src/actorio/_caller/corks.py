"""Corks: calls that a script makes in quick succession leave together.

A system call for each of a thousand calls costs more than the rest of making them. So after the first few calls of a
burst, frames are kept for a moment: until the thread waits for a result, a few kilobytes have come together, or half
a millisecond has passed, whichever is first.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from actorio._transport.threads import start_thread

if TYPE_CHECKING:
    from actorio._caller.thread_lane import ThreadLane

# The first calls of a burst leave at once: most scripts make one call, and wait for it.
FREE_CALLS = 8
FULL = 8192
# The longest that a frame is kept, in seconds, when nobody waits for a result.
DELAY = 0.0005


class Corks:
    """The corked lanes of a process, and the thread that sees to it that no frame is kept for long."""

    def __init__(self) -> None:
        self._corked: deque[ThreadLane] = deque()
        # A queue and not an event: Ctrl-C in the midst of ringing must leave no lock behind.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._lock = threading.Lock()

    def add(self, lane: ThreadLane) -> None:
        """Sends what a lane keeps, soon."""
        self._corked.append(lane)
        if self._thread is None:
            self._start()
        if self._thread is None:
            self.pop_all()
        self._bell.put(None)

    def pop_all(self) -> None:
        """Sends what all lanes keep, now: the thread is about to wait."""
        while self._corked:
            try:
                lane = self._corked.popleft()
            except IndexError:
                return
            lane.uncork()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._is_closed:
                self._thread = start_thread(self._run, "actorio-corks")

    def _run(self) -> None:
        while not self._is_closed:
            self._bell.get()
            time.sleep(DELAY)
            self.pop_all()

    def close(self) -> None:
        """Ends the thread."""
        with self._lock:
            self._is_closed = True
        self._bell.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
