"""What a run has found, as tables for a terminal."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from actorio.bench.cells import OURS, are_sizes, cells, contenders, number, place_text, quantity, ratio_text, scale
from actorio.bench.machine import warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from actorio.bench.cells import Cell, Summary
    from actorio.bench.results import Machine, Results, Skipped


def tables(results: Results) -> RenderableType:
    """Lays out a run: what it was made on, a table or several for each suite, what was left out."""
    parts: list[RenderableType] = [head(results)]
    for suite, group in groupby(cells(results), key=lambda cell: cell.suite):
        found = list(group)
        parts += [Text(), Text(suite, "bold")]
        if single := [cell for cell in found if cell.at is None]:
            parts.append(_single_table(single))
        parts += _curve_tables([cell for cell in found if cell.at is not None])
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


# --- cells, each with all who did it --------------------------------------------------------------------------------


def _single_table(found: Sequence[Cell]) -> Table:
    """A line for each contender. Lines repeat nothing that the line above them says."""
    table = new_table("CASE", "KIND", "WHAT", "WHO", ">MEDIAN", ">HALF OF THE ROUNDS", ">ACTORIO IS", ">HALF OF THEM")
    above: tuple[str, ...] = ()
    for cell in found:
        names = (cell.case, cell.kind, cell.metric)
        shown = tuple("" if above[: place + 1] == names[: place + 1] else name for place, name in enumerate(names))
        if shown[0] and above:
            table.add_section()
        above = names
        for contender, line in _lines(cell):
            table.add_row(*shown, contender, *line, style="" if contender == OURS else "dim")
            shown = ("", "", "")
    return table


def _lines(cell: Cell) -> Iterator[tuple[str, tuple[str, ...]]]:
    for contender in contenders([cell]):
        found = cell.of(contender)
        if found is None:
            continue
        ratio = cell.ratio(contender) if contender != OURS else None
        ratios = (ratio_text(ratio.median), f"{ratio.low:.2f}-{ratio.high:.2f}") if ratio else ("", "")
        yield contender, (quantity(found.median, cell.unit), spread_text(found, cell.unit), *ratios)


def spread_text(found: Summary, unit: str) -> str:
    """Writes the quartiles, in the unit of the median."""
    factor, _ = scale(unit, abs(found.median))
    return f"{number(found.low * factor)}-{number(found.high * factor)}"


# --- curves ---------------------------------------------------------------------------------------------------------


def _curve_tables(found: Sequence[Cell]) -> Iterator[RenderableType]:
    """A table for each metric of each case: a line for each place, a column for each kind of each contender."""
    curves: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in found:
        curves.setdefault((cell.case, cell.metric, cell.unit), []).append(cell)
    for (case, metric, _), on_it in curves.items():
        factor, unit = _unit_of(on_it)
        yield Text(f"\n{case}: {metric}" + (f" ({unit})" if unit else ""), "italic")
        yield _curve_table(on_it, factor)


def _unit_of(found: Sequence[Cell]) -> tuple[float, str]:
    """Chooses one unit for a table: the one in which its smallest number is read most easily."""
    medians = [abs(each.median) for cell in found for who in cell.measured if (each := cell.of(who)) and each.median]
    return scale(found[0].unit, min(medians, default=0.0))


def _curve_table(found: Sequence[Cell], factor: float) -> Table:
    series = list(dict.fromkeys((cell.kind, who) for cell in found for who in contenders([cell])))
    # Whose column it is is said where there is somebody else.
    several = len({who for _, who in series}) > 1
    headings = [f"{who} {kind}".strip() if several or not kind else kind for kind, who in series]
    table = new_table(">AT", *(f">{heading.upper()}" for heading in headings))
    there = {(cell.at, cell.kind): cell for cell in found}
    places = sorted({cell.at for cell in found if cell.at is not None})
    for place in places:
        row = [
            _median_text(there[place, kind].of(who), factor) if (place, kind) in there else "-" for kind, who in series
        ]
        table.add_row(place_text(place, is_size=are_sizes(places)), *row)
    return table


def _median_text(found: Summary | None, factor: float) -> str:
    if found is None:
        return "-"
    half = (found.high - found.low) / 2 / abs(found.median) if found.median else 0.0
    return number(found.median * factor) + (f" ±{half:.0%}" if half else "")


def new_table(*headings: str) -> Table:
    """Returns an empty table without lines; a column whose heading begins with ``>`` is aligned at its right."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    return table
