"""Which plots a run asks for, and what is in them: read off the shape of its measurements. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from actorio.bench import cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actorio.bench.cells import Cell, Summary
    from actorio.bench.results import Better, Results

# The contender that is a yardstick rather than a rival, and the number of its colour: the last.
FLOOR = "floor"
NEUTRAL = -1

# A curve with fewer places is none.
_FEWEST_PLACES = 3

# Where the largest is this many times the smallest, a scale is logarithmic.
_WIDE = 20


@dataclass(frozen=True)
class Series:
    """Who did it in which form.

    Attributes:
        colour: The number of the colour that it has in all plots of its kind.
        shape: The number of its marker.
    """

    contender: str
    kind: str
    label: str
    colour: int
    shape: int


@dataclass(frozen=True)
class Line:
    """What one of them has done along a curve: the place, and what was found there."""

    series: Series
    points: list[tuple[float, Summary]]


@dataclass(frozen=True)
class Group:
    """Bars beside each other."""

    label: str
    bars: list[tuple[Series, Summary]]


@dataclass(frozen=True)
class Panel:
    """One pair of axes: lines or groups of bars."""

    title: str
    lines: list[Line]
    groups: list[Group]


@dataclass(frozen=True)
class Chart:
    """One plot.

    Attributes:
        name: For files and anchors.
        is_wide: Whether the measured numbers lie so far apart that their scale is logarithmic.
        along: What the places on its curves count; empty if there are bars.
        is_long: Whether they lie so far apart that their scale is logarithmic.
    """

    name: str
    suite: str
    title: str
    unit: str
    better: Better
    panels: list[Panel]
    is_wide: bool
    along: str = ""
    is_long: bool = False

    @property
    def series(self) -> list[Series]:
        """Everybody in it, once."""
        return list(dict.fromkeys(one for panel in self.panels for one, _ in marks(panel)))


def marks(panel: Panel) -> Iterator[tuple[Series, Summary]]:
    """Goes through everything that is drawn."""
    for line in panel.lines:
        yield from ((line.series, found) for _, found in line.points)
    for group in panel.groups:
        yield from group.bars


def charts(results: Results) -> list[Chart]:
    """Finds the plots of a run, suite by suite.

    Bars of one contender alone, and curves of one or two places, are none: tables say more.
    """
    some = cells.cells(results)
    everybody = cells.contenders(some)
    found = []
    for own in cells.grouped(some, lambda cell: cell.suite).values():
        singles = (together for together in cells.singles(own) if len(cells.contenders(together)) > 1)
        found += [_bars(together, everybody) for together in singles]
        curves = (together for together in cells.curves(own) if len(cells.places(together)) >= _FEWEST_PLACES)
        found += [_lines(together, everybody) for together in curves]
    return _named(found)


def _named(found: list[Chart]) -> list[Chart]:
    """Gives plots that would have the same name a number."""
    names: dict[str, Chart] = {}
    for chart in found:
        name, count = chart.name, 1
        while name in names:
            count += 1
            name = f"{chart.name}-{count}"
        names[name] = chart
    return [replace(chart, name=name) for name, chart in names.items()]


def _bars(some: list[Cell], everybody: list[str]) -> Chart:
    """A panel for each case with a group for each kind; if there are no kinds, one panel with a group for each case."""
    first, series = some[0], _series(some, everybody, is_bars=True)
    has_kinds = any(cell.kind for cell in some)
    by_panel: dict[str, list[Group]] = {}
    for cell in some:
        bars = [(series[name, cell.kind], found) for name in everybody if (found := cell.of(name))]
        panel, label = (cell.case, cell.kind) if has_kinds else ("", cell.case)
        by_panel.setdefault(panel, []).append(Group(label, bars))
    panels = [Panel(title, [], groups) for title, groups in by_panel.items()]
    return _chart(f"{first.suite}-{first.metric}", first, panels)


def _lines(some: list[Cell], everybody: list[str]) -> Chart:
    """A panel for each case, with a line for each contender and kind."""
    first, series = some[0], _series(some, everybody, is_bars=False)
    panels = []
    for case, own in cells.grouped(some, lambda cell: cell.case).items():
        lines = [Line(one, _points(own, one)) for one in series.values()]
        panels.append(Panel(case, [line for line in lines if line.points], []))
    is_long = _are_far_apart(cells.places(some))
    return _chart(f"{first.suite}-{first.metric}-by-{first.along}", first, panels, is_long=is_long)


def _chart(name: str, cell: Cell, panels: list[Panel], *, is_long: bool = False) -> Chart:
    """Puts panels together to the chart of all that is measured as this cell is."""
    return Chart(
        name=slug(name),
        suite=cell.suite,
        title=cell.metric,
        unit=cell.unit,
        better=cell.better,
        panels=panels,
        is_wide=_are_far_apart(found.median for panel in panels for _, found in marks(panel)),
        along=cell.along,
        is_long=is_long,
    )


def _points(some: list[Cell], series: Series) -> list[tuple[float, Summary]]:
    """What was found along one line, from left to right."""
    own = [cell for cell in some if cell.kind == series.kind and cell.at is not None]
    points = [(cell.at or 0.0, found) for cell in own if (found := cell.of(series.contender))]
    return sorted(points)


def _series(some: list[Cell], everybody: list[str], *, is_bars: bool) -> dict[tuple[str, str], Series]:
    """Names all who take part by what sets them apart. Contenders have colours; where there is one, its kinds have."""
    here, kinds = cells.contenders(some), list(dict.fromkeys(cell.kind for cell in some))
    is_alone = len(here) == 1 and not is_bars
    coloured = kinds if is_alone else [name for name in everybody if name != FLOOR]
    found: dict[tuple[str, str], Series] = {}
    for name in here:
        for kind in dict.fromkeys(cell.kind for cell in some if name in cell.measured):
            parts = [kind] if is_alone else [name] if is_bars or len(kinds) == 1 else [name, kind]
            own = kind if is_alone else name
            colour = coloured.index(own) if own in coloured else NEUTRAL
            found[name, kind] = Series(name, kind, ", ".join(filter(None, parts)) or name, colour, len(found))
    return found


def _are_far_apart(numbers: Iterable[float]) -> bool:
    """Whether a logarithmic scale shows these better. It cannot show zero."""
    numbers = list(numbers)
    return bool(numbers) and min(numbers) > 0 and max(numbers) > _WIDE * min(numbers)


def slug(text: str) -> str:
    """Makes a name for a file or an anchor out of any text."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "plot"
