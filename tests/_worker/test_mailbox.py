import gc
import weakref
from itertools import count

import pytest
from hypothesis import given, settings
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
        limit=st.integers(1, 2),
        has_rules=st.booleans(),
        bound=st.sampled_from([0, 0, 2, 4]),
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
        offers=st.lists(
            st.tuples(
                st.sampled_from(list(METHODS)),
                st.sampled_from(["", "", "io", "cpu"]),
                st.sampled_from([0, 0, 0, 1, -1]),
            ),
            min_size=1,
            max_size=6,
        ),
        have_priorities=st.booleans(),
    )
    def offer(self, offers, have_priorities):
        for method, group, priority in offers:
            self.offer_one(method, group if self.rules.groups else "", priority if have_priorities else 0)

    def offer_one(self, method, group, priority):
        call = self.make_call(method, group, priority)
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

    def make_call(self, method, group, priority):
        call = Call(next(self.numbers), method, group, priority)
        call.rule = self.rules.methods.get(method, MethodRule())
        call.group = group or call.rule.group
        return call

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

    @rule(method=st.sampled_from(list(METHODS)), group=st.sampled_from(["", "", "io", "cpu"]))
    def let_in(self, method, group):
        self.settle()
        call = self.make_call(method, group if self.rules.groups else "", 0)
        self.mailbox.let_in(*call.where, self.now)
        self.run(call)

    @precondition(lambda self: self.running or self.gone)
    @rule(data=st.data())
    def what_does_not_wait_is_not_found(self, data):
        call = data.draw(st.sampled_from(self.running + self.gone))
        assert not self.mailbox.cancel(call)

    @rule(data=st.data(), limit=st.integers(1, 4))
    def set_limit(self, data, limit):
        self.settle()
        group = data.draw(st.sampled_from(list(self.limits)))
        self.limits[group] = limit
        self.check_started(self.mailbox.set_limit(limit, group, self.now))

    # Rarely: otherwise little would ever wait.
    @precondition(lambda self: len(self.waiting) > 7)
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
        for _ in range(2 * next(self.numbers)):
            if not self.running and not self.waiting:
                break
            self.settle()
            if (due := self.mailbox.next_due()) is not None:
                self.now, self.is_settled = max(self.now, due), False
                self.settle()
            for call in self.running[:1]:
                self.running.remove(call)
                self.gone.append(call)
                self.check_started(self.mailbox.finish(*call.where, self.now))
        assert sorted(call.number for call in self.gone) == list(range(next(self.numbers) - 1))
        assert (self.mailbox.running, len(self.mailbox)) == (0, 0)


def test_a_mailbox_behaves_like_its_model():
    run_state_machine_as_test(Model, settings=settings(stateful_step_count=25))


def offer_all(mailbox, *calls, **how):
    return [mailbox.offer(call, **how) for call in calls]


@given(st.integers(1, 5), st.lists(st.none() | st.integers() | st.just(""), max_size=30))
def test_every_call_starts_once_in_order_whatever_it_is(limit, contents):
    mailbox = Mailbox(Rules(limit))
    calls = [(number, content) for number, content in enumerate(contents)]
    started = [call for call in calls if mailbox.offer(call) == STARTS]
    assert started == calls[:limit]
    for _ in calls:
        started += mailbox.finish()
    assert started == calls
    assert (mailbox.running, len(mailbox)) == (0, 0)


@pytest.mark.parametrize("rules", [Rules(1), Rules(1, bound=5)], ids=["plain", "with_rules"])
class TestWithRulesAndWithout:
    """What holds for the queue and for the lines."""

    def test_calls_start_in_the_order_in_which_they_were_offered(self, rules):
        mailbox = Mailbox(rules)
        assert offer_all(mailbox, "a", "b", "c") == [STARTS, WAITS, WAITS]
        assert [list(mailbox.finish()) for _ in range(3)] == [["b"], ["c"], []]

    def test_finishing_nothing_is_refused(self, rules):
        with pytest.raises(ValueError, match="no call"):
            Mailbox(rules).finish()

    def test_calls_of_higher_priority_start_first(self, rules):
        mailbox = Mailbox(rules)
        mailbox.offer("running")
        for call, priority in [("a", 0), ("low", -1), ("high", 5), ("b", 0), ("higher", 9)]:
            assert mailbox.offer(call, priority=priority) == WAITS
        assert list(mailbox.waiting()) == ["higher", "high", "a", "b", "low"]
        assert [mailbox.finish()[0] for _ in range(5)] == ["higher", "high", "a", "b", "low"]

    def test_a_call_that_was_cancelled_does_not_start(self, rules):
        mailbox = Mailbox(rules)
        offer_all(mailbox, "a", "b", "c")
        assert [mailbox.cancel(call) for call in ("b", "b", "a", "unknown")] == [True, False, False, False]
        assert mailbox.finish() == ["c"]

    def test_a_call_may_run_in_the_place_of_one_that_rests_and_is_one_too_many_afterwards(self, rules):
        mailbox = Mailbox(rules)
        offer_all(mailbox, "a", "b", "c")
        assert list(mailbox.rest()) == ["b"]
        mailbox.resume()
        assert mailbox.running == 2
        assert not mailbox.finish()
        assert list(mailbox.finish()) == ["c"]

    def test_a_call_that_is_let_in_starts_over_the_limit_and_out_of_turn(self, rules):
        mailbox = Mailbox(rules)
        offer_all(mailbox, "a", "b")
        mailbox.let_in()
        assert (mailbox.running, list(mailbox.waiting())) == (2, ["b"])
        assert not mailbox.finish()
        assert list(mailbox.finish()) == ["b"]

    def test_a_greater_limit_lets_those_start_that_wait(self, rules):
        mailbox = Mailbox(rules)
        offer_all(mailbox, "a", "b", "c", "d")
        assert mailbox.set_limit(3) == ["b", "c"]
        assert list(mailbox.finish()) == ["d"]
        assert not mailbox.finish()
        assert offer_all(mailbox, "e", "f") == [STARTS, WAITS]

    def test_under_a_smaller_limit_those_that_run_go_on_and_no_other_starts(self, rules):
        mailbox = Mailbox(rules)
        mailbox.set_limit(3)
        offer_all(mailbox, "a", "b", "c", "d")
        assert not mailbox.set_limit(1)
        assert [list(mailbox.finish()) for _ in range(3)] == [[], [], ["d"]]

    @pytest.mark.parametrize("limit", [0, -1])
    def test_a_limit_that_lets_nothing_run_is_refused(self, rules, limit):
        with pytest.raises(ValueError, match=str(limit)):
            Mailbox(rules).set_limit(limit)

    def test_what_was_cleared_does_not_start(self, rules):
        mailbox = Mailbox(rules)
        offer_all(mailbox, "a", "b", "c")
        assert mailbox.clear() == ["b", "c"]
        assert not mailbox.finish()
        assert (mailbox.running, len(mailbox), mailbox.clear()) == (0, 0, [])

    def test_a_group_that_is_not_there_is_refused(self, rules):
        mailbox = Mailbox(rules)
        for use in (lambda: mailbox.offer("a", "m", "io"), lambda: mailbox.set_limit(2, "io")):
            with pytest.raises(ValueError, match="'io', and the actor has none"):
                use()
        assert mailbox.offer("a") == STARTS

    def test_nothing_is_kept_of_calls_that_have_left(self, rules):
        class Weighty:
            pass

        mailbox = Mailbox(rules)
        calls = [Weighty() for _ in range(5)]
        left = weakref.WeakSet(calls)
        offer_all(mailbox, *calls)
        mailbox.cancel(calls[2])
        mailbox.finish()
        mailbox.finish()
        assert list(mailbox.waiting()) == calls[4:]
        del calls[:4]
        gc.collect()
        assert list(left) == calls


def test_groups_do_not_hold_each_other_up():
    mailbox = Mailbox(Rules(1, {"io": 2}, {"read": MethodRule("io")}))
    assert offer_all(mailbox, "a", "b", method="compute") == [STARTS, WAITS]
    assert offer_all(mailbox, "r", "s", "t", method="read") == [STARTS, STARTS, WAITS]
    assert mailbox.offer("c", "compute", "io") == WAITS
    assert (mailbox.running, list(mailbox.waiting())) == (3, ["b", "t", "c"])
    assert mailbox.finish("read") == ["t"]
    assert mailbox.finish("compute") == ["b"]
    assert mailbox.finish("read") == ["c"]


def test_a_method_at_its_limit_does_not_hold_up_others_behind_it():
    mailbox = Mailbox(Rules(2, methods={"one": MethodRule(limit=1)}))
    assert offer_all(mailbox, "a", "b", method="one") == [STARTS, WAITS]
    assert offer_all(mailbox, "c", "d", method="other") == [STARTS, WAITS]
    assert mailbox.finish("other") == ["d"]
    assert mailbox.finish("one") == ["b"]


def test_the_limit_of_a_method_holds_in_all_groups_together_and_the_oldest_call_is_next():
    mailbox = Mailbox(Rules(5, {"io": 5}, {"one": MethodRule(limit=1)}))
    assert mailbox.offer("a", "one") == STARTS
    assert mailbox.offer("b", "one", "io") == WAITS
    assert mailbox.offer("c", "one") == WAITS
    assert mailbox.finish("one") == ["b"]
    assert mailbox.finish("one", "io") == ["c"]


def test_no_more_calls_start_in_any_period_than_a_rate_allows():
    mailbox = Mailbox(Rules(10, methods={"m": MethodRule(rate=Rate(2, 1.0))}))
    assert mailbox.next_due() is None
    assert mailbox.offer("a", "m", now=0.0) == STARTS
    assert mailbox.offer("b", "m", now=0.9) == STARTS
    assert mailbox.offer("c", "m", now=0.9) == WAITS
    assert mailbox.offer("d", "m", now=0.9) == WAITS
    assert mailbox.offer("other", now=0.9) == STARTS
    assert mailbox.next_due() == 1.0
    assert not mailbox.due(0.99)
    assert mailbox.due(1.0) == ["c"]
    assert mailbox.next_due() == 1.9
    assert mailbox.due(1.9) == ["d"]
    assert mailbox.next_due() is None


def test_a_rate_counts_a_call_that_was_let_in():
    mailbox = Mailbox(Rules(10, methods={"m": MethodRule(rate=Rate(1, 1.0))}))
    offer_all(mailbox, "a", "b", "c", method="m", now=0.0)
    mailbox.let_in("m", now=0.5)
    assert mailbox.next_due() == 1.5


def test_a_time_that_goes_back_does_not_let_more_calls_start():
    mailbox = Mailbox(Rules(10, methods={"m": MethodRule(rate=Rate(2, 1.0))}))
    assert mailbox.offer("a", "m", now=5.0) == STARTS
    assert mailbox.offer("b", "m", now=4.5) == STARTS
    assert mailbox.offer("c", "m", now=5.75) == WAITS
    assert mailbox.due(6.0) == ["c"]
    assert mailbox.offer("d", "m", now=6.0) == STARTS


def test_no_timer_is_asked_for_while_a_call_waits_for_something_else_than_its_rate():
    mailbox = Mailbox(Rules(1, methods={"m": MethodRule(rate=Rate(1, 1.0))}))
    offer_all(mailbox, "a", "b", method="m", now=0.0)
    assert mailbox.next_due() is None
    assert not mailbox.finish("m", now=0.25)
    assert mailbox.next_due() == 1.0


def test_a_call_does_not_overtake_those_of_its_method_when_the_timer_is_late():
    mailbox = Mailbox(Rules(5, methods={"m": MethodRule(rate=Rate(1, 1.0))}))
    offer_all(mailbox, "a", "b", method="m", now=0.0)
    assert mailbox.offer("c", "m", now=9.0) == WAITS
    assert mailbox.due(9.0) == ["b"]


@pytest.mark.parametrize(
    ("policy", "answer", "waiting", "displaced"),
    [
        ("wait", WAITS, ["b", "c", "d"], []),
        ("fail", REFUSED, ["b", "c"], []),
        ("drop_newest", REFUSED, ["b", "c"], []),
        ("drop_oldest", WAITS, ["c", "d"], ["b"]),
    ],
)
def test_what_becomes_of_a_call_beyond_the_bound(policy, answer, waiting, displaced):
    mailbox = Mailbox(Rules(1, bound=2, policy=policy))
    assert offer_all(mailbox, "a", "b") == [STARTS, WAITS]
    assert not mailbox.is_full()
    mailbox.offer("c")
    assert mailbox.is_full()
    assert mailbox.offer("d") == answer
    assert (list(mailbox.waiting()), mailbox.displaced) == (waiting, displaced)


def test_the_oldest_call_of_lowest_priority_goes_unless_all_are_above_the_new_one():
    mailbox = Mailbox(Rules(1, bound=3, policy="drop_oldest"))
    mailbox.offer("running")
    for call, priority in [("high", 2), ("a", 1), ("b", 1)]:
        mailbox.offer(call, priority=priority)
    assert mailbox.offer("low", priority=0) == REFUSED
    assert mailbox.offer("c", priority=1) == WAITS
    assert mailbox.offer("d", priority=7) == WAITS
    assert mailbox.displaced == ["a", "b"]
    assert list(mailbox.waiting()) == ["d", "high", "c"]


@pytest.mark.parametrize("policy", ["fail", "drop_oldest", "drop_newest"])
def test_a_call_that_may_start_is_not_refused_however_many_wait(policy):
    mailbox = Mailbox(Rules(1, {"io": 1}, bound=1, policy=policy))
    assert offer_all(mailbox, "a", "b") == [STARTS, WAITS]
    assert mailbox.is_full()
    assert mailbox.offer("c", group="io") == STARTS
    assert not mailbox.displaced


def test_a_mailbox_is_a_queue_again_when_nobody_waits_any_more():
    mailbox = Mailbox(Rules(1))
    offer_all(mailbox, "a", "b")
    mailbox.offer("c", priority=1)
    assert not mailbox._is_plain
    assert [list(mailbox.finish()) for _ in range(3)] == [["c"], ["b"], []]
    assert mailbox._is_plain
    assert offer_all(mailbox, "d", "e") == [STARTS, WAITS]


def test_entries_of_calls_that_were_cancelled_do_not_pile_up():
    mailbox = Mailbox(Rules(1, bound=10, policy="drop_oldest"))
    offer_all(mailbox, "running", "first", priority=1)
    for number in range(1000):
        mailbox.offer(number, priority=-number)
        mailbox.cancel(number)
    backlog = mailbox._backlog
    assert len(backlog._lowest._heap) + sum(len(line._heap) for line in backlog._lines.values()) < 100


@pytest.mark.parametrize("order", [1, -1], ids=["forwards", "backwards"])
def test_a_long_backlog_costs_each_of_its_calls_the_same(order):
    # Work that grows with the square of their number would take minutes, and run into the limit of time of the suite.
    mailbox = Mailbox(Rules(2, methods={"one": MethodRule(limit=1)}))
    calls = list(range(30_000))
    assert mailbox.offer("running", "one") == STARTS
    offer_all(mailbox, *calls, method="one")
    offer_all(mailbox, *(-call for call in calls[1:]), method="other")
    for call in calls[1:10_000][::order]:
        assert mailbox.cancel(call)
    for _ in calls[1:]:
        mailbox.finish("other")
    assert list(mailbox.waiting()) == [0, *calls[10_000:]]
    while mailbox.running:
        mailbox.finish("one")
    assert not len(mailbox)
