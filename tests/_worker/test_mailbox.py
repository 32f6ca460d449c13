from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from actorio._model.concurrency import POLICIES, MethodRule, Rate, Rules
from actorio._worker.mailbox import REFUSED, STARTS, WAITS, Mailbox

METHODS = {
    "": MethodRule(),
    "plain": MethodRule(),
    "of_io": MethodRule("io"),
    "one": MethodRule("io", 1),
    "two": MethodRule("", 2),
    "slow": MethodRule("", 0, Rate(2, 1.0)),
    "both": MethodRule("io", 1, Rate(1, 0.5)),
}


class Call:
    """A call as the model sees it. Mailboxes tell calls apart by identity."""

    def __init__(self, number, method, group, priority):
        self.number, self.method, self.given_group, self.priority = number, method, group, priority
        self.where = (method, group)

    def __repr__(self):
        return f"<{self.number}: {self.method or '-'} in {self.group or '-'} at {self.priority}>"


class Model(RuleBasedStateMachine):
    """A mailbox beside a list of calls that is searched for whatever may start."""

    @initialize(
        limit=st.integers(1, 3),
        has_rules=st.booleans(),
        bound=st.sampled_from([0, 0, 1, 3]),
        policy=st.sampled_from(POLICIES),
    )
    def open(self, limit, has_rules, bound, policy):
        groups = {"io": 2, "cpu": 1} if has_rules else {}
        self.rules = Rules(limit, groups, METHODS if has_rules else {}, bound, policy)
        self.mailbox = Mailbox(self.rules)
        self.limits = {"": limit, **groups}
        self.now = 0.0
        self.numbers = count()
        self.waiting, self.running, self.resting, self.gone = [], [], [], []
        self.starts = {}
        # Whether `due` has been called since time has passed.
        self.is_settled = True

    # What may start, in the plainest words.

    def has_place(self, call):
        mates = [each for each in self.running if each.method == call.method]
        limit = call.rule.limit
        in_group = [each for each in self.running if each.group == call.group]
        return len(in_group) < self.limits[call.group] and (limit == 0 or len(mates) < limit)

    def free_at(self, call):
        """When its rate allows it."""
        rate, starts = call.rule.rate, self.starts.get(call.method, [])
        return starts[-rate.count] + rate.period if rate and len(starts) >= rate.count else 0.0

    def may_start(self, call):
        return self.has_place(call) and self.free_at(call) <= self.now

    def in_order(self):
        return sorted(self.waiting, key=lambda call: (-call.priority, call.number))

    def run(self, call):
        self.running.append(call)
        self.starts.setdefault(call.method, []).append(self.now)

    def check_started(self, started):
        expected = []
        while following := next((call for call in self.in_order() if self.may_start(call)), None):
            self.waiting.remove(following)
            self.run(following)
            expected.append(following)
        assert list(started) == expected

    def settle(self):
        if not self.is_settled:
            self.is_settled = True
            self.check_started(self.mailbox.due(self.now))

    # What happens.

    @rule(
        method=st.sampled_from(list(METHODS)),
        group=st.sampled_from(["", "", "io", "cpu"]),
        priority=st.sampled_from([0, 0, 0, 1, -1]),
    )
    def offer(self, method, group, priority):
        if not self.rules.groups:
            group = ""
        call = Call(next(self.numbers), method, group, priority)
        call.rule = self.rules.methods.get(method, MethodRule())
        call.group = group or call.rule.group
        answer = self.mailbox.offer(call, method, group, priority, self.now)
        if self.may_start(call) and not any(self.holds_up(other, call) for other in self.waiting):
            assert answer == STARTS
            self.run(call)
            return
        bound = self.rules.bound
        if bound and len(self.waiting) >= bound and self.rules.policy != "wait":
            lowest = min(self.waiting, key=lambda each: (each.priority, each.number))
            if self.rules.policy != "drop_oldest" or lowest.priority > priority:
                assert answer == REFUSED
                self.gone.append(call)
                return
            assert self.mailbox.displaced == [lowest]
            self.mailbox.displaced.clear()
            self.waiting.remove(lowest)
            self.gone.append(lowest)
        assert answer == WAITS
        self.waiting.append(call)

    @staticmethod
    def holds_up(other, call):
        return (other.method, other.group) == (call.method, call.group) and other.priority >= call.priority

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data):
        self.settle()
        call = data.draw(st.sampled_from(self.running))
        self.running.remove(call)
        self.gone.append(call)
        self.check_started(self.mailbox.finish(*call.where, self.now))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def rest(self, data):
        self.settle()
        call = data.draw(st.sampled_from(self.running))
        self.running.remove(call)
        self.resting.append(call)
        self.check_started(self.mailbox.rest(*call.where, self.now))

    @precondition(lambda self: self.resting)
    @rule(data=st.data())
    def resume(self, data):
        self.settle()
        call = data.draw(st.sampled_from(self.resting))
        self.resting.remove(call)
        self.running.append(call)
        self.mailbox.resume(*call.where)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data):
        self.settle()
        call = data.draw(st.sampled_from(self.waiting))
        assert self.mailbox.cancel(call)
        self.waiting.remove(call)
        self.gone.append(call)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def let_in(self, data):
        self.settle()
        call = data.draw(st.sampled_from(self.waiting))
        assert self.mailbox.let_in(call, self.now)
        self.waiting.remove(call)
        self.run(call)

    @precondition(lambda self: self.running or self.gone)
    @rule(data=st.data())
    def what_does_not_wait_is_not_found(self, data):
        call = data.draw(st.sampled_from(self.running + self.gone))
        assert not self.mailbox.cancel(call)
        assert not self.mailbox.let_in(call, self.now)

    @rule(data=st.data(), limit=st.integers(1, 4))
    def set_limit(self, data, limit):
        self.settle()
        group = data.draw(st.sampled_from(list(self.limits)))
        self.limits[group] = limit
        self.check_started(self.mailbox.set_limit(limit, group, self.now))

    @rule()
    def clear(self):
        assert self.mailbox.clear() == self.in_order()
        self.gone += self.waiting
        self.waiting.clear()

    @rule(quarters=st.integers(1, 6), is_late=st.booleans())
    def time_passes(self, quarters, is_late):
        self.now += quarters / 4
        self.is_settled = False
        if not is_late:
            self.settle()

    # What always holds.

    @invariant()
    def it_is_as_the_model_says(self):
        mailbox = self.mailbox
        assert (mailbox.running, len(mailbox)) == (len(self.running), len(self.waiting))
        assert list(mailbox.waiting()) == self.in_order()
        bound = self.rules.bound
        assert mailbox.is_full() is (0 < bound <= len(self.waiting))
        assert not bound or self.rules.policy == "wait" or len(self.waiting) <= bound
        assert not mailbox.displaced

    @invariant()
    def no_call_waits_that_could_start(self):
        assert not self.is_settled or not any(self.may_start(call) for call in self.waiting)

    @invariant()
    def it_says_when_a_call_that_only_waits_for_its_rate_starts(self):
        times = [self.free_at(call) for call in self.waiting if self.has_place(call)]
        assert self.mailbox.next_due() == (min(times) if times else None)

    def teardown(self):
        if not hasattr(self, "mailbox"):
            return
        while self.resting:
            self.resting, self.running = [], self.running + [self.mailbox.resume(*c.where) or c for c in self.resting]
        while self.running or self.waiting:
            self.settle()
            if (due := self.mailbox.next_due()) is not None:
                self.now, self.is_settled = max(self.now, due), False
                self.settle()
            for call in self.running[:1]:
                self.running.remove(call)
                self.gone.append(call)
                self.check_started(self.mailbox.finish(*call.where, self.now))
        assert sorted(call.number for call in self.gone) == list(range(next(self.numbers)))
        assert (self.mailbox.running, len(self.mailbox)) == (0, 0)


def test_a_mailbox_behaves_like_its_model():
    run_state_machine_as_test(Model, settings=settings(max_examples=120, stateful_step_count=40, deadline=None))
