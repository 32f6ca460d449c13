"""Promises of `actorio.bench.cells`: what is read off measurements."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorio.bench import cells
from actorio.bench.results import Machine, Measurement, Results

MACHINE = Machine(system="Linux", processor="", processors=2, memory_gib=1, load=0, python="3.11", versions={})


def measured(values, contender="actorio", **fields):
    usual = {"suite": "calls", "case": "blocking", "metric": "calls", "unit": "1/s", "better": "more"}
    return Measurement(**(usual | fields), contender=contender, values=values)


def run_of(*measurements):
    return Results(machine=MACHINE, began="", effort="smoke", measurements=list(measurements), skipped=[])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2))
def test_a_summary_is_the_median_and_the_quartiles(values):
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    found = cells.summary(values)
    assert found.median == statistics.median(values)
    assert found == pytest.approx((middle, low, high))


def test_what_is_no_number_is_left_out_of_a_summary():
    assert cells.summary([math.nan, 2.0, math.nan]) == (2, 2, 2)
    assert cells.summary([math.nan]) is None
    assert cells.summary([]) is None
    assert cells.summary([1.0, math.inf, math.inf]).high == math.inf


def test_ratios_are_paired_by_round():
    assert cells.ratios(measured([10, 40]), measured([5, 10])) == [2, 4]


def test_a_ratio_above_one_is_better_though_less_is_better():
    seconds = {"unit": "s", "better": "less"}
    assert cells.ratios(measured([1, 2], **seconds), measured([4, 4], **seconds)) == [4, 2]


def test_rounds_that_one_side_lacks_and_rounds_without_an_answer_have_no_ratio():
    assert cells.ratios(measured([1, 1, 1]), measured([2])) == [0.5]
    assert cells.ratios(measured([0, math.nan, 3]), measured([0, 1, 0])) == [math.inf]


def test_what_contenders_did_alike_stands_in_one_cell():
    found = cells.cells(
        run_of(measured([1]), measured([2], "ray"), measured([3], case="batch"), measured([2], "floor"))
    )
    assert [(cell.case, cell.rivals) for cell in found] == [("blocking", ["ray", "floor"]), ("batch", [])]
    assert found[0].ratio("ray") == (0.5, 0.5, 0.5)
    assert found[1].ratio("ray") is None
    assert found[0].of("nobody") is None
    assert cells.contenders(found) == ["actorio", "floor", "ray"]


def test_a_change_compares_the_medians_of_two_runs_without_pairing_rounds():
    old = run_of(measured([1, 2, 3], unit="s", better="less"), measured([7], case="elsewhere"))
    (cell,) = cells.cells(run_of(measured([1], unit="s", better="less")), old)
    assert cell.change() == 2
    assert cell.change("ray") is None
    assert cells.change(measured([]), measured([1])) is None
    assert cells.change(measured([0]), measured([0])) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (284113.4, "284,113"),
        (100, "100"),
        (99.96, "100"),
        (12.345, "12.3"),
        (1, "1.00"),
        (0.9999, "1.00"),
        (0.01234, "0.0123"),
        (1e-9, "1.00e-09"),
        (0, "0"),
        (-12.345, "-12.3"),
        (math.nan, "-"),
        (math.inf, "∞"),
    ],
)
def test_a_number_has_as_many_digits_as_are_read(value, text):
    assert cells.number(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00002, "s", "20.0 µs"),
        (1500, "ms", "1.50 s"),
        (0.5, "ms", "500 µs"),
        (1536, "MiB", "1.50 GiB"),
        (0.25, "MiB", "256 KiB"),
        (12345, "1/s", "12,345 /s"),
        (3, "pages", "3.00 pages"),
        (0, "s", "0 s"),
        (math.inf, "s", "∞ s"),
        (3, "", "3.00"),
    ],
)
def test_a_quantity_is_written_in_its_best_unit(value, unit, text):
    assert cells.quantity(value, unit) == text


def test_quartiles_are_written_in_the_unit_of_their_median():
    assert cells.summary_texts(cells.Summary(0.00101, 0.0009, 0.002), "s") == ("1.01 ms", "0.900 to 2.00")


def test_ratios_are_written_short():
    assert [cells.ratio_text(each) for each in (0.8333, 9.5, 21.44, 340.4)] == ["0.83x", "9.50x", "21.4x", "340x"]


def test_places_that_are_large_powers_of_two_are_sizes():
    assert cells.are_sizes([64, 4096, 1048576])
    assert not cells.are_sizes([1, 2, 4, 8])
    assert not cells.are_sizes([1, 10, 10000])
    assert not cells.are_sizes([])
    assert cells.place_text(65536, is_size=True) == "64 KiB"
    assert cells.place_text(1000, is_size=False) == "1,000"
    assert cells.place_text(0.5, is_size=False) == "0.500"
