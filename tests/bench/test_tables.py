"""Tables say what was found, by whom, and on what."""

import msgspec
from rich.console import Console
from tests.bench.findings import MACHINE, found, run_of, skipped

from actorio.bench.machine import warning
from actorio.bench.tables import tables


def printed(results, width=80):
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(tables(results))
    return capture.get()


def lines_with(word, text):
    return [line.split() for line in text.splitlines() if word in line]


def test_each_contender_has_a_line_with_median_quartiles_and_how_many_times_as_good_actorio_is():
    text = printed(run_of(found(values=[90, 100, 110]), found(contender="floor", values=[200, 200, 200])))
    assert "blocking, async" in text
    assert lines_with("actorio  ", text) == [["calls", "actorio", "100", "/s", "95.0-105"]]
    assert lines_with("floor  ", text) == [["floor", "200", "/s", "200-200", "0.50x", "0.47-0.53"]]


def test_where_there_is_no_rival_there_are_no_ratios():
    text = printed(run_of(found()))
    assert lines_with("WHAT", text) == [["WHAT", "WHO", "MEDIAN", "QUARTILES"]]


def test_where_less_is_better_the_ratio_is_turned_round():
    seconds = {"unit": "s", "better": "less", "metric": "time"}
    text = printed(run_of(found(values=[0.001], **seconds), found(contender="ray", values=[0.04], **seconds)))
    assert lines_with("ray", text) == [["ray", "40.0", "ms", "40.0-40.0", "40.0x", "40.0-40.0"]]


def test_a_curve_has_a_line_for_each_place_and_a_column_for_each_kind():
    curve = [
        found("sleep", values=[at * speed], at=at, kind=kind)
        for kind, speed in (("threaded", 10), ("async", 20))
        for at in (1, 4, 16)
    ]
    text = printed(run_of(*curve))
    assert "sleep: calls (1/s)" in text
    assert lines_with("MAX_", text) == [["MAX_CONCURRENCY", "THREADED", "ASYNC"]]
    assert lines_with("16", text)[-1] == ["16", "160", "320"]


def test_a_place_that_one_kind_lacks_is_a_gap():
    text = printed(run_of(found("sleep", values=[5], at=1, kind="a"), found("sleep", values=[6], at=2, kind="b")))
    assert lines_with("2  ", text)[-1] == ["2", "-", "6.00"]


def test_rows_that_take_turns_with_others_are_all_there():
    rows = [found(case, kind=kind, values=[1.0]) for kind in ("async", "threaded") for case in ("blocking", "batch")]
    text = printed(run_of(*rows, found("other", suite="spawn"), found("blocking", kind="async", metric="p99")))
    assert [line.strip() for line in text.splitlines() if ", " in line and "Python" not in line][-5:-1] == [
        "blocking, async",
        "batch, async",
        "blocking, threaded",
        "batch, threaded",
    ]
    assert len(lines_with("actorio", text)) == 6


def test_the_head_names_the_machine_and_the_versions():
    text = printed(run_of(found()))
    assert "2 of Abacus, 8 GiB, Linux, Python 3.11.7" in text
    assert "uvloop 1" in text
    assert "effort: full, load before: 0.10" in text


def test_the_head_warns_of_a_busy_machine_and_of_a_smoke_run():
    busy = msgspec.structs.replace(MACHINE, load=1.2)
    assert (warning(MACHINE), "a load of 1.20 on 2 processors" in warning(busy)) == ("", True)
    text = printed(run_of(found(), machine=busy, effort="smoke"))
    assert "The machine was busy" in text
    assert "Its numbers mean nothing" in text


def test_what_was_not_measured_is_named_with_the_reason():
    assert "calls, ray: not installed" in printed(run_of(found(), skipped=[skipped()]))


def test_a_run_that_found_nothing_has_a_head():
    assert "Abacus" in printed(run_of())


def test_goals_stand_below_a_suites_tables_with_what_does_not_hold_them():
    below = [found(values=[79]), found(contender="floor", values=[100])]
    above = [found("batch", values=[80]), found("batch", contender="floor", values=[100])]
    text = printed(run_of(*below, *above))
    assert "0.8 of the floor (one at a time: of the spinning floor): 1 of 2 (0.79x to 0.80x)" in " ".join(text.split())
    assert lines_with("    not ", text) == [["not", "blocking,", "async:", "0.79x"]]
    assert "0.8 of the floor (one at a time: of the spinning floor): no (0.79x)" in printed(run_of(*below))
    assert "goals" not in printed(run_of(found()))


def test_the_table_of_calls_fits_80_columns():
    sides = [("actorio", 123_456), ("spinning floor", 234_567), ("xoscar stateless", 12_345)]
    text = printed(run_of(*(found("await, with deadline", who, [rate], kind="single-threaded") for who, rate in sides)))
    assert "…" not in text
    assert all(
        len(lines) == 1 for lines in (lines_with(who, text) for who in ("spinning floor  ", "xoscar stateless "))
    )
