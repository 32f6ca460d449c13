"""How far a generator may be ahead of who takes its items, and whether anybody does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorio._model.streams import FLOW_BYTES
from actorio._transport.outflow import Allowance, ThreadOutflow
from actorio._wire.messages import Call

SIZES = st.sampled_from([0, 1, 1000, FLOW_BYTES // 3, FLOW_BYTES, 2 * FLOW_BYTES])
# Items that are sent as soon as they may be, and how many are taken in between.
HISTORIES = st.lists(st.tuples(SIZES, st.integers(0, 5)), max_size=60)


@given(st.integers(1, 10), HISTORIES)
def test_no_more_than_a_window_and_the_bytes_are_out_and_one_item_always_may_be(window, history):
    allowance, out = Allowance(window), []
    for size, taken in history:
        assert allowance.is_open() == (not out or (len(out) < window and sum(out) < FLOW_BYTES))
        if allowance.is_open():
            allowance.sent(size)
            out.append(size)
        allowance.grant(taken)
        del out[:taken]


def test_what_was_not_sent_cannot_be_taken():
    allowance = Allowance(2)
    allowance.grant(5)
    allowance.sent(1)
    allowance.sent(1)
    assert not allowance.is_open()


class Connection:
    """One whose loop's thread runs between two steps of who makes an outflow: ``then`` is what it does."""

    def __init__(self, left=(), then=lambda _: None, *, is_open=True, clogged=0):
        self.outflows, self.left = {}, set(left)
        self._then, self._is_open, self.clogged = then, is_open, clogged

    def is_clogged(self):
        return self.clogged > 0

    def push(self):
        self.clogged -= 1
        if self.clogged == 1:
            self._then(*self.outflows.values())

    def is_open(self):
        was_open = self._is_open
        for outflow in self.outflows.values():
            self._then(outflow)
        return was_open


@pytest.mark.parametrize(
    ("connection", "may_go_on"),
    [
        (Connection(), True),
        (Connection(left=[1, 2]), False),
        (Connection(is_open=False), False),
        (Connection(then=ThreadOutflow.leave), False),
    ],
    ids=["taken", "left before", "closed before", "left in the midst of its making"],
)
def test_a_stream_that_nobody_takes_does_not_begin(connection, may_go_on):
    outflow = ThreadOutflow(connection, Call(1, "count", window=3), None)
    assert outflow.may_go_on() == may_go_on
    assert connection.left <= {2}
    assert connection.outflows == {1: outflow}
    outflow.close()
    assert connection.outflows == {}


def test_a_thread_sends_what_is_left_itself_before_it_makes_more():
    connection = Connection(clogged=3)
    outflow = ThreadOutflow(connection, Call(1, "f", window=2), None)
    assert outflow.may_go_on()
    assert connection.clogged == 0


def test_a_thread_sends_no_more_when_nobody_takes_it():
    connection = Connection(clogged=3)
    outflow = ThreadOutflow(connection, Call(1, "f", window=2), None)
    connection._then = ThreadOutflow.leave
    assert not outflow.may_go_on()
    assert connection.clogged == 1
