"""What a row of latencies says. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """Finds the value that so many of a row are not above: one of the row, by the nearest rank.

    Of fewer than a hundred values, the 99th percentile is the greatest.

    Args:
        values: In any order.
        share: More than 0 and at most 1: 0.5 for the median, 0.99 for the 99th percentile.

    Raises:
        ValueError: there are no values, or `share` is out of range.
    """
    if not values:
        raise ValueError("no values, so no percentile")
    if not 0 < share <= 1:
        raise ValueError(f"share={share!r} is not in (0, 1]")
    # 0.07 * 100 is a little more than 7: what multiplying adds is no rank.
    rank = math.ceil(round(share * len(values), 9))
    return sorted(values)[rank - 1]
