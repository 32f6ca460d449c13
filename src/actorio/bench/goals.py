"""What actorio is meant to reach, and whether a run has reached it. Pure.

A goal is held against every number of a run that it speaks of. Goals of which a run has measured nothing are left out,
so a run of a few suites, or one with less effort, has fewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actorio.bench.cells import OURS, cells, grouped, place_text, quantity, ratio_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from actorio.bench.cells import Cell
    from actorio.bench.results import Results

# From the number of processors on, a crowd's total rate should not fall. Totals of equal crowds differ by as much.
_NO_FALL = 0.9
_CROWD = "callers and actors"


@dataclass(frozen=True)
class Figure:
    """One number that a goal speaks of.

    Attributes:
        where: What was measured: "blocking, async".
        text: The number with its unit.
        is_held: Whether it is as good as the goal says, or better.
    """

    where: str
    value: float
    text: str
    is_held: bool


@dataclass(frozen=True)
class Goal:
    """What a suite should show: figures, at least one."""

    suite: str
    text: str
    figures: tuple[Figure, ...]

    @property
    def missed(self) -> list[Figure]:
        """The figures that are not good enough."""
        return [each for each in self.figures if not each.is_held]

    @property
    def exceptions(self) -> list[Figure]:
        """Those to be named: where there is one figure, the goal has said all."""
        return self.missed if len(self.figures) > 1 else []

    @property
    def range(self) -> str:
        """The figures in short: "0.71x to 1.02x", or the only one."""
        low, high = (pick(self.figures, key=lambda each: each.value).text for pick in (min, max))
        return low if low == high else f"{low} to {high}"

    @property
    def verdict(self) -> str:
        """How many figures hold it: "22 of 24", or of one alone "yes" or "no"."""
        if len(self.figures) == 1:
            return "no" if self.missed else "yes"
        return f"{len(self.figures) - len(self.missed)} of {len(self.figures)}"


def goals(results: Results) -> list[Goal]:
    """Holds a run against all that it can be held against, in the order of the suites."""
    some = cells(results)
    found = [
        *_of_calls([cell for cell in some if (cell.suite, cell.metric, cell.at) == ("calls", "calls", None)]),
        _goal("calls", f"n callers x n actors: no fall beyond the processors, {_NO_FALL} at least", _crowds(results)),
        *(_goal(each.suite, each.text, each.figures(some)) for each in _LIMITS),
    ]
    return [goal for goal in found if goal.figures]


def _goal(suite: str, text: str, figures: Iterable[Figure]) -> Goal:
    return Goal(suite, text, tuple(figures))


# --- ratios of calls ------------------------------------------------------------------------------------------------


def _of_calls(some: Sequence[Cell]) -> Iterator[Goal]:
    """Holds each cell against those who did the same."""
    yield _goal("calls", "0.8 of the floor (one at a time: of the spinning floor)", _ratios(some, _floor_of, 0.8))
    yield _goal("calls", "20 times Ray", _ratios(some, lambda _: "ray", 20))
    yield _goal("calls", "4 times xoscar", _ratios(some, lambda _: "xoscar", 4))
    yield _goal("calls", "ahead of a manager's proxy", _ratios(some, lambda _: "managers", 1))


def _floor_of(cell: Cell) -> str:
    # Where it was measured: one call at a time is mostly being woken up, unless one does not fall asleep at once.
    return "spinning floor" if "spinning floor" in cell.measured else "floor"


def _ratios(some: Iterable[Cell], rival: Callable[[Cell], str], least: float) -> Iterator[Figure]:
    for cell in some:
        if ratio := cell.ratio(rival(cell)):
            yield Figure(cell.title, ratio.median, ratio_text(ratio.median), ratio.median >= least)


def _crowds(results: Results) -> Iterator[Figure]:
    """Holds crowds of more than the processors against the largest that is not."""
    on_curves = (cell for cell in cells(results) if (cell.suite, cell.along) == ("calls", _CROWD))
    for curve in grouped(on_curves, lambda cell: cell.title).values():
        rates = {cell.at: found.median for cell in curve if cell.at is not None and (found := cell.of(OURS))}
        most = max((at for at in rates if at <= results.machine.processors), default=None)
        for at in sorted(rates):
            if most is not None and at > most and rates[most] > 0:
                ratio = rates[at] / rates[most]
                where = f"{curve[0].case}, n = {at:g} : n = {most:g}"
                yield Figure(where, ratio, ratio_text(ratio), ratio >= _NO_FALL)


# --- limits ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limit:
    """A bound for medians of ours.

    Attributes:
        case: Of this one alone; "" for all in which the metric was measured.
        bound: In the unit of the measurement; the most where less is better, else the least.
    """

    suite: str
    text: str
    metric: str
    bound: float
    case: str = ""
    kind: str = ""

    def figures(self, some: Iterable[Cell]) -> Iterator[Figure]:
        """Finds what it speaks of."""
        for cell in some:
            found = cell.of(OURS)
            if found is None or (cell.suite, cell.metric) != (self.suite, self.metric):
                continue
            if self.case in {"", cell.case} and self.kind in {"", cell.kind}:
                is_held = found.median <= self.bound if cell.better == "less" else found.median >= self.bound
                yield Figure(_where(cell), found.median, quantity(found.median, cell.unit), is_held)


def _where(cell: Cell) -> str:
    return cell.title if cell.at is None else f"{cell.title}, {place_text(cell.at, cell.along)}"


_LIMITS = (
    Limit("calls", "payloads: no step above 1.5 where values go another way", "step", 1.5),
    Limit("spawn", "300 actors a second", "created and answering", 300),
    Limit("spawn", "init in 0.2 s", "init", 0.2),
    Limit("spawn", "import in 0.1 s", "import", 0.1),
    Limit("spawn", "1,000 actors answer in 5 s", "answering", 5, case="1,000 actors"),
    Limit("spawn", "shutdown of 1,000 actors in 2 s", "shutdown", 2, case="1,000 actors"),
    Limit("memory", "3 MiB for an idle actor", "memory", 3, case="idle actor"),
    Limit("memory", "4 GiB for 1,000 actors in all", "memory", 4096, case="1,000 actors", kind="in all"),
    Limit("soak", "memory is flat: no process grows by 1 MiB", "memory", 1, kind="growth"),
    Limit("soak", "no process gains descriptors", "descriptors", 0, kind="growth"),
)
