"""The page: what it was measured on, how to read it, and a section for each suite."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from actorio.bench import cells
from actorio.bench.compare import unmatched
from actorio.bench.goals import goals
from actorio.bench.machine import warning
from actorio.bench.report import charts, pictures, tables
from actorio.bench.report.drawing import headline
from actorio.bench.report.markup import Html, join, prose, tag
from actorio.bench.report.themes import DARK, LIGHT
from actorio.bench.suites import NAMES, OPTIONAL, load_suite

if TYPE_CHECKING:
    from actorio.bench.cells import Cell
    from actorio.bench.report.charts import Chart
    from actorio.bench.results import Machine, Results
    from actorio.bench.suite import Suite

_HOW_TO_READ = (
    "Each number is the median of several rounds, and the two below it are the quartiles, between which half of the "
    "rounds lie. Ratios say how many times as good the first is as the second: above 1 it is better, whether more or "
    "less is better. Contenders take turns, and each round gives one ratio between two numbers that were found within "
    "a moment of each other; so a machine that is slow for a while changes rates, but hardly ratios. The floor is the "
    "same work done by bare Python programs over one Unix socket."
)
_HOW_TO_READ_GOALS = (
    "What actorio is meant to reach on an ordinary machine at rest, held against each median that it speaks of. Goals "
    "of which this run has measured nothing are left out."
)
_HOW_TO_COMPARE = (
    "“Now : before” says how many times as good the median is as that of the older run. Runs at different times differ "
    "by some percent without a reason; changes of a tenth and more are marked."
)


def write(results: Results, old: Results | None) -> str:
    """Writes the whole page."""
    some = cells.cells(results, old)
    names = list(dict.fromkeys([cell.suite for cell in some] + [each.suite for each in results.skipped]))
    plots = charts.charts(results)
    sections = [_section(name, results, some, plots) for name in names]
    inside = join(_header(results, old), _contents(names, some), _reading(old), _goals(results), tag("main", *sections))
    head = join(
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        tag("title", f"actorio bench, {results.began}"),
        tag("style", Html(_style())),
    )
    return "<!DOCTYPE html>\n" + tag("html", tag("head", head), tag("body", inside), lang="en") + "\n"


def _style() -> str:
    """The style sheet with the colours of both themes."""
    text = resources.files("actorio.bench.report").joinpath("style.css").read_text(encoding="utf-8")
    for theme in (LIGHT, DARK):
        variables = " ".join(f"{name}: {colour};" for name, colour in theme.variables.items())
        text = text.replace(f"/* {theme.name} */", variables)
    return text


def _header(results: Results, old: Results | None) -> Html:
    parts = [tag("h1", "actorio bench"), tag("p", f"{results.began}, effort “{results.effort}”", class_="quiet")]
    parts.append(_machine(results.machine))
    if results.early_end:
        parts.append(_note(results.early_end))
    if results.effort == "smoke":
        parts.append(_note("This run only shows that everything works: its numbers say nothing."))
    if words := warning(results.machine):
        parts.append(_note(words))
    if old:
        parts += [*_older(results.machine, old), *(tag("p", each) for each in unmatched(results, old))]
    return tag("header", *parts)


def _older(machine: Machine, old: Results) -> list[Html]:
    """What the older run was, and its machine if it was another one."""
    is_same = (machine.processor, machine.processors) == (old.machine.processor, old.machine.processors)
    what = f"Compared to a run of {old.began}, effort “{old.effort}”, "
    versions = ", ".join(f"{name} {version}" for name, version in old.machine.versions.items())
    if is_same:
        return [tag("p", what + f"on the same processor with Python {old.machine.python}, {versions}.")]
    return [_note(what + "on another machine: ratios between the two runs say little."), _machine(old.machine)]


def _note(text: str) -> Html:
    return tag("p", text, class_="note")


def _machine(machine: Machine) -> Html:
    """What the numbers belong to."""
    facts = {
        "System": machine.system,
        "Processor": machine.processor or "unknown",
        "Processors": str(machine.processors),
        "Memory": cells.quantity(machine.memory_gib, "GiB"),
        "Load before the run": f"{machine.load:.2f}",
        "Python": machine.python,
    }
    found = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    if versions:
        found.append(tag("div", tag("dt", "Versions"), tag("dd", versions), class_="broad"))
    return tag("dl", *found)


def _contents(names: list[str], some: list[Cell]) -> Html:
    """Links to all suites, and to the curves in each."""
    items = []
    for name in names:
        own = cells.curves(cell for cell in some if cell.suite == name)
        metrics = [found[0].metric for found in own]
        links = []
        for found in own:
            text = found[0].metric if metrics.count(found[0].metric) == 1 else _curve_title(found)
            links.append(tag("li", tag("a", text, href=f"#{_curve_anchor(found)}")))
        items.append(tag("li", tag("a", name, href=f"#{_anchor(name)}"), *[tag("ul", *links)] * bool(links)))
    return tag("nav", tag("ul", *items), aria_label="Contents") if items else _note("Nothing was measured.")


def _reading(old: Results | None) -> Html:
    texts = [_HOW_TO_READ, *[_HOW_TO_COMPARE] * bool(old)]
    return tag("section", tag("h2", "How to read it", id="reading"), *(tag("p", text) for text in texts))


def _goals(results: Results) -> Html:
    """What the run should have reached, and has or has not."""
    found = goals(results)
    if not found:
        return join()
    title = tag("h2", "Goals", id="goals")
    return tag("section", title, tag("p", _HOW_TO_READ_GOALS), tables.goals_table(found), aria_labelledby="goals")


def _anchor(suite: str) -> str:
    return f"suite-{charts.slug(suite)}"


def _section(name: str, results: Results, some: list[Cell], plots: list[Chart]) -> Html:
    """What one suite has found: in words, in plots, in tables."""
    suite, own = _known(name), [cell for cell in some if cell.suite == name]
    parts = [tag("h2", f"{name}: {suite.title}" if suite else name, id=_anchor(name))]
    parts += [prose(suite.about)] if suite else []
    parts += _skipped(name, results)
    mine = [chart for chart in plots if chart.suite == name]
    parts += [_figure(chart) for chart in mine if not chart.along]
    if found := [cell for cell in own if cell.at is None]:
        parts += [tables.singles_table(found)]
    for found in cells.curves(own):
        what = found[0].metric, found[0].unit, found[0].along
        parts.append(tag("h3", _curve_title(found), id=_curve_anchor(found)))
        parts += [_figure(chart) for chart in mine if (chart.title, chart.unit, chart.along) == what]
        parts.append(tables.curves_table(found))
    return tag("section", *parts, aria_labelledby=_anchor(name))


def _curve_title(some: list[Cell]) -> str:
    return f"{some[0].metric} by {some[0].along}"


def _curve_anchor(some: list[Cell]) -> str:
    return charts.slug(f"{some[0].suite} {_curve_title(some)} {some[0].unit}")


def _known(name: str) -> Suite | None:
    """The suite, if it is here: a file may come from another version, and what a suite needs may not be installed."""
    try:
        return load_suite(name) if name in (*NAMES, *OPTIONAL) else None
    except ImportError:
        return None


def _skipped(name: str, results: Results) -> list[Html]:
    own = [each for each in results.skipped if each.suite == name]
    items = [tag("li", tag("b", each.contender), f": {each.reason}") for each in own]
    return [tag("p", "Not measured:"), tag("ul", *items)] if items else []


def _figure(chart: Chart) -> Html:
    """A plot as two drawings, for wide and for narrow screens, of which the style sheet shows one."""
    drawings = [_drawing(chart, is_narrow=is_narrow) for is_narrow in (False, True)]
    return tag("figure", *drawings, tag("figcaption", _caption(chart)), id=f"plot-{chart.name}")


def _drawing(chart: Chart, *, is_narrow: bool) -> Html:
    name = "narrow" if is_narrow else "wide"
    label, words = f"{chart.name}-{name}-title", f"{chart.name}-{name}-words"
    opening = f'<svg class="{name}" role="img" aria-labelledby="{label} {words}"'
    title = tag("title", headline(chart), id=label) + tag("desc", _description(chart), id=words)
    drawn = pictures.svg(chart, is_narrow=is_narrow).replace("<svg", opening, 1)
    place = drawn.index(">") + 1
    return Html(drawn[:place] + title + drawn[place:])


def _caption(chart: Chart) -> str:
    """How to read a plot."""
    scale = "Logarithmic scale" if chart.is_wide else "Linear scale"
    if not chart.along:
        return f"Medians; the thin lines go from quartile to quartile. {scale}."
    each = " Each panel has a scale of its own." if len(chart.panels) > 1 else ""
    return f"Medians by {chart.along}; the bands go from quartile to quartile. {scale}.{each}"


def _description(chart: Chart) -> str:
    """Says in words what is drawn, for those who do not see it; the numbers stand in the tables."""
    panels = ", ".join(panel.title for panel in chart.panels if panel.title)
    who = ", ".join(dict.fromkeys(series.label for series in chart.series))
    what = f"Lines over {chart.along}" if chart.along else "Bars"
    return f"{what} for {who}" + (f"; panels: {panels}" if panels else "") + ". The tables below have the numbers."
