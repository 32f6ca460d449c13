"""The suite `calls` measures all that it speaks of, at its smallest."""

import itertools

import pytest

from actorio.bench.patterns import PATTERNS
from actorio.bench.payloads import all_sizes
from actorio.bench.results import Skipped
from actorio.bench.rivals.process import RivalError
from actorio.bench.suite import Plan
from actorio.bench.suites import calls, load_suite


@pytest.fixture(scope="module")
def measured():
    return list(load_suite("calls").measure(Plan("smoke", ("floor",))))


def test_each_pattern_is_measured_on_each_kind_plain_and_with_a_deadline_next_to_the_floor(measured):
    cases = [f"{pattern}{variant}" for pattern in PATTERNS for variant in ("", calls.WITH_DEADLINE)]
    for contender in ("actorio", "floor"):
        found = {(each.case, each.kind) for each in measured if each.contender == contender and each.at is None}
        assert found == set(itertools.product(cases, calls.KINDS))


def test_calls_one_at_a_time_are_held_against_the_spinning_floor_too(measured):
    found = {(each.case.partition(",")[0], each.kind) for each in measured if each.contender == "spinning floor"}
    assert found == set(itertools.product(("blocking", "await"), calls.KINDS))


def test_crowds_and_payloads_are_curves(measured):
    places = {}
    for each in measured:
        if each.at is not None:
            places.setdefault((each.case, each.metric), []).append(each.at)
    crowds = {(f"n callers x n actors, {how}", "calls"): [1, 2, 4, 8] for how in ("blocking", "batch")}
    sizes = {
        (f"payload, {way}", "time per call"): [64 * 4**power for power in range(8)] for way in ("argument", "result")
    }
    steps = {(f"payload, {way}", "step"): [64 << 10, 256 << 10] for way in ("argument", "result")}
    assert places == crowds | sizes | steps


def test_all_numbers_are_there_and_above_zero(measured):
    assert all(len(each.values) == 1 and each.values[0] > 0 for each in measured)


def test_payloads_lie_close_to_both_sides_of_each_threshold():
    assert {63 << 10, 65 << 10, 255 << 10, 257 << 10} <= set(all_sizes())


def test_a_rival_that_fails_is_out_of_the_cell_and_named(monkeypatch):
    def fail(_effort):
        raise RivalError("it has fallen")

    skipped = []
    turns = [calls.Turn("actorio", ("a",), lambda _: 2.0), calls.Turn("ray", ("a",), fail)]
    found = calls.take_turns(Plan("smoke", skip=skipped.append), turns, calls.AMOUNTS["smoke"])
    assert {turn.contender: values for turn, values in found.items()} == {"actorio": [2.0]}
    assert skipped == [Skipped("calls", "ray", "a: it has fallen")]
