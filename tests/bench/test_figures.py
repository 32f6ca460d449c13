import re

import pytest

from actorio.bench.figures import fill, main
from actorio.bench.results import Machine, Measurement, Results, save

MACHINE = Machine(
    system="Linux 6.1", processor="x86_64", processors=2, memory_gib=7.6, load=0.1, python="3.11.7", versions={}
)


def measured(kind, at, value, metric="throughput", unit="1/s"):
    return Measurement(
        suite="concurrency",
        case="sleep",
        kind=kind,
        at=at,
        along="max_concurrency",
        contender="actorio",
        metric=metric,
        unit=unit,
        better="more",
        values=[value],
    )


RESULTS = Results(
    machine=MACHINE,
    began="2026-01-02T03:04:05+00:00",
    effort="quick",
    measurements=[
        measured("threaded", 1000, 12345.6),
        measured("threaded", 1, 47.61),
        measured("async", 1, 0.125),
        measured("async", 1, 21.0, "p99", "ms"),
    ],
    skipped=[],
)
PAGE = "# Title\n\nwords\n\n<!-- figures: {} -->\nold\n<!-- end of figures -->\n\nmore words\n"


def test_a_table_stands_between_the_marks_and_the_words_stay():
    assert fill(PAGE.format("concurrency sleep throughput"), RESULTS) == (
        "# Title\n\nwords\n\n<!-- figures: concurrency sleep throughput -->\n\n"
        "| at a time | threaded: calls a second | async: calls a second |\n"
        "| ---: | ---: | ---: |\n"
        "| 1 | 47.6 | 0.12 |\n"
        "| 1,000 | 12,346 | \N{EN DASH} |\n"
        "\n<!-- end of figures -->\n\nmore words\n"
    )


def test_columns_say_their_unit_and_stand_metric_by_metric():
    head = fill(PAGE.format("concurrency sleep throughput p99"), RESULTS).splitlines()[6]
    assert re.findall(r"(\w+: [\w ,]+) \|", head) == [
        "threaded: calls a second",
        "async: calls a second",
        "threaded: p99, ms",
        "async: p99, ms",
    ]


def test_filling_again_changes_nothing():
    once = fill(PAGE.format("concurrency sleep throughput") + PAGE.format("machine"), RESULTS)
    assert fill(once, RESULTS) == once
    assert (
        "x86_64, 2 processors, 8 GiB, Linux 6.1, Python 3.11.7; 2026-01-02, `--effort quick`, load 0.1 when it began."
        in once
    )


def calls(case, contender, *values):
    fields = {"suite": "calls", "metric": "calls", "unit": "1/s", "better": "more", "kind": "async"}
    return Measurement(**fields, case=case, contender=contender, values=list(values))


CALLS = Results(
    machine=MACHINE,
    began="",
    effort="quick",
    measurements=[
        calls("batch", "actorio", 800, 900),
        calls("batch", "floor", 1000, 1000),
        calls("await", "actorio", 5),
    ],
    skipped=[],
)


def test_cases_are_held_against_rivals():
    assert fill(PAGE.format("calls against floor: batch, await"), CALLS).splitlines()[6:10] == [
        "|  | actorio | floor | ratio | quartiles |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| batch, async | 850 /s | 1,000 /s | 0.85 | 0.83\N{EN DASH}0.88 |",
        "| await, async | 5.00 /s | \N{EN DASH} | \N{EN DASH} | \N{EN DASH} |",
    ]


def test_all_that_a_suite_measures_on_no_curve_can_stand_in_a_table():
    assert fill(PAGE.format("calls"), CALLS).splitlines()[8:10] == [
        "| batch, async | calls | 850 /s |",
        "| await, async | calls | 5.00 /s |",
    ]


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("no marks", "no marks"),
        (PAGE.format("concurrency sleep throughput joy"), "no joy"),
        (PAGE.format("concurrency nap p99"), "no p99"),
        (PAGE.format("concurrency sleep"), "no metric"),
        (PAGE.format("spawn"), "nothing"),
        (PAGE.format("calls against floor: blocking"), "blocking of calls"),
    ],
)
def test_a_page_that_cannot_be_filled_is_refused(page, reason):
    with pytest.raises(ValueError, match=reason):
        fill(page, RESULTS)


def test_a_page_is_filled_from_a_file_of_results(tmp_path):
    save(RESULTS, tmp_path / "results.json")
    page = tmp_path / "page.md"
    page.write_text(PAGE.format("concurrency sleep p99"), encoding="utf-8")
    main([str(tmp_path / "results.json"), str(page)])
    assert page.read_text(encoding="utf-8") == fill(PAGE.format("concurrency sleep p99"), RESULTS)


def test_what_cannot_be_done_is_said_in_a_line(tmp_path):
    save(RESULTS, tmp_path / "results.json")
    page = tmp_path / "page.md"
    page.write_text("no marks")
    for arguments, words in (
        ([], "usage: python -m actorio.bench.figures RESULTS.json PAGE.md"),
        ([str(tmp_path / "none.json"), str(page)], "none.json: No such file"),
        ([str(tmp_path / "results.json"), str(page)], "page.md is not filled: no marks"),
    ):
        with pytest.raises(SystemExit, match=words):
            main(arguments)
