"""Figures in a page of the documentation: written from a run, between marks, so that it can be done again.

A mark says what stands below it; the words around are somebody's, and stay as they are:

    <!-- figures: concurrency sleep throughput p99 -->
    <!-- end of figures -->

That is a suite, a case of it, and metrics: a table with a row for each place on the curve and a column for each metric
of each kind. Others are:

- `figures: machine`: a line on what the numbers belong to;
- `figures: calls against floor, spinning floor: blocking, batch`: a row for each kind of these cases of a suite, with
  columns for actorio, each rival, and how many times as good actorio is;
- `figures: spawn`: a row for everything that a suite measures on no curve.

    python -m actorio.bench.figures RESULTS.json PAGE.md
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from actorio.bench.cells import OURS, cells, quantity
from actorio.bench.results import Measurement, Results, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorio.bench.cells import Cell

_MARKED = re.compile(r"<!-- figures: (?P<asked>.+?) -->\n.*?<!-- end of figures -->", re.DOTALL)
_AGAINST = re.compile(r"(?P<suite>\w+) against (?P<rivals>[^:]+): (?P<cases>.+)")
# What heads a column.
_WORDS = {
    "throughput": "calls a second",
    "p50": "p50",
    "p99": "p99",
    "cpu": "processor time a call",
    "memory": "memory",
}
_NOTHING = _TO = "–"  # noqa: RUF001 # as in all tables of these pages
_LARGE, _MIDDLE = 100, 10


def fill(page: str, results: Results) -> str:
    """Puts figures into a page.

    Args:
        page: Its text.
        results: Of a run.

    Returns:
        The text with everything between marks replaced.

    Raises:
        ValueError: there are no marks, or one asks for what the results have not got.
    """
    filled, count = _MARKED.subn(lambda mark: _between(mark["asked"], results), page)
    if not count:
        raise ValueError(
            "no marks for figures: write <!-- figures: SUITE CASE METRIC ... --> and <!-- end of figures -->"
        )
    return filled


def _between(asked: str, results: Results) -> str:
    if asked == "machine":
        text = _machine(results)
    elif against := _AGAINST.fullmatch(asked):
        text = _ratios(against["suite"], against["rivals"].split(", "), against["cases"].split(", "), results)
    elif " " not in asked:
        text = _singles(asked, results)
    else:
        text = _curves(asked, results.measurements)
    return f"<!-- figures: {asked} -->\n\n{text}\n\n<!-- end of figures -->"


def _machine(results: Results) -> str:
    machine = results.machine
    processors = "one processor" if machine.processors == 1 else f"{machine.processors} processors"
    return (
        f"{machine.processor}, {processors}, {machine.memory_gib:.0f} GiB, {machine.system}, Python {machine.python}; "
        f"{results.began[:10]}, `--effort {results.effort}`, load {machine.load:.1f} when it began."
    )


def _ratios(suite: str, rivals: list[str], cases: list[str], results: Results) -> str:
    some = [cell for cell in _on_no_curve(suite, results) if cell.case in cases]
    if missing := set(cases) - {cell.case for cell in some}:
        raise ValueError(f"the page asks for {', '.join(sorted(missing))} of {suite}, which these results have not got")
    head = ["", OURS, *(column for rival in rivals for column in (rival, "ratio", "quartiles"))]
    rows = [
        [cell.title, _median(cell, OURS), *(text for rival in rivals for text in _held(cell, rival))] for cell in some
    ]
    return "\n".join(map(_line, [head, ["---", *["---:"] * (len(head) - 1)], *rows]))


def _held(cell: Cell, rival: str) -> tuple[str, str, str]:
    ratio = cell.ratio(rival)
    if ratio is None:
        return _median(cell, rival), _NOTHING, _NOTHING
    return _median(cell, rival), f"{ratio.median:.2f}", f"{ratio.low:.2f}{_TO}{ratio.high:.2f}"


def _singles(suite: str, results: Results) -> str:
    rows = [[cell.title, cell.metric, _median(cell, OURS)] for cell in _on_no_curve(suite, results)]
    if not rows:
        raise ValueError(f"the page asks for {suite!r}, of which these results have nothing")
    return "\n".join(map(_line, [["", "", OURS], ["---", "---", "---:"], *rows]))


def _on_no_curve(suite: str, results: Results) -> list[Cell]:
    return [cell for cell in cells(results) if cell.suite == suite and cell.at is None]


def _median(cell: Cell, contender: str) -> str:
    found = cell.of(contender)
    return quantity(found.median, cell.unit) if found else _NOTHING


def _curves(asked: str, measurements: Sequence[Measurement]) -> str:
    suite, case, *metrics = asked.split()
    of_case = [one for one in measurements if (one.suite, one.case) == (suite, case)]
    missing = set(metrics) - {one.metric for one in of_case}
    if missing or not metrics:
        what = f"no {', '.join(sorted(missing))}" if missing else "no metric is named"
        raise ValueError(f"the page asks for {asked!r}: {what} in these results")
    # As dictionaries, which keep the order and hold nothing twice.
    kinds = list(dict.fromkeys(one.kind for one in of_case))
    columns = [(metric, kind) for metric in metrics for kind in kinds]
    there = {(one.metric, one.kind, one.at): one for one in of_case}
    units = {one.metric: one.unit for one in of_case}
    head = ["at a time", *(f"{kind}: {_heading(metric, units[metric])}" for metric, kind in columns)]
    places = sorted({one.at for one in of_case if one.at is not None})
    rows = [[f"{at:,.0f}", *(_cell(there.get((*column, at))) for column in columns)] for at in places]
    return "\n".join(map(_line, [head, ["---:"] * len(head), *rows]))


def _line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _heading(metric: str, unit: str) -> str:
    words = _WORDS.get(metric, metric)
    return words if metric == "throughput" else f"{words}, {unit}"


def _cell(measurement: Measurement | None) -> str:
    if measurement is None:
        return _NOTHING
    value = measurement.median
    return f"{value:,.0f}" if value >= _LARGE else f"{value:.1f}" if value >= _MIDDLE else f"{value:.2f}"


def main(arguments: Sequence[str]) -> None:
    """Writes the figures of a file of results into a page.

    Raises:
        SystemExit: there are not two arguments, or the page cannot be filled; in a line.
    """
    if len(arguments) != 2:  # noqa: PLR2004 # as the line says
        sys.exit("usage: python -m actorio.bench.figures RESULTS.json PAGE.md")
    results, page = map(Path, arguments)
    try:
        page.write_text(fill(page.read_text(encoding="utf-8"), load(results)), encoding="utf-8")
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    except ValueError as error:
        sys.exit(f"{page} is not filled: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
