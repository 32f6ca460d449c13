"""Figures in a page of the documentation: written from a run, between marks, so that it can be done again.

A mark says what stands below it; the words around are somebody's, and stay as they are:

    <!-- figures: concurrency sleep throughput p99 -->
    <!-- end of figures -->

That is a suite, a case of it, and metrics: a table with a row for each place on the curve and a column for each metric
of each kind. `<!-- figures: machine -->` is a line on what the numbers belong to.

    python -m actorio.bench.figures RESULTS.json PAGE.md
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from actorio.bench.results import Measurement, Results, load

if TYPE_CHECKING:
    from collections.abc import Sequence

_MARKED = re.compile(r"<!-- figures: (?P<asked>.+?) -->\n.*?<!-- end of figures -->", re.DOTALL)
# What heads a column.
_WORDS = {
    "throughput": "calls a second",
    "p50": "p50",
    "p99": "p99",
    "cpu": "processor time a call",
    "memory": "memory",
}
_NOTHING = "–"  # noqa: RUF001 # as in all tables of these pages
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
    text = _machine(results) if asked == "machine" else _table(asked, results.measurements)
    return f"<!-- figures: {asked} -->\n\n{text}\n\n<!-- end of figures -->"


def _machine(results: Results) -> str:
    machine = results.machine
    processors = "one processor" if machine.processors == 1 else f"{machine.processors} processors"
    return (
        f"{machine.processor}, {processors}, {machine.memory_gib:.0f} GiB, {machine.system}, Python {machine.python}; "
        f"{results.began[:10]}, `--effort {results.effort}`, load {machine.load:.1f} when it began."
    )


def _table(asked: str, measurements: Sequence[Measurement]) -> str:
    suite, case, *metrics = asked.split()
    of_case = [one for one in measurements if (one.suite, one.case) == (suite, case)]
    missing = set(metrics) - {one.metric for one in of_case}
    if missing or not metrics:
        what = f"no {', '.join(sorted(missing))}" if missing else "no metric is named"
        raise ValueError(f"the page asks for {asked!r}: {what} in these results")
    # As dictionaries, which keep the order and hold nothing twice.
    kinds = list(dict.fromkeys(one.kind for one in of_case))
    columns = [(metric, kind) for metric in metrics for kind in kinds]
    cells = {(one.metric, one.kind, one.at): one for one in of_case}
    units = {one.metric: one.unit for one in of_case}
    head = ["at a time", *(f"{kind}: {_heading(metric, units[metric])}" for metric, kind in columns)]
    places = sorted({one.at for one in of_case if one.at is not None})
    rows = [[f"{at:,.0f}", *(_cell(cells.get((*column, at))) for column in columns)] for at in places]
    return "\n".join(map(_line, [head, ["---:"] * len(head), *rows]))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _heading(metric: str, unit: str) -> str:
    words = _WORDS.get(metric, metric)
    return words if metric == "throughput" else f"{words}, {unit}"


def _cell(measurement: Measurement | None) -> str:
    if measurement is None:
        return _NOTHING
    value = measurement.median
    return f"{value:,.0f}" if value >= _LARGE else f"{value:.1f}" if value >= _MIDDLE else f"{value:.2f}"


def main(arguments: Sequence[str]) -> None:
    """Writes the figures of a file of results into a page."""
    results, page = map(Path, arguments)
    page.write_text(fill(page.read_text(encoding="utf-8"), load(results)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
