from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from actorio._worker.mailbox import Mailbox


class Model(RuleBasedStateMachine):
    """A mailbox beside what its promises say."""

    def __init__(self):
        super().__init__()
        self.offered = []
        self.started = []
        self.finished = 0
        # How many have given their place to another, and for how many too many that is since they have resumed.
        self.resting = 0
        self.surplus = 0

    @rule(limit=st.integers(1, 4))
    @precondition(lambda self: not self.offered)
    def open(self, limit):
        self.limit = limit
        self.mailbox = Mailbox(limit)

    @precondition(lambda self: hasattr(self, "mailbox"))
    @rule()
    def offer(self):
        call = len(self.offered)
        self.offered.append(call)
        has_room = self.running() < self.limit
        assert self.mailbox.offer(call) is has_room
        if has_room:
            self.started.append(call)

    def running(self):
        return len(self.started) - self.finished - self.resting

    def take_next(self):
        following = self.mailbox.finish()
        if following is not None:
            self.started.append(following)
        elif self.surplus:
            self.surplus -= 1

    @precondition(lambda self: self.running() > 0)
    @rule()
    def finish(self):
        self.finished += 1
        self.take_next()

    @precondition(lambda self: self.running() > 0)
    @rule()
    def rest(self):
        self.resting += 1
        self.take_next()

    @precondition(lambda self: self.resting)
    @rule()
    def resume(self):
        self.resting -= 1
        self.surplus += self.running() > self.limit
        self.mailbox.resume()

    @precondition(lambda self: hasattr(self, "mailbox") and self.running() == 0)
    @rule()
    def finishing_nothing_is_refused(self):
        with pytest.raises(ValueError, match="no call"):
            self.mailbox.finish()

    @invariant()
    def calls_start_in_order_and_as_many_as_may(self):
        assert self.started == self.offered[: len(self.started)]
        if not self.offered:
            return
        assert self.running() == self.mailbox.running <= self.limit + self.surplus
        assert len(self.mailbox) == len(self.offered) - len(self.started)
        # Nothing waits while there is room.
        assert not len(self.mailbox) or self.running() >= self.limit

    def teardown(self):
        while self.resting:
            self.resume()
        while self.running() > 0:
            self.finish()
        assert self.started == self.offered


def test_a_mailbox_behaves_like_its_model():
    run_state_machine_as_test(Model, settings=settings(max_examples=60, stateful_step_count=40))


@given(st.integers(1, 5), st.lists(st.none() | st.integers() | st.just(""), max_size=30))
def test_every_call_starts_once_whatever_it_is(limit, calls):
    mailbox = Mailbox(limit)
    running = deque(call for call in calls if mailbox.offer((call,)))
    started = [(call,) for call in running]
    for _ in range(len(calls)):
        following = mailbox.finish()
        started += [] if following is None else [following]
    assert started == [(call,) for call in calls]
    assert (mailbox.running, len(mailbox)) == (0, 0)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_mailbox_that_lets_nothing_run_is_refused(limit):
    with pytest.raises(ValueError, match=str(limit)):
        Mailbox(limit)
