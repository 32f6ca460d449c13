"""What a run has found, as tables for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from actorio.bench.cells import (
    OURS,
    cells,
    contenders,
    grouped,
    number,
    place_text,
    places,
    quantity,
    ratio_text,
    scale,
)
from actorio.bench.goals import goals
from actorio.bench.machine import warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from actorio.bench.cells import Cell, Summary
    from actorio.bench.goals import Goal
    from actorio.bench.results import Machine, Results, Skipped


# The column of ratios; that of their quartiles is the last.
_RATIO = 4


def tables(results: Results) -> RenderableType:
    """Lays out a run: what it was made on, a table or several for each suite, what was left out."""
    parts: list[RenderableType] = [head(results)]
    held = grouped(goals(results), lambda goal: goal.suite)
    for suite, found in grouped(cells(results), lambda cell: cell.suite).items():
        parts += [Text(), Text(suite, "bold")]
        if single := [cell for cell in found if cell.at is None]:
            parts += _single_tables(single)
        parts += _curve_tables([cell for cell in found if cell.at is not None])
        if suite in held:
            parts += [Text("\ngoals", "italic"), *map(_goal_line, held[suite])]
    if results.skipped:
        parts += [Text(), Text("not measured", "bold"), *map(_skipped_line, results.skipped)]
    return Group(*parts)


def head(results: Results) -> Text:
    """Says what a run was made on, when, with how much effort; and warns if its numbers are not to be relied on."""
    text = Text(f"{_machine_line(results.machine)}\n")
    text.append(f"{', '.join(f'{name} {version}' for name, version in results.machine.versions.items())}\n", "dim")
    text.append(f"{results.began}, effort: {results.effort}, load before: {results.machine.load:.2f}", "dim")
    if words := warning(results.machine):
        text.append(f"\n{words}", "bold yellow")
    if results.early_end:
        text.append(f"\n{results.early_end}", "bold yellow")
    if results.effort == "smoke":
        text.append("\nA smoke run shows that everything runs. Its numbers mean nothing.", "bold yellow")
    return text


def _machine_line(machine: Machine) -> str:
    return (
        f"{machine.processors} of {machine.processor}, {machine.memory_gib:g} GiB, {machine.system}, "
        f"Python {machine.python}"
    )


def _skipped_line(skipped: Skipped) -> Text:
    return Text(f"{skipped.suite}, {skipped.contender}: {skipped.reason}")


def _goal_line(goal: Goal) -> Text:
    text = Text(f"{goal.text}: {goal.verdict} ({goal.range})")
    for figure in goal.exceptions:
        text.append(f"\n    not {figure.where}: {figure.text}", "bold yellow")
    return text


# --- cells, each with all who did it --------------------------------------------------------------------------------


def _single_tables(found: Sequence[Cell]) -> Iterator[RenderableType]:
    groups = grouped(found, lambda cell: cell.title)
    lines = {name: [line for cell in group for line in _lines(cell)] for name, group in groups.items()}
    headings: tuple[str, ...] = ("WHAT", "WHO", ">MEDIAN", ">QUARTILES", ">RATIO", ">QUARTILES")
    if not any(line.cells[_RATIO] for group in lines.values() for line in group):
        # Nobody is held against anybody.
        headings = headings[:_RATIO]
        lines = {name: [Line(line.cells[:_RATIO], line.is_dim) for line in group] for name, group in lines.items()}
    yield from small_tables(headings, lines)


def _lines(cell: Cell) -> Iterator[Line]:
    """A line for each contender; what is measured stands in the first of them."""
    metric = cell.metric
    for contender in contenders([cell]):
        found = cell.of(contender)
        if found is None:
            continue
        ratio = cell.ratio(contender) if contender != OURS else None
        ratios = (ratio_text(ratio.median), ratio_range(ratio)) if ratio else ("", "")
        cells_of_line = (metric, contender, quantity(found.median, cell.unit), spread_text(found, cell.unit), *ratios)
        yield Line(cells_of_line, is_dim=contender != OURS)
        metric = ""


def ratio_range(ratio: Summary) -> str:
    """Writes the quartiles of a ratio, as the ratio is written."""
    return "-".join(ratio_text(each).removesuffix("x") for each in (ratio.low, ratio.high))


def spread_text(found: Summary, unit: str) -> str:
    """Writes the quartiles, in the unit of the median."""
    factor, _ = scale(unit, abs(found.median))
    return f"{number(found.low * factor)}-{number(found.high * factor)}"


# --- curves ---------------------------------------------------------------------------------------------------------


def _curve_tables(found: Sequence[Cell]) -> Iterator[RenderableType]:
    """A table for each metric of each case: a line for each place, a column for each kind of each contender."""
    curves = grouped(found, lambda cell: (cell.case, cell.metric, cell.unit, cell.along))
    for (case, metric, _, _), on_it in curves.items():
        factor, unit = _unit_of(on_it)
        yield Text(f"\n{case}: {metric}" + (f" ({unit})" if unit else ""), "italic")
        yield _curve_table(on_it, factor)


def _unit_of(found: Sequence[Cell]) -> tuple[float, str]:
    """Chooses one unit for a table: the one in which its smallest number is read most easily."""
    medians = [abs(each.median) for cell in found for who in cell.measured if (each := cell.of(who)) and each.median]
    return scale(found[0].unit, min(medians, default=0.0))


def _curve_table(found: Sequence[Cell], factor: float) -> Table:
    along = found[0].along
    series = list(dict.fromkeys((cell.kind, who) for cell in found for who in contenders([cell])))
    # Whose column it is is said where there is somebody else.
    several = len({who for _, who in series}) > 1
    headings = [f"{who} {kind}".strip() if several or not kind else kind for kind, who in series]
    table = new_table(f">{along.upper()}", *(f">{heading.upper()}" for heading in headings))
    there = {(cell.at, cell.kind): cell for cell in found}
    for place in places(found):
        row = []
        for kind, who in series:
            cell = there.get((place, kind))
            row.append("-" if cell is None else _median_text(cell.of(who), factor))
        table.add_row(place_text(place, along), *row)
    return table


def _median_text(found: Summary | None, factor: float) -> str:
    if found is None:
        return "-"
    half = (found.high - found.low) / 2 / abs(found.median) if found.median else 0.0
    return number(found.median * factor) + (f" ±{half:.0%}" if half else "")


# --- what they are made of ------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """A line of a table."""

    cells: tuple[str, ...]
    is_dim: bool = False


def small_tables(headings: Sequence[str], groups: Mapping[str, Sequence[Line]]) -> Iterator[RenderableType]:
    """Yields a small table for each group below its name, with columns as wide as those of the others."""
    lines = [line.cells for group in groups.values() for line in group]
    widths = [max(map(len, column)) for column in zip(*lines, headings, strict=True)]
    for number_of_group, (name, group) in enumerate(groups.items()):
        table = new_table(*headings)
        # Said once is enough.
        table.show_header = number_of_group == 0
        for column, width in zip(table.columns, widths, strict=True):
            column.min_width = width
        for line in group:
            table.add_row(*map(escape, line.cells), style="dim" if line.is_dim else "")
        yield Text(f"\n{name}", "italic")
        yield table


def new_table(*headings: str) -> Table:
    """Returns an empty table without lines; a column whose heading begins with ``>`` is aligned at its right."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(escape(heading.removeprefix(">")), justify="right" if heading.startswith(">") else "left")
    return table
