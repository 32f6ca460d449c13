"""What has become of the numbers since an older run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from actorio.bench.cells import cells, contenders, grouped, place_text, quantity, ratio_text, summary
from actorio.bench.tables import Line, small_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from actorio.bench.cells import Cell, Summary
    from actorio.bench.results import Results

# What is said of a change that may be none.
WITHIN = "within the spread"
NO_SPREAD = "one sample, no spread"

# So many of what only one run has measured are named.
_NAMED = 3


@dataclass(frozen=True)
class Change:
    """What one contender has done in one cell, in both runs.

    Attributes:
        ratio: How many times as good it has become; None where that cannot be said.
        is_single: Whether one of the runs has a single sample, whose spread nobody knows.
    """

    cell: Cell
    contender: str
    old: Summary
    new: Summary
    ratio: float | None
    is_single: bool

    @property
    def note(self) -> str:
        """What is said of a change that may be none."""
        return NO_SPREAD if self.is_single else WITHIN if self.is_within_spread else ""

    @property
    def is_within_spread(self) -> bool:
        """Whether the quartiles of the two runs overlap, so that the change may be none."""
        return self.old.low <= self.new.high and self.new.low <= self.old.high


def changes(new: Results, old: Results) -> list[Change]:
    """Finds what both runs have measured, in the order of the new one."""
    return [change for cell in cells(new, old) for change in _changes_of(cell)]


def _changes_of(cell: Cell) -> Iterator[Change]:
    for contender in contenders([cell]):
        before = cell.before.get(contender)
        old, new = before and summary(before.values), cell.of(contender)
        if old and new:
            yield Change(cell, contender, old, new, cell.change(contender), cell.is_single(contender))


def comparison(new: Results, old: Results) -> RenderableType:
    """Lays out what has changed, as a table for a terminal."""
    parts: list[RenderableType] = [Text(f"from {old.began} to {new.began}", "bold")]
    parts += [Text(each, "bold yellow") for each in cautions(new, old)]
    parts += [Text(each, "dim") for each in unmatched(new, old)]
    groups = grouped(changes(new, old), lambda change: f"{change.cell.suite}: {change.cell.title}")
    found = {name: [_line(change) for change in group] for name, group in groups.items()}
    if not found:
        return Group(*parts, Text("The two runs have nothing in common."))
    return Group(*parts, *small_tables(("WHAT", ">AT", "WHO", ">BEFORE", ">NOW", ">TIMES AS GOOD", ""), found))


def _line(change: Change) -> Line:
    cell = change.cell
    cells_of_line = (
        cell.metric,
        "" if cell.at is None else place_text(cell.at, cell.along),
        change.contender,
        quantity(change.old.median, cell.unit),
        quantity(change.new.median, cell.unit),
        "-" if change.ratio is None else ratio_text(change.ratio),
        change.note,
    )
    return Line(cells_of_line, is_dim=bool(change.note))


def unmatched(new: Results, old: Results) -> list[str]:
    """Says how much only one of two runs has measured, which is not compared, and names some of it."""
    ours, theirs = _named(new), _named(old)
    only = {
        "now": [ours[key] for key in ours if key not in theirs],
        "before": [theirs[k] for k in theirs if k not in ours],
    }
    return [f"Measured only {when}, and left out: {_some(names)}." for when, names in only.items() if names]


def _named(results: Results) -> dict[tuple[object, ...], str]:
    found = ((cell, contender) for cell in cells(results) for contender in cell.measured)
    return {(cell.measured[who].cell, cell.unit, who): f"{cell.suite} {cell.title}: {who}" for cell, who in found}


def _some(names: list[str]) -> str:
    # Places of one curve have one name.
    different = list(dict.fromkeys(names))
    more = ", ..." if len(different) > _NAMED else ""
    return f"{len(names)} ({'; '.join(different[:_NAMED])}{more})"


def cautions(new: Results, old: Results) -> list[str]:
    """Says what else differs between two runs, and may be what a change comes from."""
    differing = {
        "effort": (old.effort, new.effort),
        "processor": (old.machine.processor, new.machine.processor),
        "processors": (old.machine.processors, new.machine.processors),
        "system": (old.machine.system, new.machine.system),
        "Python": (old.machine.python, new.machine.python),
    }
    return [f"The runs differ in {name}: {a} and {b}." for name, (a, b) in differing.items() if a != b]
