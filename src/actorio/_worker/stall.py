"""The stall watch: tells, with its stack, when something holds an async actor's loop for too long.

A thread beats on the loop while calls arrive or run, and looks whether the last beat was answered. When nothing
happens it sleeps without any time-out: an idle actor burns no CPU. So it misses a callback that stalls the loop
while the actor has no call.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_PACKAGE = __file__.rpartition("_worker")[0]
_logger = logging.getLogger("actorio")


class StallWatch:
    """Watches one loop.

    Args:
        limit: how long one callback, or one step of a coroutine, may take, in seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, limit: float) -> None:
        self._loop = loop
        self._name = name
        self._limit = limit
        self._loop_thread = threading.get_ident()
        self._is_asleep = False
        self._alarm = threading.Event()
        self._beat_sent = self._beat_seen = 0.0
        self._is_noticed = True

    def start(self, is_running: Callable[[], bool]) -> None:
        """Starts the watching thread; ``is_running`` says whether any call runs. In the loop's thread."""
        threading.Thread(target=self._watch, args=(is_running,), name="actorio-stall-watch", daemon=True).start()

    def notice(self) -> None:
        """Says that something happens on the loop; cheap enough for every batch of calls."""
        self._is_noticed = True
        if self._is_asleep:
            self._is_asleep = False
            self._alarm.set()

    def _watch(self, is_running: Callable[[], bool]) -> None:
        while True:
            if not self._is_noticed and not is_running():
                self._sleep()
            self._is_noticed = False
            self._beat()
            time.sleep(self._limit / 2)
            self._check()

    def _sleep(self) -> None:
        self._alarm.clear()
        self._is_asleep = True
        # A batch that came before the line above did not see it, but left its mark.
        if self._is_noticed:
            self._is_asleep = False
            return
        self._alarm.wait()

    def _beat(self) -> None:
        self._beat_sent = time.monotonic()
        sent = self._beat_sent
        try:
            self._loop.call_soon_threadsafe(self._see, sent)
        except RuntimeError:
            # The loop has closed; the process ends.
            self._beat_seen = sent

    def _see(self, sent: float) -> None:
        self._beat_seen = sent

    def _check(self) -> None:
        reported = False
        while self._beat_seen < self._beat_sent:
            held = time.monotonic() - self._beat_sent
            if held >= self._limit and not reported:
                reported = True
                self._report(held)
            time.sleep(self._limit / 10)

    def _report(self, held: float) -> None:
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001  # the documented way to see another thread
        stack = "".join(traceback.format_list(_users(traceback.extract_stack(frame))))
        _logger.warning(
            "the event loop of the async actor %s has been held for %.2f s, and every call on it with it; "
            "await instead, or use `await asyncio.to_thread(...)`. It is here:\n%s",
            self._name,
            held,
            stack.rstrip(),
        )


def _users(frames: traceback.StackSummary) -> list[traceback.FrameSummary]:
    """Returns the frames below those of this package: the user's, and of what the user has called."""
    ours = [index for index, frame in enumerate(frames) if frame.filename.startswith(_PACKAGE)]
    # A callback in C has no frame of its own.
    return frames[ours[-1] + 1 :] or frames[-1:] if ours else list(frames)
