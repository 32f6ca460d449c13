"""A comparison says what has become better or worse, and where that may be chance."""

import msgspec
from rich.console import Console
from tests.bench.findings import MACHINE, found, run_of

from actorio.bench.compare import NO_SPREAD, WITHIN, cautions, changes, comparison, unmatched


def printed(new, old):
    console = Console(width=100, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(comparison(new, old))
    return capture.get()


def test_a_change_is_how_many_times_as_good_it_has_become():
    seconds = {"unit": "s", "better": "less"}
    old = run_of(found(values=[100]), found("start", values=[4], **seconds))
    new = run_of(found(values=[150]), found("start", values=[1], **seconds))
    assert [change.ratio for change in changes(new, old)] == [1.5, 4]


def test_where_the_quartiles_overlap_it_says_so():
    old, near, far = run_of(found(values=[90, 100, 110])), run_of(found(values=[100, 109])), run_of(found(values=[200]))
    assert [change.is_within_spread for new in (near, far) for change in changes(new, old)] == [True, False]
    assert WITHIN in printed(near, old)
    assert WITHIN not in printed(far, old)


def test_only_what_both_have_measured_is_compared():
    old, new = run_of(found("batch"), found(contender="ray")), run_of(found("gather"), found(), found("batch"))
    assert [(change.cell.case, change.contender) for change in changes(new, old)] == [("batch", "actorio")]
    assert "nothing in common" in printed(run_of(found("gather")), old)


def test_of_a_single_sample_it_says_that_it_has_no_spread():
    several, one = run_of(found(values=[90, 100, 110])), run_of(found(values=[200]))
    assert [change.note for new in (several, one) for change in changes(new, one)] == [NO_SPREAD, NO_SPREAD]
    assert NO_SPREAD in printed(one, several)
    assert NO_SPREAD not in printed(several, several)


def test_what_only_one_run_has_measured_is_counted_and_some_of_it_named():
    old = run_of(found("batch"), *(found(case) for case in ("a", "b", "c", "d")))
    new = run_of(found("batch"), found("batch", contender="ray"))
    named = "; ".join(f"calls {case}, async: actorio" for case in ("a", "b", "c"))
    assert unmatched(new, old) == [
        "Measured only now, and left out: 1 (calls batch, async: ray).",
        f"Measured only before, and left out: 4 ({named}, ...).",
    ]
    assert unmatched(new, new) == []
    assert "Measured only before" in printed(new, old)


def test_places_on_a_curve_are_compared_one_by_one():
    old, new = run_of(found(values=[1], at=4096)), run_of(found(values=[3], at=4096), found(values=[9], at=1))
    assert [(change.cell.at, change.ratio) for change in changes(new, old)] == [(4096, 3)]
    assert "4,096" in printed(new, old)


def test_it_says_what_else_differs_between_the_runs():
    other = msgspec.structs.replace(MACHINE, python="3.13.0")
    assert cautions(run_of(), run_of()) == []
    assert cautions(run_of(machine=other), run_of(effort="quick")) == [
        "The runs differ in effort: quick and full.",
        "The runs differ in Python: 3.11.7 and 3.13.0.",
    ]
