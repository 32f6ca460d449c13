"""Both dispatchers, with all that may happen to a call, beside what is expected of them.

The clock is the test's: whoever asks for the time is told that of the loop, and timers ring when it is set forward.
"""

import functools
import itertools
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests._worker.actors import ACTOR, PATIENCE, InThreads, Loop, Mortal, OnLoop, Watch, Wire, end_thread, executor_of
from tests._worker.expected import GRACE, Expected, Job

from actorio._model.concurrency import POLICIES, MethodRule, Rate, Rules
from actorio._wire.messages import LINK, Call, Cancel, Limit, Room, Way
from actorio._wire.payload import dumps
from actorio._worker import early, executor, intake
from actorio._worker.delivered import Delivered
from actorio._worker.dispatcher import LoopDispatcher
from actorio._worker.early import EarlyEnds

# The clock goes in steps of an eighth. Every deadline is by its own number of these later than one, so that no two
# things happen by themselves at the same time.
MOMENT = 2.0**-20
LOOP_METHODS = (
    *("gated", "stubborn", "swallowing", "plain", "raising", "unknown"),
    *("again", "one", "one", "one", "rated", "rated", "rated", "quick"),
)
# What ends by itself ends in any order there.
THREAD_METHODS = ("gated", "interruptible", "again", "one", "one", "rated", "rated")
GROUPS = {"io": 2, "cpu": 1}


def method_rules(group):
    return {
        "one": MethodRule(group, 1),
        "rated": MethodRule("", 0, Rate(2, 1.0)),
        "quick": MethodRule(group, 1, Rate(1, 0.5)),
    }


class Dispatching(RuleBasedStateMachine):
    """A dispatcher beside what is expected of it; compared whenever all that can happen has happened."""

    METHODS, ENDURES, ACTOR_CLASS = LOOP_METHODS, {"stubborn"}, OnLoop

    @initialize(
        limit=st.sampled_from([1, 1, 2, 3]),
        shape=st.sampled_from(["plain", "methods", "groups", "groups", "unrated"]),
        bound=st.sampled_from([0, 0, 1, 2, 3]),
        policy=st.sampled_from(["wait", "wait", *POLICIES]),
    )
    def open(self, limit, shape, bound, policy):
        groups = GROUPS if shape in {"groups", "unrated"} else {}
        methods = method_rules("io" if groups else "") if shape != "plain" else {}
        if shape == "unrated":
            # Rates have all groups looked at again and again.
            methods = {"one": methods["one"]}
        self.rules = Rules(limit, groups, methods, bound, policy)
        self.loop = Loop()
        self.patch = pytest.MonkeyPatch()
        for module in (early, executor, intake):
            self.patch.setattr(module, "monotonic", self.loop.time)
        self.executor = executor_of(self.ACTOR_CLASS)
        self.log = self.executor.instance.log
        self.log.check = self.no_limit_is_exceeded
        self.over = []
        self.expected = Expected(self.rules, self.loop.now, self.ENDURES)
        self.widest = dict(self.expected.limits)
        self.wires = [Wire(self.log), Wire(self.log)]
        self.all_wires = list(self.wires)
        self.keys = itertools.count()
        self.is_as_expected = True
        self.make_early = functools.partial(EarlyEnds, self.loop, self.executor, GRACE, lambda _: None)
        self.dispatcher = self.make_dispatcher()
        self.intake = self.dispatcher.intake

    def make_dispatcher(self):
        return LoopDispatcher(self.loop, self.executor, self.rules, Watch(), pytest.fail, self.make_early)

    def no_limit_is_exceeded(self, key):
        """Called when a method begins, by whichever thread runs it."""
        jobs = self.expected.jobs
        job = jobs[key]
        if job.is_let_in:
            return
        others = [jobs[each] for each in self.log.running if not jobs[each].is_let_in]
        if sum(each.group == job.group for each in others) > self.widest[job.group]:
            self.over.append(key)
        if 0 < job.rule.limit < sum(each.method == job.method for each in others):
            self.over.append(key)

    # What callers do.

    @rule(data=st.data(), which=st.integers(0, 1), count=st.integers(1, 6), with_ways=st.booleans())
    def calls_arrive(self, data, which, count, with_ways):
        wire, model = self.wires[which], self.expected
        jobs = [self.draw_job(data, wire, is_plain=not with_ways) for _ in range(count)]
        for job in jobs:
            model.offer(job)
        self.send(wire, [self.frame_of(job) for job in jobs])
        if any(0 < job.deadline <= model.now for job in jobs):
            model.to_happen.append(model.ring)
        for job in data.draw(self.cancelled_at_once(jobs)):
            self.intake.on_note(wire, Cancel(job.key))
            model.end_early(job, "cancelled")
        self.settle()

    def cancelled_at_once(self, jobs):
        return st.just([]) | st.lists(st.sampled_from(jobs), max_size=2)

    def draw_job(self, data, wire, *, is_plain):
        key, method = next(self.keys), data.draw(st.sampled_from(self.METHODS))
        if is_plain:
            return Job(key, wire, method)
        groups = ["", "", "io", "cpu", "none"] if self.rules.groups else [""] * 9 + ["none"]
        deadline = data.draw(st.sampled_from([None, None, *self.deadlines()]))
        return Job(
            key,
            wire,
            method,
            data.draw(st.sampled_from(groups)),
            data.draw(st.sampled_from([0, 0, 0, 1, -1])),
            0.0 if deadline is None else self.loop.now + deadline / 8 + key * MOMENT,
            is_own=data.draw(st.booleans()),
        )

    def deadlines(self):
        return [-1, 1, 2, 5, 9, 30]

    def frame_of(self, job):
        way = Way(job.deadline, ACTOR[:LINK] if job.is_own else "", job.priority, job.given_group)
        return job.wire.caller.call(
            job.key, job.key, job.method, dumps(((job.key,), {})), way=None if way == Way() else way
        )

    def send(self, wire, frames):
        self.dispatcher.on_requests(wire, wire.peer.receive(b"".join(frames)))

    @rule(which=st.integers(0, 1), limit=st.integers(0, 4), group=st.sampled_from(["", "", "io", "cpu", "none"]))
    def a_limit_changes(self, which, limit, group):
        wire, key = self.wires[which], next(self.keys)
        if group in self.widest:
            self.widest[group] = max(self.widest[group], limit)
        self.expected.set_limit(key, limit, group)
        self.send(wire, [wire.caller.ask(key, key, Limit(key, limit, group))])
        self.settle()

    @rule(whiches=st.lists(st.integers(0, 1), min_size=1, max_size=3))
    def room_is_asked_for(self, whiches):
        for wire in (self.wires[which] for which in whiches):
            key = next(self.keys)
            self.expected.ask_for_room(key, wire)
            self.send(wire, [wire.caller.ask(key, key, Room(key))])
        self.settle()

    @precondition(lambda self: self.expected.jobs)
    @rule(data=st.data())
    def a_call_is_cancelled(self, data):
        job = data.draw(st.sampled_from(self.expected.open_jobs() or list(self.expected.jobs.values())))
        if job.wire.is_open():
            self.intake.on_note(job.wire, Cancel(job.key))
            self.expected.end_early(job, "cancelled")
            self.settle()

    # Rarely: otherwise little would ever wait.
    @precondition(lambda self: len(self.expected.waiting) > 3)
    @rule(which=st.integers(0, 1), says_farewell=st.booleans())
    def a_connection_is_lost(self, which, says_farewell):
        wire, self.wires[which] = self.wires[which], Wire(self.log)
        self.all_wires.append(self.wires[which])
        if not says_farewell:
            wire.is_lost = True
            self.intake.on_lost(wire)
            self.expected.lose(wire)
        wire.is_lost = True
        self.settle()

    # What the actor does, and time.

    @precondition(lambda self: self.expected.let_go())
    @rule(data=st.data(), outcome=st.sampled_from(["value", "value", "error"]))
    def a_method_ends(self, data, outcome):
        job = data.draw(st.sampled_from(self.expected.let_go()))
        self.release(job.key, outcome)
        self.expected.to_happen.append(functools.partial(self.expected.finish, job, outcome))
        self.settle()

    def release(self, key, outcome):
        gate = self.executor.instance.gates[key]
        if outcome == "value":
            gate.set_result(key)
        else:
            gate.set_exception(ValueError(key))

    @rule(eighths=st.integers(1, 12))
    def time_passes(self, eighths):
        target = self.loop.now + eighths / 8
        # Not what is between two steps.
        target -= target % 0.125
        while (now := min(target, self.expected.next_time())) < target:
            self.time_is(now)
        self.time_is(target)

    def time_is(self, now):
        self.loop.now = max(self.loop.now, now)
        self.expected.time_is(self.loop.now)
        self.settle()

    # What holds whenever all has happened.

    def settle(self):
        self.expected.happen()
        self.loop.turn()
        self.compare()
        assert self.log.started == self.expected.started
        assert len(self.dispatcher._tasks) == len(self.expected.running)

    def compare(self):
        model, mailbox = self.expected, self.intake.mailbox
        self.is_as_expected = False
        assert not self.over
        for wire in self.all_wires:
            if wire.is_open():
                asked = wire.answers.keys() | wire.peer.owed.keys()
                assert wire.answers == {key: model.answers[key] for key in asked & model.answers.keys()}
                assert wire.full == model.full.get(wire, 0)
            owed = {key for key, call in wire.peer.owed.items() if isinstance(call, Delivered)}
            assert owed == {job.key for job in model.open_jobs(wire)}
        assert {key for wire in self.wires for key in wire.peer.owed if key not in model.jobs} == {
            key for key, wire in model.asking if wire.is_open()
        }
        in_order = sorted(model.waiting, key=lambda job: (-job.priority, job.key))
        assert [call.request.id for call in mailbox.waiting()] == [job.key for job in in_order]
        assert mailbox.running == len(model.running)
        assert sorted(self.log.running) == sorted(job.key for job in model.let_go())
        heads = {call.request.id for call in self.intake._heads}
        assert heads == ({job.key for job in model.running} if model.is_single else set())
        self.widest = dict(model.limits)
        self.is_as_expected = True

    def teardown(self):
        if not hasattr(self, "loop"):
            return
        try:
            if self.is_as_expected:
                self.end_everything()
        finally:
            self.patch.undo()
            self.close()
            self.loop.close()

    def close(self):
        pass

    def end_everything(self):
        model = self.expected
        for _ in range(3 * len(model.jobs)):
            for job in model.let_go()[:1]:
                self.release(job.key, "value")
                model.to_happen.append(functools.partial(model.finish, job, "value"))
            self.settle()
            if model.next_time() < float("inf"):
                self.time_is(model.next_time())
        # Whoever was cut off left the clock at an odd time; later than all that may still ring.
        self.time_is(self.loop.now + 60.0)
        assert not model.open_jobs() + model.running
        assert not model.asking
        assert self.dispatcher.early._next == float("inf")
        assert not self.intake._heads


class InThreadsToo(Dispatching):
    """The same in threads, where what ends by itself does so one at a time."""

    METHODS, ENDURES, ACTOR_CLASS = THREAD_METHODS, {"gated", "again", "one", "rated"}, InThreads

    def make_dispatcher(self):
        dispatcher = Mortal(self.loop, self.executor, self.rules, end_thread, self.make_early)
        ended = dispatcher.intake.ended

        def end(call):
            following = ended(call)
            self.log.notify()
            return following

        dispatcher.intake.ended = end
        threading.Thread(target=dispatcher.work, name="actor-1", daemon=True).start()
        return dispatcher

    def cancelled_at_once(self, jobs):
        return st.just([])

    def deadlines(self):
        return [1, 2, 5, 9, 30]

    def release(self, key, outcome):
        gate, outcomes = self.executor.instance.gates[key]
        outcomes.append(outcome)
        gate.set()

    @precondition(lambda self: len(self.expected.waiting) > 3)
    @precondition(lambda self: sum(job.method == "interruptible" for job in self.expected.running) < 2)
    @rule(which=st.integers(0, 1), says_farewell=st.booleans())
    def a_connection_is_lost(self, which, says_farewell):
        super().a_connection_is_lost(which, says_farewell)

    def settle(self):
        self.expected.happen()
        self.loop.turn()
        self.log.wait_for(self.is_settled)
        # What the threads have told the loop.
        self.loop.turn()
        self.compare()
        # Two threads that start at once may do so in either order.
        assert sorted(self.log.started) == sorted(self.expected.started)

    def is_settled(self):
        model = self.expected
        return (
            sorted(self.log.running) == sorted(job.key for job in model.let_go())
            and self.intake.mailbox.running == len(model.running)
            and not any(wire.peer.owed.keys() & model.answers.keys() for wire in self.wires)
        )

    def close(self):
        dispatcher, wire = self.dispatcher, Wire(self.log)
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("actor-")]
        for number in range(len(threads)):
            # Past the mailbox: one for each thread.
            dispatcher._admitted.append(Delivered(wire, Call(number, "__ray_terminate__"), dumps(((), {}))))
            dispatcher._wakes.put(None)
        for thread in threads:
            thread.join(PATIENCE)


def test_calls_on_a_loop_start_and_end_as_expected():
    run_state_machine_as_test(Dispatching, settings=settings(stateful_step_count=25))


def test_calls_in_threads_start_and_end_as_expected():
    run_state_machine_as_test(
        InThreadsToo, settings=settings(max_examples=settings().max_examples // 2, stateful_step_count=20)
    )
