"""Draws charts: the one place that knows matplotlib's figures. It uses no state that other programs could share."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from actorio.bench import cells
from actorio.bench.report import ticks
from actorio.bench.results import BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from actorio.bench.report.charts import Chart, Group, Line, Panel, Series
    from actorio.bench.report.themes import Theme

    # Where a scale begins, where it ends, and its ticks.
    _Scale = tuple[float, float, list[float]]

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
_DASHES: tuple[tuple[int, tuple[float, ...]], ...] = ((0, ()), (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))

# Widths and heights in inches.
_WIDE, _MIDDLE, _NARROW = 10.6, 6.8, 4.4
_CURVE = 2.5
_BAR = 0.19
_AROUND_BARS = 0.55
_ABOVE = 0.75

# Between groups of bars, in bars.
_GAP = 0.6
# The part of a panel that the longest bar takes: its name and number stand behind it.
_BAR_PART = 0.62
_NARROW_BAR_PART = 0.5

# How many letters a label may have in a line, and a line in all.
_LETTERS, _MOST_LETTERS = 20, 60

# In points.
_SMALL, _USUAL, _TITLE = 8, 9, 10.5


def draw(chart: Chart, theme: Theme, *, is_narrow: bool) -> Figure:
    """Draws a chart for a wide page, its panels beside each other, or for a narrow one, below each other."""
    columns = 1 if is_narrow else min(len(chart.panels), 3 if chart.along else 2)
    width = _NARROW if is_narrow else (_MIDDLE if columns == 1 else _WIDE)
    rows = [chart.panels[start : start + columns] for start in range(0, len(chart.panels), columns)]
    heights = [max(_height(panel) for panel in row) for row in rows]
    layout = ConstrainedLayoutEngine(h_pad=0.09, w_pad=0.06)
    figure = Figure(figsize=(width, sum(heights) + _ABOVE), facecolor=theme.paper, layout=layout)
    grid = figure.subplots(len(rows), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    scale = None if chart.along else _bar_scale(chart, _NARROW_BAR_PART if is_narrow else _BAR_PART)
    for axes, panel in zip(grid.flat, chart.panels, strict=False):
        _dress(axes, panel.title, theme)
        _draw_bars(axes, chart, panel, theme, scale) if scale else _draw_lines(axes, chart, panel, theme)
    for axes in list(grid.flat)[len(chart.panels) :]:
        axes.remove()
    _title(figure, chart, theme, columns=columns)
    return figure


def headline(chart: Chart) -> str:
    """Says what a chart shows: "concurrency: throughput (1/s), more is better"."""
    words = cells.headline(chart.title, chart.unit, chart.better)
    return words if chart.title == chart.suite else f"{chart.suite}: {words}"


def _short(text: str, most: int = _LETTERS) -> str:
    """Cuts off what would push the drawing out of its frame; the tables have the whole."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _wrapped(text: str, lines: int) -> str:
    """Writes a label in a few short lines."""
    return "\n".join(textwrap.wrap(text, _LETTERS, max_lines=lines, placeholder=" …"))


def _height(panel: Panel) -> float:
    if panel.lines:
        return _CURVE
    return _BAR * sum(len(group.bars) + _GAP for group in panel.groups) + _AROUND_BARS


def _dress(axes: Axes, title: str, theme: Theme) -> None:
    """Gives a panel its colours, and no more frame than it needs."""
    axes.set_facecolor("none")
    axes.set_title(_short(title, 2 * _LETTERS), loc="left", fontsize=_USUAL, fontweight="bold", color=theme.ink)
    axes.tick_params(colors=theme.quiet, labelsize=_SMALL, length=0)
    axes.grid(visible=True, color=theme.rule, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(theme.rule)


def _title(figure: Figure, chart: Chart, theme: Theme, *, columns: int) -> None:
    """Says above what is shown, and who is who; below what the places on the curves are."""
    if not chart.along:
        figure.suptitle(_short(headline(chart), _MOST_LETTERS), x=0.01, ha="left", fontsize=_TITLE, color=theme.ink)
        return
    figure.supxlabel(chart.along, fontsize=_USUAL, color=theme.quiet)
    legend = figure.legend(
        handles=[
            Line2D([], [], label=_short(series.label, 2 * _LETTERS), **_look(series, chart, theme))
            for series in chart.series
        ],
        title=_short(headline(chart), _MOST_LETTERS),
        title_fontsize=_TITLE,
        alignment="left",
        loc="outside upper left",
        ncols=2 * columns,
        fontsize=_USUAL,
        frameon=False,
        handlelength=3.2,
        labelcolor=theme.ink,
    )
    legend.get_title().set_color(theme.ink)


def _look(series: Series, chart: Chart, theme: Theme) -> dict[str, Any]:
    """Colour, dashes and marker of a line: each alone tells it from the others."""
    colour = theme.series[series.colour % len(theme.series)]
    return {
        "color": colour,
        "linestyle": _DASHES[chart.series.index(series) % len(_DASHES)],
        "marker": _MARKERS[series.shape % len(_MARKERS)],
        "linewidth": 1.6,
        "markersize": 4.5,
    }


def _draw_lines(axes: Axes, chart: Chart, panel: Panel, theme: Theme) -> None:
    for line in panel.lines:
        _draw_line(axes, chart, line, theme)
    places = [place for line in panel.lines for place, _ in line.points]
    if chart.is_long:
        axes.set_xscale("log")
    is_size = chart.along == BYTES
    found = ticks.places(places, is_size=is_size, is_long=chart.is_long)
    texts = [cells.place_text(each, BYTES) if is_size else ticks.text(each) for each in found]
    _label(axes.xaxis, found, texts)
    _scale_up(axes, chart, panel)


def _draw_line(axes: Axes, chart: Chart, line: Line, theme: Theme) -> None:
    """A median with the band between the quartiles."""
    places = [place for place, _ in line.points]
    look = _look(line.series, chart, theme)
    axes.plot(places, [found.median for _, found in line.points], **look)
    lows, highs = [found.low for _, found in line.points], [found.high for _, found in line.points]
    axes.fill_between(places, lows, highs, color=look["color"], alpha=0.18, linewidth=0)


def _scale_up(axes: Axes, chart: Chart, panel: Panel) -> None:
    """Lets the vertical scale begin at zero, or be logarithmic."""
    found = [each for line in panel.lines for _, each in line.points]
    high = max(max(each.high, each.median) for each in found)
    if chart.is_wide:
        # All panels show equal ratios at about equal heights: none has less than a decade.
        low, high = min(each.median for each in found) / 1.4, high * 1.4
        low = min(low, high / 10)
        axes.set_yscale("log")
        where = ticks.decades(low, high)
    else:
        low, high = min(0.0, *(each.low for each in found)), high * 1.08 or 1.0
        where = ticks.even(high)
    axes.set_ylim(low, high)
    _label(axes.yaxis, where, [ticks.text(each, chart.unit) for each in where])


def _draw_bars(axes: Axes, chart: Chart, panel: Panel, theme: Theme, scale: _Scale) -> None:
    """Bars from top to bottom in groups, each with its name and number behind it."""
    low, high, where = scale
    if chart.is_wide:
        axes.set_xscale("log")
    axes.set_xlim(low, high)
    top, middles = 0.0, []
    for group in panel.groups:
        _draw_group(axes, chart, group, theme, top)
        middles.append(top + (len(group.bars) - 1) / 2)
        top += len(group.bars) + _GAP
    axes.set_ylim(top - _GAP - 0.5 + 0.1, -0.6)
    axes.grid(visible=False, axis="y")
    _label(axes.xaxis, where, [ticks.text(each, chart.unit) for each in where])
    _label(axes.yaxis, middles, [_wrapped(group.label, len(group.bars) + 1) for group in panel.groups])


def _draw_group(axes: Axes, chart: Chart, group: Group, theme: Theme, top: float) -> None:
    for place, (series, found) in enumerate(group.bars):
        y, start = top + place, axes.get_xlim()[0]
        axes.barh(
            y, found.median - start, left=start, height=0.78, color=theme.series[series.colour % len(theme.series)]
        )
        axes.plot([found.low, found.high], [y, y], color=theme.ink, linewidth=1.2, solid_capstyle="butt")
        axes.annotate(
            _short(f"{series.label}  {cells.quantity(found.median, chart.unit)}", 2 * _LETTERS),
            (max(found.median, found.high), y),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=_SMALL,
            color=theme.ink,
        )


def _bar_scale(chart: Chart, part: float) -> _Scale:
    """Where the scale of all panels begins and ends, and its ticks; right of the longest bar there is room for text."""
    bars = [found for panel in chart.panels for group in panel.groups for _, found in group.bars]
    high = max(max(each.median, each.high) for each in bars)
    if not chart.is_wide:
        low = min(0.0, *(min(each.median, each.low) for each in bars))
        return low, low + (high - low) / part or 1.0, ticks.even(high)
    low = 10 ** (math.floor(math.log10(min(each.median for each in bars) * 0.7)))
    return low, low * (high / low) ** (1 / part), ticks.decades(low, high)


def _label(axis: Axis, where: Sequence[float], words: Sequence[str]) -> None:
    """Puts ticks where they are wanted, and nowhere else."""
    texts = dict(zip(where, words, strict=True))
    axis.set_major_locator(FixedLocator(list(where)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: texts.get(value, "")))
