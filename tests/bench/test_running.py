"""A run keeps what its suites find, however they end."""

import pytest
from tests.bench.findings import found, skipped

from actorio.bench.progress import Silence
from actorio.bench.results import Skipped
from actorio.bench.running import Run
from actorio.bench.suite import Plan, Suite


def suite_of(measure, name="made up"):
    return Suite(name, title="", about="", measure=measure)


def run_with(*suites):
    saved = []
    run = Run(Plan("smoke", ("ray",)), lambda results: saved.append(list(results.measurements)))
    return run, saved, lambda: run.measure(suites, Silence())


def test_what_suites_find_is_kept_in_their_order_and_saved_after_each():
    run, saved, measure = run_with(
        suite_of(lambda plan: iter([found("a")])), suite_of(lambda plan: iter([found("b"), found("c")]))
    )
    measure()
    assert [each.case for each in run.results.measurements] == ["a", "b", "c"]
    assert [len(each) for each in saved] == [1, 3]


def test_a_suite_is_told_how_much_to_measure_and_against_whom():
    plans = []
    run, _, measure = run_with(suite_of(lambda plan: plans.append(plan) or iter([])))
    measure()
    assert [(plan.effort, plan.against) for plan in plans] == [("smoke", ("ray",))]
    assert run.results.effort == "smoke"


def test_a_suite_that_fails_does_not_keep_the_next_from_running():
    def failing(plan):
        yield found("a")
        raise OSError("no room")

    run, _, measure = run_with(suite_of(failing, "first"), suite_of(lambda plan: iter([found("b")])))
    measure()
    assert [each.case for each in run.results.measurements] == ["a", "b"]
    assert list(run.failed) == ["first"]
    assert run.results.skipped == [Skipped("first", "actorio", "OSError: no room")]


def test_an_interrupt_ends_the_run_closes_the_suite_and_keeps_what_is_known():
    closed = []

    def interrupted(plan):
        try:
            yield found("a")
            raise KeyboardInterrupt
        finally:
            closed.append(True)

    run, saved, measure = run_with(suite_of(interrupted), suite_of(lambda plan: iter([found("b")])))
    with pytest.raises(KeyboardInterrupt):
        measure()
    assert [each.case for each in run.results.measurements] == ["a"]
    assert (closed, len(saved[-1])) == ([True], 1)


def test_what_is_skipped_for_one_reason_is_named_once():
    def skipping(plan):
        plan.skip(skipped())
        plan.skip(skipped())
        return iter([])

    run, _, measure = run_with(suite_of(skipping))
    measure()
    assert run.results.skipped == [skipped()]
