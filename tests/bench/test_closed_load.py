import asyncio

import pytest

from actorio.bench.closed_load import ClosedLoad


class Counter:
    """A callee that gives way once for each call, and knows how many it has."""

    def __init__(self):
        self.running = 0
        self.seen = []

    async def call(self):
        self.running += 1
        await asyncio.sleep(0)
        self.seen.append(self.running)
        self.running -= 1


@pytest.mark.parametrize("in_flight", [1, 4, 50])
def test_so_many_calls_are_in_flight_until_the_last_that_counts(in_flight):
    counter = Counter()
    asyncio.run(ClosedLoad(counter.call, in_flight, 30).run())
    # A call's caller makes the next one a step later than it has ended, so others may be seen without it.
    assert max(counter.seen) == in_flight
    assert counter.running == 0


@pytest.mark.parametrize("in_flight", [1, 7])
def test_as_many_latencies_are_kept_as_are_asked_for(in_flight):
    sample = asyncio.run(ClosedLoad(Counter().call, in_flight, 30).run())
    assert len(sample.latencies) == 30
    assert min(sample.latencies) >= 0
    assert sample.throughput == 30 / sample.seconds
    # The first of each place, those that count, and those that were under way at the end.
    assert 30 + in_flight <= sample.calls <= 30 + 2 * in_flight


def test_the_end_is_called_once_while_the_others_are_under_way():
    counter = Counter()
    at_the_end = []
    asyncio.run(ClosedLoad(counter.call, 8, 20, lambda: at_the_end.append(counter.running)).run())
    assert len(at_the_end) == 1
    assert at_the_end[0] > 0


def test_a_call_that_fails_ends_the_load():
    async def fail():
        raise ValueError("no")

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(ClosedLoad(fail, 3, 10).run())
    assert {type(error) for error in caught.value.exceptions} == {ValueError}
