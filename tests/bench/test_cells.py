"""Promises of `actorio.bench.cells`: what is read off measurements."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bench.findings import measured, run_of

from actorio.bench import cells


@given(st.lists(st.floats(-1e6, 1e6), min_size=2))
def test_a_summary_is_the_median_and_the_quartiles(values):
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    found = cells.summary(values)
    assert found.median == statistics.median(values)
    assert found == pytest.approx((middle, low, high))


def test_no_numbers_have_no_summary():
    assert cells.summary([2.0]) == (2, 2, 2)
    assert cells.summary([]) is None


def test_ratios_are_paired_by_round():
    assert cells.ratios(measured([10, 40]), measured([5, 10])) == [2, 4]


def test_a_ratio_above_one_is_better_though_less_is_better():
    seconds = {"unit": "s", "better": "less"}
    assert cells.ratios(measured([1, 2], **seconds), measured([4, 4], **seconds)) == [4, 2]


def test_rounds_that_one_side_lacks_have_no_ratio():
    assert cells.ratios(measured([1, 1, 1]), measured([2])) == [0.5]


@pytest.mark.parametrize("pair", [(0, 0), (0, 1), (1, 0), (-1, 1), (1, -1), (-1, -1)])
@pytest.mark.parametrize("better", ["more", "less"])
def test_nothing_and_less_than_nothing_have_no_ratio(pair, better):
    ours, theirs = pair
    assert cells.times_as_good(ours, theirs, better) is None
    (cell,) = cells.cells(run_of(measured([ours, 2.0], better=better), measured([theirs, 2.0], "floor", better=better)))
    assert cell.ratio("floor") == (1, 1, 1)


def test_a_contender_without_a_round_to_compare_has_no_ratio():
    (cell,) = cells.cells(run_of(measured([0.0]), measured([2.0], "floor")))
    assert cell.ratio("floor") is None


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
    assert cells.change(measured([0]), measured([1])) is None


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
        (3, "", "3.00"),
    ],
)
def test_a_quantity_is_written_in_its_best_unit(value, unit, text):
    assert cells.quantity(value, unit) == text


def test_quartiles_are_written_in_the_unit_of_their_median():
    assert cells.summary_texts(cells.Summary(0.00101, 0.0009, 0.002), "s") == ("1.01 ms", "0.900 to 2.00")


def test_ratios_are_written_short():
    assert [cells.ratio_text(each) for each in (0.8333, 9.5, 21.44, 340.4)] == ["0.83x", "9.50x", "21.4x", "340x"]


def test_places_along_bytes_are_written_as_sizes():
    assert cells.place_text(65536, "bytes") == "64 KiB"
    assert cells.place_text(65536, "items") == "65,536"
    assert cells.place_text(0.5, "seconds") == "0.500"


def test_what_belongs_together_is_together_wherever_it_stands():
    assert cells.grouped([1, 2, 3, 4], lambda number: number % 2) == {1: [1, 3], 0: [2, 4]}


def test_curves_along_different_things_are_different_curves():
    rows = [measured([1.0], at=at, along=along) for at, along in ((1, "bytes"), (1, "actors"), (2, "bytes"))]
    found = cells.cells(run_of(*rows, measured([1.0])))
    assert [[cell.at for cell in curve] for curve in cells.curves(found)] == [[1, 2], [1]]
    assert [len(group) for group in cells.singles(found)] == [1]
