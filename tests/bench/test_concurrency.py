import math

import pytest

import actorio
from actorio.bench.http_server import BODY, serving
from actorio.bench.loads import FILE_SIZE, Async, Surroundings, Threaded
from actorio.bench.suite import Plan
from actorio.bench.suites import load_suite
from actorio.bench.suites.concurrency import AMOUNTS, CASES, METRICS


def test_a_smoke_run_measures_each_case_in_each_kind():
    begun = []
    found = list(load_suite("concurrency").measure(Plan("smoke", advance=begun.append)))
    cells = {(one.case, one.kind, one.metric, one.at) for one in found}
    assert len(cells) == len(found)
    assert cells == {
        (case.name, kind.name, metric, at)
        for case in CASES
        for kind in case.kinds
        for metric in METRICS
        for at in AMOUNTS["smoke"].in_flight
    }
    assert all(math.isfinite(value) and value > 0 for one in found for value in one.values)
    assert len(begun) == len(CASES) * len(AMOUNTS["smoke"].in_flight)


def test_a_case_without_its_library_is_skipped_with_a_word(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("actorio.bench.suites.concurrency.CASES", [case for case in CASES if case.with_numpy])
    skipped = []
    assert list(load_suite("concurrency").measure(Plan("smoke", skip=skipped.append))) == []
    assert [(one.suite, one.contender) for one in skipped] == [("concurrency", "actorio")]
    assert "actorio-node[bench]" in skipped[0].reason


def test_kinds_of_one_case_do_the_same(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(FILE_SIZE))
    with actorio.init(), serving() as port:
        surroundings = Surroundings(port, str(path))
        actors = {one: actorio.remote(one).remote(surroundings, with_numbers=True) for one in (Threaded, Async)}
        for case in CASES:
            results = {actorio.get(getattr(actors[kind.actor_class], kind.method).remote()) for kind in case.kinds}
            assert len(results) == 1, case.name
            if case.name != "sleep":
                assert results != {None}
            if case.name in {"files", "http"}:
                assert results == {FILE_SIZE if case.name == "files" else len(BODY)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("effort", AMOUNTS)
def test_enough_calls_count_that_a_wave_more_or_less_does_not_decide(case, effort):
    amount = AMOUNTS[effort]
    for in_flight in amount.in_flight:
        assert case.calls(in_flight, amount.seconds, amount.least) >= max(2 * in_flight, amount.least)
