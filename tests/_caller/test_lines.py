"""The tasks of one process that wait for their turn: each runs once, on a lease, and no lease is kept for nothing."""

import itertools

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actorio._caller.lines import Line
from actorio._model.resources import UNIT, Needs

ONE_CPU = Needs((("CPU", UNIT),))
NOTHING = Needs()


class Played:
    """A line whose node and workers the test plays."""

    def __init__(self, needs=ONE_CPU, most=2):
        # Number 0 is the line's own.
        self.line = Line(needs, "f", itertools.count(), most)
        self.leases = {}
        self.running = []
        self.asked, self.to_make, self.released = [], [], []

    def do(self, todo):
        """Take note of what is to be done; return it in short."""
        for lease in todo.ask:
            self.leases[lease.number] = lease
            self.asked.append(lease.number)
        for lease, task in todo.run:
            assert lease.worker is not None
            self.running.append((task, lease.number))
        self.to_make += [lease.number for lease in todo.make]
        for lease in todo.release:
            assert lease.running == 0
            assert lease.number not in self.released
            self.released.append(lease.number)
        return {
            name: [each.number if name != "run" else each[1] for each in getattr(todo, name)]
            for name in ("run", "ask", "make", "release")
            if getattr(todo, name)
        }

    def add(self, task, **options):
        return self.do(self.line.add(task, **options))

    def grant(self, number, worker="worker", *, is_wanted=False, now=0.0):
        self.asked.remove(number)
        return self.do(self.line.granted(self.leases[number], worker, now, is_wanted=is_wanted))

    def make(self, number, worker="worker"):
        self.to_make.remove(number)
        return self.do(self.line.made(self.leases[number], worker, 0.0))

    def end(self, task, *, now=0.0, is_dead=False):
        number = dict(self.running)[task]
        self.running.remove((task, number))
        return self.do(self.line.ended(self.leases[number], now, is_dead=is_dead))


def test_a_lease_is_asked_for_when_a_task_waits_and_not_more_than_can_be_had():
    played = Played(most=2)
    assert played.add("a") == {"ask": [1]}
    assert played.add("b") == {"ask": [2]}
    assert played.add("c") == {}
    assert played.grant(1) == {"run": ["a"], "ask": [3]}


def test_tasks_run_in_order_one_after_the_other_on_a_lease():
    played = Played(most=1)
    for task in "abc":
        played.add(task)
    assert played.grant(1)["run"] == ["a"]
    assert played.end("a")["run"] == ["b"]
    # What is run again comes before those that have not begun.
    assert played.add("a", is_first=True) == {}
    assert played.end("b")["run"] == ["a"]


def test_a_lease_serves_the_next_task_at_once_and_is_given_back_when_none_comes():
    played = Played()
    played.add("a")
    played.grant(1)
    assert played.end("a", now=1.0) == {}
    assert played.add("b") == {"run": ["b"]}
    played.end("b", now=2.0)
    assert played.do(played.line.tidy(1.5)) == {}
    assert played.do(played.line.tidy(2.0)) == {"release": [1]}
    assert played.add("c") == {"ask": [2]}


def test_a_worker_is_made_when_there_is_none_and_somebody_needs_it():
    played = Played()
    played.add("a")
    assert played.grant(1, None) == {"make": [1]}
    assert played.make(1) == {"run": ["a"]}
    played.add("b")
    played.end("a")
    # The one that has become free was quicker.
    assert played.grant(2, None) == {"release": [2]}


def test_the_next_task_asks_anew_when_a_worker_could_not_be_made():
    played = Played()
    played.add("a")
    played.grant(1, None)
    assert played.make(1, None) == {"release": [1], "ask": [2]}


def test_what_others_want_is_given_back_after_the_task_that_runs():
    played = Played(most=1)
    played.add("a")
    played.grant(1)
    played.add("b")
    assert played.do(played.line.wanted(played.leases[1])) == {}
    assert played.end("a") == {"release": [1]}
    assert played.grant(2, is_wanted=True) == {"run": ["b"]}
    assert played.end("b") == {"release": [2]}


def test_an_idle_lease_that_others_want_is_given_back_at_once():
    played = Played()
    played.add("a")
    played.grant(1)
    played.end("a")
    assert played.do(played.line.wanted(played.leases[1])) == {"release": [1]}


def test_a_lease_on_a_dead_worker_is_given_back():
    played = Played()
    played.add("a")
    played.grant(1)
    assert played.end("a", is_dead=True) == {"release": [1]}


def test_a_worker_ends_after_so_many_runs():
    played = Played(Needs(ONE_CPU.amounts, max_calls=2), most=1)
    assert played.line.is_private
    for task in "abc":
        played.add(task)
    played.grant(1, None)
    assert played.make(1) == {"run": ["a"], "ask": [2]}
    assert played.end("a") == {"run": ["b"]}
    assert played.end("b") == {"release": [1]}
    assert played.grant(2, None) == {"make": [2]}


def test_many_tasks_that_need_nothing_run_on_one_lease():
    played = Played(NOTHING, most=1)
    played.add("a")
    played.grant(1)
    assert played.add("b") == {"run": ["b"]}
    assert played.add("c") == {"run": ["c"]}
    played.end("a")
    assert played.do(played.line.wanted(played.leases[1])) == {}
    played.end("b")
    assert played.end("c") == {"release": [1]}


def test_tasks_that_need_nothing_are_spread_over_the_workers():
    played = Played(NOTHING, most=2)
    played.add("a")
    played.grant(1, "one")
    assert played.add("b") == {"ask": [2]}
    assert played.grant(2, "two") == {"run": ["b"]}
    played.add("c")
    played.add("d")
    assert sorted(number for _, number in played.running) == [1, 1, 2, 2]


class Running(RuleBasedStateMachine):
    """Tasks, a node and workers, in any order."""

    needs, most = ONE_CPU, 2

    def __init__(self):
        super().__init__()
        self.played = Played(self.needs, self.most)
        self.tasks = itertools.count(1)
        self.added, self.ended = set(), set()

    @rule()
    def add(self):
        task = next(self.tasks)
        self.added.add(task)
        self.played.add(task)

    @precondition(lambda self: self.played.asked)
    @rule(data=st.data(), has_worker=st.booleans(), is_wanted=st.booleans())
    def grant(self, data, has_worker, is_wanted):
        number = data.draw(st.sampled_from(self.played.asked))
        self.played.grant(number, "worker" if has_worker else None, is_wanted=is_wanted)

    @precondition(lambda self: self.played.to_make)
    @rule(is_made=st.booleans())
    def make(self, is_made):
        self.played.make(self.played.to_make[0], "worker" if is_made else None)

    @precondition(lambda self: self.played.running)
    @rule(data=st.data(), is_dead=st.booleans())
    def end(self, data, is_dead):
        task, _ = data.draw(st.sampled_from(self.played.running))
        self.ended.add(task)
        self.played.end(task, is_dead=is_dead)

    @precondition(lambda self: self.played.running)
    @rule(data=st.data())
    def run_again(self, data):
        task, _ = data.draw(st.sampled_from(self.played.running))
        self.played.end(task, is_dead=True)
        self.played.add(task, is_first=True)

    @precondition(lambda self: self.played.line.leases)
    @rule(data=st.data())
    def want(self, data):
        lease = data.draw(st.sampled_from(list(self.played.line.leases.values())))
        if lease.is_granted:
            self.played.do(self.played.line.wanted(lease))

    @rule()
    def tidy(self):
        self.played.do(self.played.line.tidy(0.0))

    @invariant()
    def every_task_waits_or_runs_once_or_has_ended(self):
        running = [task for task, _ in self.played.running]
        assert sorted([*running, *self.played.line.waiting]) == sorted(self.added - self.ended)

    @invariant()
    def no_lease_runs_more_than_it_may(self):
        numbers = [number for _, number in self.played.running]
        assert all(numbers.count(number) <= self.played.line.capacity for number in numbers)
        assert all(number not in self.played.released for number in numbers)

    @invariant()
    def whoever_waits_waits_for_something(self):
        if self.played.line.waiting:
            assert self.played.asked or self.played.to_make or self.played.running

    def teardown(self):
        while self.played.asked or self.played.to_make or self.played.running:
            if self.played.running:
                self.end_all()
            elif self.played.to_make:
                self.played.make(self.played.to_make[0])
            else:
                self.played.grant(self.played.asked[0])
        self.played.do(self.played.line.tidy(0.0))
        assert not self.played.line.waiting
        assert not self.played.line.leases
        assert sorted(self.played.released) == sorted(self.played.leases)

    def end_all(self):
        for task, _ in list(self.played.running):
            self.ended.add(task)
            self.played.end(task)


class RunningNothing(Running):
    """The same with tasks that need nothing."""

    needs = NOTHING


class RunningPrivately(Running):
    """The same with workers that end."""

    needs, most = Needs(ONE_CPU.amounts, max_calls=2), 1


TestRunning = Running.TestCase
TestRunningNothing = RunningNothing.TestCase
TestRunningPrivately = RunningPrivately.TestCase


@pytest.mark.parametrize(
    ("needs", "is_private"),
    [
        (ONE_CPU, False),
        (NOTHING, False),
        (Needs((("GPU", UNIT),)), True),
        (Needs((), max_calls=1), True),
    ],
)
def test_workers_are_shared_unless_they_end_or_have_a_gpu(needs, is_private):
    assert Line(needs, "f", itertools.count(1), 1).is_private is is_private
