"""How often something has started of late, held against a rate.

Pure: the time is an argument, in seconds of a clock that does not go back.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actorio._model.concurrency import Rate


class Starts:
    """The last starts of a method: as many of them as its rate allows in one period, and no more.

    The promise: of those that `may_start` allowed and `note` counted, never more than ``rate.count`` lie in any
    ``rate.period`` seconds; the beginning of these counts as within, the end does not.
    """

    __slots__ = ("_period", "_times")

    def __init__(self, rate: Rate) -> None:
        self._period = rate.period
        self._times: deque[float] = deque(maxlen=rate.count)

    def may_start(self, now: float) -> bool:
        """May another one start?"""
        times = self._times
        return len(times) != times.maxlen or times[0] + self._period <= now

    def note(self, now: float) -> None:
        """One starts. It counts even if it was not allowed."""
        times = self._times
        # Threads may take the time in one order and come here in another: the later time allows less.
        times.append(now if not times or now > times[-1] else times[-1])

    def free_at(self) -> float:
        """Returns when the next one may start."""
        times = self._times
        return times[0] + self._period if len(times) == times.maxlen else float("-inf")
