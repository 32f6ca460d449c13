"""How long things took, in a room that does not grow."""

from __future__ import annotations

import math
from array import array

# Each bucket ends 2 % above where it begins, so that is how exact an answer is.
_STEP = math.log(1.02)
_SHORTEST, _LONGEST = 1e-6, 1e3


class Histogram:
    """Counts durations between a microsecond and a thousand seconds."""

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * (self._place(_LONGEST) + 1)))
        self.number = 0
        self.longest = 0.0

    def note(self, seconds: float) -> None:
        """Counts one more."""
        self._counts[self._place(min(seconds, _LONGEST))] += 1
        self.number += 1
        self.longest = max(self.longest, seconds)

    def quantile(self, part: float) -> float:
        """Returns the seconds within which such a part of all were done: 0.99 for the slowest but one in a hundred.

        Raises:
            ValueError: nothing was counted.
        """
        if not self.number:
            raise ValueError("nothing was counted")
        wanted = math.ceil(part * self.number)
        for place, count in enumerate(self._counts):
            wanted -= count
            if wanted <= 0:
                return min(_SHORTEST * math.exp((place + 1) * _STEP), self.longest)
        raise AssertionError("the counts add up to their number")

    @staticmethod
    def _place(seconds: float) -> int:
        return max(0, int(math.log(max(seconds, _SHORTEST) / _SHORTEST) / _STEP))
