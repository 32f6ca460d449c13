"""What is read off measurements: summaries, ratios between contenders, numbers with units. Pure.

Tables, comparisons and plots all show these, so that they show the same.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from actorio.bench.results import BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from actorio.bench.results import Better, Measurement, Results

T = TypeVar("T")
K = TypeVar("K", bound="Hashable")

# The contender that the others are held against.
OURS = "actorio"

# The units of one kind, each with how many of the one before make one of it.
_LADDERS: tuple[tuple[tuple[str, float], ...], ...] = (
    (("ns", 1), ("µs", 1000), ("ms", 1000), ("s", 1000)),
    (("B", 1), ("KiB", 1024), ("MiB", 1024), ("GiB", 1024)),
)


class Summary(NamedTuple):
    """What stands for a list of numbers: its median, and the quartiles between which half of them lie."""

    median: float
    low: float
    high: float


def summary(values: Iterable[float]) -> Summary | None:
    """Sums up some numbers; None if there is none."""
    numbers = sorted(values)
    if not numbers:
        return None
    return Summary(statistics.median(numbers), _quantile(numbers, 0.25), _quantile(numbers, 0.75))


def _quantile(numbers: Sequence[float], part: float) -> float:
    """Finds the place in sorted numbers; between two of them it goes on evenly, as `statistics.quantiles` does."""
    place = part * (len(numbers) - 1)
    below, above = numbers[math.floor(place)], numbers[math.ceil(place)]
    return below + (above - below) * (place - math.floor(place))


def times_as_good(ours: float, theirs: float, better: Better) -> float | None:
    """Says how many times as good ours is: above 1 where it is better, whether more is better or less.

    None unless both are above zero: how many times nothing, or less than nothing, cannot be said.
    """
    if ours <= 0 or theirs <= 0:
        return None
    return ours / theirs if better == "more" else theirs / ours


def ratios(ours: Measurement, theirs: Measurement) -> list[float]:
    """Says of each round how many times as good ours was as theirs.

    Rounds that one of them lacks are left out, and those of which it cannot be said.
    """
    pairs = zip(ours.values, theirs.values, strict=False)
    found = (times_as_good(mine, other, ours.better) for mine, other in pairs)
    return [ratio for ratio in found if ratio is not None]


def change(new: Measurement, old: Measurement) -> float | None:
    """Says how many times as good the median has become; None if it cannot be said.

    The rounds of two runs have nothing to do with each other, so they are not paired.
    """
    return times_as_good(new.median, old.median, new.better)


@dataclass(frozen=True)
class Cell:
    """One thing that was measured, by all who did it.

    Attributes:
        measured: What was found, by contender, in the order in which they came.
        before: What an older run has found, by contender.
    """

    suite: str
    case: str
    kind: str
    metric: str
    at: float | None
    along: str
    unit: str
    better: Better
    measured: dict[str, Measurement] = field(default_factory=dict)
    before: dict[str, Measurement] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What was done, and by which kind of actor."""
        return ", ".join(filter(None, (self.case, self.kind)))

    @property
    def rivals(self) -> list[str]:
        """All who are not ours."""
        return [name for name in self.measured if name != OURS]

    def of(self, contender: str) -> Summary | None:
        """Sums up what a contender has done; None if it has not."""
        found = self.measured.get(contender)
        return None if found is None else summary(found.values)

    def ratio(self, rival: str) -> Summary | None:
        """Sums up how many times as good ours is as a rival, round by round; None if there is nothing to sum up."""
        if OURS not in self.measured or rival not in self.measured:
            return None
        return summary(ratios(self.measured[OURS], self.measured[rival]))

    def change(self, contender: str = OURS) -> float | None:
        """Says how many times as good a contender is as in the older run; None if it cannot be said."""
        if contender not in self.measured or contender not in self.before:
            return None
        return change(self.measured[contender], self.before[contender])

    def is_single(self, contender: str = OURS) -> bool:
        """Whether this or the older run has a single number of a contender, which has no spread."""
        both = (self.measured.get(contender), self.before.get(contender))
        return any(found is not None and len(found.values) == 1 for found in both)


def cells(results: Results, old: Results | None = None) -> list[Cell]:
    """Puts together what belongs together, in the order in which it was measured."""
    found: dict[tuple[object, ...], Cell] = {}
    for each in results.measurements:
        new = Cell(each.suite, each.case, each.kind, each.metric, each.at, each.along, each.unit, each.better)
        found.setdefault((*each.cell, each.unit), new).measured[each.contender] = each
    for each in old.measurements if old else ():
        if cell := found.get((*each.cell, each.unit)):
            cell.before[each.contender] = each
    return list(found.values())


def grouped(some: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Puts together what has one key, wherever it stands; the keys come in the order in which they are first met."""
    found: dict[K, list[T]] = {}
    for each in some:
        found.setdefault(key(each), []).append(each)
    return found


def singles(some: Iterable[Cell]) -> list[list[Cell]]:
    """Puts together the cells of one metric that lie on no curve."""
    return list(grouped((cell for cell in some if cell.at is None), lambda cell: (cell.metric, cell.unit)).values())


def curves(some: Iterable[Cell]) -> list[list[Cell]]:
    """Puts together the cells that lie on curves of one metric along one thing."""
    on_curves = (cell for cell in some if cell.at is not None)
    return list(grouped(on_curves, lambda cell: (cell.metric, cell.unit, cell.along)).values())


def places(some: Iterable[Cell]) -> list[float]:
    """The places on some curves, from left to right."""
    return sorted({cell.at for cell in some if cell.at is not None})


def contenders(some: Iterable[Cell]) -> list[str]:
    """Names all who have done any of it: ours, the floor, the others in the order in which they came."""
    names = dict.fromkeys(name for cell in some for name in cell.measured)
    first = [name for name in (OURS, "floor") if name in names]
    return first + [name for name in names if name not in first]


def number(value: float) -> str:
    """Writes a number with as many digits as anybody wants to read: 12,345 or 12.3 or 0.0123."""
    size = abs(value)
    if size >= 100 or value == 0:  # noqa: PLR2004 - three digits before the point are enough
        return f"{value:,.0f}"
    # Three digits that count; the exponent of 0.999 rounded to them is 0, not -1.
    digits = 2 - math.floor(math.log10(float(f"{size:.2e}")))
    return f"{value:.{digits}f}" if digits <= 6 else f"{value:.2e}"  # noqa: PLR2004 - 0.00001 is still read


def scale(unit: str, size: float) -> tuple[float, str]:
    """Chooses the unit in which a number of some size is read most easily: seconds 0.00002 as microseconds.

    Returns:
        What to multiply with, and the unit's name. Units that have no smaller or larger ones stay as they are.
    """
    ladder = next((each for each in _LADDERS if unit in dict(each)), None)
    if ladder is None or size <= 0:
        return 1.0, unit
    place, factor = [name for name, _ in ladder].index(unit), 1.0
    while size * factor < 1 and place > 0:
        factor, place = factor * ladder[place][1], place - 1
    while place + 1 < len(ladder) and size * factor >= ladder[place + 1][1]:
        factor, place = factor / ladder[place + 1][1], place + 1
    return factor, ladder[place][0]


def is_on_ladder(unit: str) -> bool:
    """Whether a unit has smaller and larger ones."""
    return any(unit in dict(ladder) for ladder in _LADDERS)


def quantity(value: float, unit: str) -> str:
    """Writes a number in its best unit: "20 µs", "1.5 GiB", "12,345 /s"."""
    factor, name = scale(unit, abs(value))
    return f"{number(value * factor)} {name.removeprefix('1')}".rstrip()


def summary_texts(found: Summary, unit: str) -> tuple[str, str]:
    """Writes a median and its quartiles in the median's best unit: "20.1 µs" and "19.0 to 21.3"."""
    factor, _ = scale(unit, abs(found.median))
    return quantity(found.median, unit), f"{number(found.low * factor)} to {number(found.high * factor)}"


def headline(metric: str, unit: str, better: Better) -> str:
    """Says what some numbers are: "throughput (1/s), more is better"."""
    return f"{metric} ({unit}), {better} is better" if unit else f"{metric}, {better} is better"


def ratio_text(value: float) -> str:
    """Writes a ratio: "0.83x", "21.4x", "340x"."""
    return f"{value:.2f}x" if abs(value) < 10 else f"{number(value)}x"  # noqa: PLR2004 - 21.4, but 2.14


def place_text(place: float, along: str) -> str:
    """Writes a place on a curve: "1,000", or "64 KiB" along bytes."""
    if along == BYTES:
        factor, name = scale("B", place)
        return f"{place * factor:g} {name}"
    return f"{place:,.0f}" if place == int(place) else number(place)
