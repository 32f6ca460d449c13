"""How far a generator may be ahead of who takes its items."""

from hypothesis import given
from hypothesis import strategies as st

from actorio._model.streams import FLOW_BYTES
from actorio._transport.outflow import Allowance

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
