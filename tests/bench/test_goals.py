"""Promises of `actorio.bench.goals`: what is held against a run, and what it says."""

import msgspec
import pytest
from tests.bench.findings import MACHINE, found, run_of

from actorio.bench.goals import goals


def of_calls(case, ours, kind="async", **rivals):
    rows = [found(case, "actorio", [ours], kind=kind)]
    return rows + [found(case, who.replace("_", " "), [rate], kind=kind) for who, rate in rivals.items()]


def verdicts(*rows, **fields):
    return {goal.text: (goal.verdict, [each.where for each in goal.missed]) for goal in goals(run_of(*rows, **fields))}


def the(text, *rows, **fields):
    """The only goal of a run whose text has these words."""
    (goal,) = [goal for goal in goals(run_of(*rows, **fields)) if text in goal.text]
    return goal


def test_each_cell_of_calls_is_held_against_the_floor():
    goal = the("floor", *of_calls("batch", 80, floor=100), *of_calls("gather", 79, floor=100))
    assert (goal.suite, goal.verdict, goal.range) == ("calls", "1 of 2", "0.79x to 0.80x")
    assert [(each.where, each.text) for each in goal.missed] == [("gather, async", "0.79x")]


def test_where_there_is_a_spinning_floor_the_other_one_does_not_count():
    goal = the("floor", *of_calls("await", 90, floor=1000, spinning_floor=100))
    assert (goal.verdict, goal.range) == ("yes", "0.90x")


@pytest.mark.parametrize(
    ("who", "enough", "words"), [("ray", 20, "Ray"), ("xoscar", 4, "xoscar"), ("managers", 1, "proxy")]
)
def test_calls_are_held_against_other_frameworks(who, enough, words):
    rows = [*of_calls("blocking", enough, **{who: 1.0}), *of_calls("await", enough * 0.99, **{who: 1.0})]
    assert [each.where for each in the(words, *rows).missed] == ["await, async"]


def crowds(*rates):
    where = {"kind": "single-threaded", "along": "callers and actors"}
    return [found("crowd", values=[rate], at=2**power, **where) for power, rate in enumerate(rates)]


def test_crowds_beyond_the_processors_are_held_against_the_largest_that_is_not():
    goal = the("n callers", *crowds(50, 100, 89, 95))
    assert [each.where for each in goal.figures] == ["crowd, n = 4 : n = 2", "crowd, n = 8 : n = 2"]
    assert [each.text for each in goal.missed] == ["0.89x"]
    many = msgspec.structs.replace(MACHINE, processors=64)
    assert "n callers" not in " ".join(verdicts(*crowds(50, 100, 89, 95), machine=many))


def test_limits_are_held_against_medians_the_way_that_is_better():
    spawn = {"suite": "spawn", "kind": "", "unit": "s", "better": "less"}
    started = found("session", values=[0.3, 0.1, 0.15], metric="init", **spawn)
    slow = found("actors", values=[299], metric="created and answering", **(spawn | {"better": "more"}))
    assert verdicts(started, slow) == {"300 actors a second": ("no", ["actors"]), "init in 0.2 s": ("yes", [])}


def test_a_limit_for_many_actors_is_not_held_against_fewer():
    fields = {"suite": "memory", "metric": "memory", "unit": "MiB", "better": "less"}
    many = found("1,000 actors", values=[5000], **fields, kind="in all")
    fewer = found("200 actors", values=[5000], **fields, kind="in all")
    private = found("1,000 actors", values=[5000], **fields, kind="private")
    assert verdicts(many, fewer, private) == {"4 GiB for 1,000 actors in all": ("no", ["1,000 actors, in all"])}


def test_steps_are_named_by_their_size():
    step = {"metric": "step", "unit": "", "better": "less", "along": "bytes"}
    goal = the(
        "payloads", *(found("payload", values=[ratio], at=at, **step) for at, ratio in ((65536, 1.1), (262144, 1.6)))
    )
    assert [(each.where, each.text) for each in goal.missed] == [("payload, async, 256 KiB", "1.60")]


def test_what_was_not_measured_has_no_goals():
    assert goals(run_of()) == []
    assert goals(run_of(found("blocking"))) == []
