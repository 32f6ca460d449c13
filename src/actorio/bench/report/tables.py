"""The tables of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorio.bench import cells
from actorio.bench.cells import OURS
from actorio.bench.report.markup import Html, join, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actorio.bench.cells import Cell, Summary
    from actorio.bench.goals import Goal

# A change by less than this is no more than what two runs of the same differ in.
_NOTABLE = 1.1

_EMPTY = tag("td")

# A longer table is folded: the plot above it, or the first look at the page, is not far from the next.
_MOST_ROWS = 24
_MOST_ROWS_BELOW_A_PLOT = 10
# As many lines in a row of a table keep it readable on a small screen.
_MOST_LINES = 4


def singles_table(some: Sequence[Cell]) -> Html:
    """A row for each thing that lies on no curve, with everybody's numbers beside each other."""
    everybody, is_old = cells.contenders(some), any(cell.before for cell in some)
    has_kinds, metrics = any(cell.kind for cell in some), {cell.metric for cell in some}
    heads = ["case", *["kind"] * has_kinds, *["what"] * (len(metrics) > 1)]
    for name in everybody:
        heads += [name] if name == OURS or OURS not in everybody else [name, f"{OURS} : {name}"]
    heads += ["now : before"] * is_old

    def row(cell: Cell) -> list[Html]:
        found = [tag("td", cell.kind)] * has_kinds + [tag("td", cell.metric)] * (len(metrics) > 1)
        for name in everybody:
            found.append(_summary(cell.of(name), cell.unit))
            if name != OURS and OURS in everybody:
                found.append(_ratio(cell.ratio(name)))
        return found + [_change(cell)] * is_old

    bodies = [_body(case, [row(cell) for cell in own]) for case, own in _by_case(some)]
    return _folded(_table(_caption(some), heads, bodies), _MOST_ROWS)


def curves_table(some: Sequence[Cell]) -> Html:
    """A column for each place on some curves, a row for each case, kind and contender, and rows of ratios."""
    places = cells.places(some)
    is_old, has_kinds = any(cell.before for cell in some), any(cell.kind for cell in some)
    is_alone = len(cells.contenders(some)) == 1 and not is_old
    along = some[0].along
    texts = [cells.place_text(place, along) for place in places]
    heads = ["case", *["kind"] * has_kinds, *["who"] * (not is_alone), *texts]
    bodies = []
    for case, own in _by_case(some):
        rows: list[list[Html]] = []
        for kind in dict.fromkeys(cell.kind for cell in own):
            by_place = {cell.at: cell for cell in own if cell.kind == kind}
            found = _curve_rows([by_place.get(place) for place in places], is_old=is_old)
            rows += [[tag("td", kind)] * has_kinds + row[is_alone:] for row in found]
        bodies.append(_body(case, rows))
    return _folded(_table(f"{_caption(some)}, by {along}", heads, bodies), _MOST_ROWS_BELOW_A_PLOT)


def _curve_rows(row: Sequence[Cell | None], *, is_old: bool) -> list[list[Html]]:
    """The rows of one curve: what each contender did, then the ratios."""
    everybody = cells.contenders(cell for cell in row if cell)
    found = [
        [tag("td", name), *(_summary(cell.of(name), cell.unit) if cell else _EMPTY for cell in row)]
        for name in everybody
    ]
    for name in everybody if OURS in everybody else ():
        if name != OURS:
            ratios = [_ratio(cell.ratio(name)) if cell else _EMPTY for cell in row]
            found.append([tag("td", f"{OURS} : {name}"), *ratios])
    if is_old and OURS in everybody:
        found.append([tag("td", "now : before"), *(_change(cell) if cell else _EMPTY for cell in row)])
    return found


def goals_table(some: Sequence[Goal]) -> Html:
    """A row for each goal, with what does not hold it."""
    heads, bodies = ["suite", "goal", "held", "figures", "not held by"], []
    for suite, own in cells.grouped(some, lambda goal: goal.suite).items():
        rows = [[tag("td", goal.text), _verdict(goal), tag("td", goal.range), _exceptions(goal)] for goal in own]
        bodies.append(_body(suite, rows))
    return _table("Each goal, how many numbers hold it, and which do not", heads, bodies, class_="words")


def _verdict(goal: Goal) -> Html:
    return tag("td", ("✗ " if goal.missed else "✓ ") + goal.verdict)


def _exceptions(goal: Goal) -> Html:
    lines = [tag("div", each.where + ": ", tag("b", each.text)) for each in goal.exceptions]
    if len(lines) > _MOST_LINES:
        return tag("td", tag("details", tag("summary", f"{len(lines)} numbers"), *lines))
    return tag("td", *lines)


def _by_case(some: Iterable[Cell]) -> list[tuple[str, list[Cell]]]:
    return list(cells.grouped(some, lambda cell: cell.case).items())


def _caption(some: Sequence[Cell]) -> str:
    """What the numbers are."""
    metrics = dict.fromkeys((cell.metric, cell.unit, cell.better) for cell in some)
    return "; ".join(cells.headline(*each) for each in metrics)


def _table(caption: str, heads: Sequence[str], bodies: Sequence[Html], **attributes: str) -> Html:
    """A table in a box of its own, which scrolls on narrow screens, by keys too."""
    head = tag("thead", tag("tr", *(tag("th", each, scope="col") for each in heads)))
    inside = tag("table", tag("caption", caption), head, *bodies, **attributes)
    return tag("div", inside, class_="scroll", role="region", aria_label=f"Table: {caption}", tabindex="0")


def _folded(table: Html, most: int) -> Html:
    """Hides a table of more rows until somebody wants to see it."""
    # But for its head.
    rows = table.count("<tr>") - 1
    return table if rows <= most else tag("details", tag("summary", f"A table of {rows} rows"), table)


def _body(case: str, rows: Sequence[Sequence[Html]]) -> Html:
    """The rows of one case, whose name stands once."""
    first = tag("th", case, scope="rowgroup", rowspan=str(len(rows)))
    return tag("tbody", *(tag("tr", *[first] * (place == 0), *row) for place, row in enumerate(rows)))


def _summary(found: Summary | None, unit: str) -> Html:
    if found is None:
        return _EMPTY
    median, spread = cells.summary_texts(found, unit)
    return tag("td", tag("b", median), *_spread(found, spread))


def _ratio(found: Summary | None) -> Html:
    if found is None:
        return _EMPTY
    spread = f"{cells.ratio_text(found.low)} to {cells.ratio_text(found.high)}"
    return tag("td", tag("b", cells.ratio_text(found.median)), *_spread(found, spread), class_="ratio")


def _spread(found: Summary, text: str) -> list[Html]:
    """The quartiles, unless they say nothing."""
    return [join(" ", tag("small", text))] if found.low != found.high else []


def _change(cell: Cell) -> Html:
    """A change, with a sign where it is worth a look; a single sample is not."""
    ratio = cell.change()
    if ratio is None:
        return _EMPTY
    if cell.is_single():
        return tag("td", tag("b", cells.ratio_text(ratio)), " ", tag("small", "one sample"), class_="ratio")
    sign = "▲ " if ratio >= _NOTABLE else "▼ " if ratio <= 1 / _NOTABLE else ""
    return tag("td", tag("b", sign + cells.ratio_text(ratio)), class_="ratio")
