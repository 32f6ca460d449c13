"""One blocking call with bytes as its argument, or as its result: how does its time grow with their size?

Values change their way with their size: from 64 KiB on, they are received into memory of their own, from 256 KiB on,
they lie in shared memory. Where a way ends and the next begins, the time should not leap. So it is also measured 1 KiB
below and above each of these sizes; the ratio of the two times is the step. (Closer to the size nothing could be told:
what stands around the bytes counts, too.)
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import actorio

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = tuple(64 << 2 * power for power in range(8))
THRESHOLDS = (64 << 10, 256 << 10)
MARGIN = 1 << 10
# Calls take longer the larger they are; so many bytes are as long as a call itself.
_BYTES_OF_A_CALL = 64 << 10


class Payloads:
    """Takes bytes, and gives bytes."""

    def __init__(self) -> None:
        self._given = b""

    def take(self, _payload: bytes) -> None:
        """Takes them."""

    def give(self, size: int) -> bytes:
        """Gives them."""
        if len(self._given) != size:
            self._given = bytes(size)
        return self._given


def all_sizes() -> list[int]:
    """Returns the sizes to measure, those around thresholds among them."""
    around = {threshold + side for threshold in THRESHOLDS for side in (-MARGIN, MARGIN)}
    return sorted({*SIZES, *around})


def ways(actor: Any) -> dict[str, Callable[[int, int], float]]:
    """Returns how a payload goes there and back, by the name of the case; each takes a size and a number of calls."""
    return {
        "payload, argument": lambda size, calls: _seconds(actor.take, bytes(size), calls),
        "payload, result": lambda size, calls: _seconds(actor.give, size, calls),
    }


def calls_of(size: int, calls: int) -> int:
    """Returns how many calls with so large a payload take about as long as so many calls without."""
    return max(3, calls * _BYTES_OF_A_CALL // (_BYTES_OF_A_CALL + size))


def _seconds(method: Any, value: object, calls: int) -> float:
    """Returns the seconds that a call takes."""
    begun = time.perf_counter()
    for _ in range(calls):
        actorio.get(method.remote(value))
    return (time.perf_counter() - begun) / calls
