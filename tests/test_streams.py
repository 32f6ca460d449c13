"""Streams: items come in their order as they are made, the maker waits for the taker, and nothing is left behind."""

import asyncio
import concurrent.futures
import contextlib
import gc
import itertools
import os
import signal
import threading
import time

import pytest
from tests.flowing import Coroutine, Plain, slow_squares, squares
from tests.programs import wait_until

import actorio
from actorio._caller.sources import LoopSource
from actorio.exceptions import ActorDiedError, RayError, UnpicklableError

pytestmark = pytest.mark.usefixtures("session")

each_kind = pytest.mark.parametrize("cls", [Plain, Coroutine])


async def listed(items):
    return [item async for item in items]


# --- items ----------------------------------------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("number", [0, 1, 5, 1000])
def test_values_come_in_their_order(cls, number):
    actor = cls.remote()
    assert list(actor.count.stream(number)) == list(range(number))
    assert asyncio.run(listed(actor.count.stream(number))) == list(range(number))


@each_kind
def test_a_generator_method_gives_references_without_being_asked(cls):
    actor = cls.remote()
    assert actorio.get(list(actor.count.remote(3))) == [0, 1, 2]
    assert actorio.get(list(actor.count.options(num_returns="streaming").remote(3))) == [0, 1, 2]

    async def main():
        return [await ref async for ref in actor.count.remote(3)]

    assert asyncio.run(main()) == [0, 1, 2]


def test_a_plain_generator_of_an_async_actor_runs_on_its_loop():
    assert list(Coroutine.remote().plain.stream(300)) == list(range(300))


@pytest.mark.parametrize("function", [squares, slow_squares])
def test_tasks_stream(function):
    assert list(function.stream(4)) == [0, 1, 4, 9]
    assert actorio.get(list(function.remote(300)))[-1] == 299**2


def test_a_number_of_values_may_still_be_asked_for():
    assert actorio.get(Plain.remote().count.options(num_returns=2).remote(2)) == [0, 1]
    assert actorio.get(Coroutine.remote().count.options(num_returns=2).remote(2)) == [0, 1]
    with pytest.raises(ValueError, match="returned 3 values, but num_returns=2"):
        actorio.get(Coroutine.remote().count.options(num_returns=2).remote(9))


def test_large_items_come_in_shared_memory():
    values = list(Plain.remote().arrays.stream(5, 1_000_000))
    assert [(int(value[0]), int(value[-1]), value.flags.writeable) for value in values] == [
        (number, number, False) for number in range(5)
    ]


def test_an_exception_that_is_yielded_is_a_value():
    (value,) = Plain.remote().exceptions.stream()
    assert isinstance(value, ValueError)


def test_what_is_in_an_item_is_kept_while_the_item_is():
    actor = Plain.remote()
    (ref,) = next(actor.refs.stream())
    assert actorio.get(ref) == "in a list"
    keeper = Plain.remote()
    (again,) = actor.handles.stream(keeper)
    pid = actorio.get(keeper.pid.remote())
    del keeper
    gc.collect()
    assert actorio.get(again.pid.remote()) == pid


def test_other_calls_run_beside_a_stream_of_an_async_actor():
    async def main():
        actor = Coroutine.remote()
        stream = actor.count.stream(10_000)
        first = await anext(stream)
        assert await actor.pid.remote() > 0
        return [first, *await listed(stream)]

    assert asyncio.run(main()) == list(range(10_000))


def test_many_streams_at_once_keep_their_items_apart():
    async def main():
        actors = [Coroutine.remote(), Plain.options(max_concurrency=4).remote()]
        streams = [actor.count.stream(500) for actor in actors for _ in range(4)]
        return await asyncio.gather(*map(listed, streams))

    assert asyncio.run(main()) == [list(range(500))] * 8


# --- errors ---------------------------------------------------------------------------------------------------------


@each_kind
def test_an_error_comes_in_its_place(cls):
    got = []
    with pytest.raises(ValueError, match="no more"):
        got.extend(value for value in cls.remote().fail_after.stream(3))
    stream = cls.remote().fail_after.stream(3)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no more"):
        next(stream)
    assert list(stream) == []


@each_kind
def test_an_error_is_the_last_reference(cls):
    *refs, last = cls.remote().fail_after.remote(2)
    assert actorio.get(refs) == [0, 1]
    with pytest.raises(ValueError, match="no more"):
        actorio.get(last)


@each_kind
def test_an_item_that_cannot_be_pickled_ends_the_stream_in_clear_words(cls):
    stream = cls.remote().unpicklable.stream()
    assert next(stream) == 1
    with pytest.raises(UnpicklableError, match=r"unpicklable\(\): item \(_thread.lock\) cannot be pickled"):
        next(stream)


@each_kind
def test_a_method_that_returns_no_generator_cannot_stream(cls):
    with pytest.raises(ValueError, match=r"number\(\) returned int, which is no generator"):
        list(cls.remote().number.stream())
    (ref,) = cls.remote().number.options(num_returns="streaming").remote()
    with pytest.raises(ValueError, match="which is no generator"):
        actorio.get(ref)


def test_items_that_arrived_before_the_actor_died_can_be_taken():
    stream = Plain.remote().die_after.stream(3)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ActorDiedError, match="exited with code 3"):
        next(stream)


@each_kind
def test_who_waits_hears_that_the_maker_was_killed(cls):
    actor = cls.remote()
    stream = actor.never.stream()
    assert next(stream) == 1
    actorio.kill(actor)
    with pytest.raises(ActorDiedError, match=r"killed by actorio\.kill"):
        next(stream)


@pytest.mark.parametrize("wrong", ["dynamic", "all", -1, 1.5])
def test_num_returns_that_make_no_sense_are_refused(wrong):
    with pytest.raises((ValueError, TypeError), match="num_returns"):
        Plain.remote().count.options(num_returns=wrong)


@pytest.mark.parametrize("wrong", [0, -1, "1", None])
def test_windows_that_make_no_sense_are_refused(wrong):
    with pytest.raises((ValueError, TypeError), match="window"):
        Plain.remote().count.options(window=wrong)


# --- the window -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 2, 7, 100])
def test_the_maker_is_at_most_a_window_ahead(window):
    actor = Coroutine.remote()
    stream = actor.count.options(window=window).stream(1000)
    for taken in range(1, 20):
        next(stream)
        assert actorio.get(actor.made_so_far.remote()) <= taken + window
    assert len(list(stream)) == 1000 - 19


def test_the_maker_in_a_thread_is_at_most_a_window_ahead():
    actor = Plain.options(max_concurrency=2).remote()
    stream = actor.count.options(window=5).stream(1000)
    assert wait_until(lambda: actorio.get(actor.made_so_far.remote()) == 5)
    for taken in range(1, 20):
        next(stream)
        assert actorio.get(actor.made_so_far.remote()) <= taken + 5
    assert len(list(stream)) == 1000 - 19


def test_a_function_that_returns_an_iterator_is_held_by_its_window_too(tmp_path):
    @actorio.remote
    def count(path):
        def step(number):
            with path.open("a") as made:
                made.write("x")
            return number

        return map(step, range(100))

    stream = count.options(window=3).stream(tmp_path / "made")
    for taken in range(1, 20):
        next(stream)
        assert (tmp_path / "made").stat().st_size <= taken + 3
    assert len(list(stream)) == 100 - 19


def test_large_items_are_held_by_their_size():
    actor = Plain.options(max_concurrency=2).remote()
    stream = actor.arrays.stream(20, 20 << 20)
    # 64 MiB may be on their way.
    assert wait_until(lambda: actorio.get(actor.made_so_far.remote()) >= 3)
    assert next(stream)[0] == 0
    assert actorio.get(actor.made_so_far.remote()) <= 5
    assert len(list(stream)) == 19


def test_tasks_that_take_the_streams_of_tasks_do_not_block_each_other():
    @actorio.remote
    def total(depth):
        return sum(below.stream(depth)) if depth else 1

    @actorio.remote
    def below(depth):
        for _ in range(3):
            yield actorio.get(total.remote(depth - 1))

    assert actorio.get(total.remote(3)) == 27


# --- leaving --------------------------------------------------------------------------------------------------------


@each_kind
def test_leaving_the_loop_closes_the_generator(cls):
    actor = cls.remote()
    for value in actor.count.stream(10**9):
        if value == 3:
            break
    del value
    assert wait_until(lambda: actorio.get(actor.closed_so_far.remote()) == ["count"])
    made = actorio.get(actor.made_so_far.remote())
    assert actorio.get(actor.made_so_far.remote()) == made < 10_000


@pytest.mark.parametrize("leave", ["close", "with", "async with", "aclosing"])
@pytest.mark.parametrize("is_of_references", [True, False])
def test_a_stream_is_left_in_every_way_in_which_generators_are(leave, is_of_references):
    actor = Plain.options(max_concurrency=2).remote()
    stream = (actor.count.remote if is_of_references else actor.count.stream)(10**9)

    async def leave_in_a_coroutine():
        async with stream if leave == "async with" else contextlib.aclosing(stream) as items:
            await anext(items)

    if leave == "close":
        next(stream)
        stream.close()
    elif leave == "with":
        with stream as items:
            next(items)
    else:
        asyncio.run(leave_in_a_coroutine())
    assert list(stream) == []
    assert wait_until(lambda: actorio.get(actor.closed_so_far.remote()) == ["count"])


def test_a_stream_of_a_number_of_references_is_refused():
    @actorio.remote(num_returns=2)
    def two():
        yield from (1, 2)

    with pytest.raises(ValueError, match=r"two.stream\(\): num_returns=2 is for .remote\(\)"):
        two.stream()
    with pytest.raises(ValueError, match="num_returns=1 is for"):
        Plain.remote().count.options(num_returns=1).stream(3)


@each_kind
def test_leaving_an_asynchronous_loop_closes_the_generator(cls):
    async def main(actor):
        async for value in actor.count.stream(10**9):
            if value == 3:
                break
        async with actor.count.stream(10**9, "with") as stream:
            await anext(stream)
        with actor.count.stream(10**9, "closed") as stream:
            await anext(stream)

    actor = cls.remote()
    asyncio.run(main(actor))
    assert wait_until(lambda: sorted(actorio.get(actor.closed_so_far.remote())) == ["closed", "count", "with"])


@each_kind
def test_dropping_the_references_closes_the_generator(cls):
    actor = cls.remote()
    refs = actor.count.remote(10**9)
    assert actorio.get(next(refs)) == 0
    del refs
    assert wait_until(lambda: actorio.get(actor.closed_so_far.remote()) == ["count"])


def test_what_an_asynchronous_generator_waits_for_is_cancelled():
    actor = Coroutine.remote()
    stream = actor.never.stream()
    assert next(stream) == 1
    stream.close()
    assert wait_until(lambda: actorio.get(actor.closed_so_far.remote()) == ["never"])
    assert list(stream) == []


def test_a_stream_that_is_left_before_it_begins_makes_nothing():
    actor = Plain.remote()
    slow = actor.__ray_call__.remote(lambda _: time.sleep(0.2))
    actor.count.stream(10**9).close()
    actorio.get(slow)
    assert actorio.get(actor.made_so_far.remote()) == 0


@each_kind
def test_a_killed_taker_closes_the_generator(cls):
    actor = cls.options(max_concurrency=2).remote()

    @actorio.remote
    class Taker:
        def take(self, actor):
            self.stream = actor.count.stream(10**9)
            next(self.stream)
            return os.getpid()

    taker = Taker.remote()
    os.kill(actorio.get(taker.take.remote(actor)), signal.SIGKILL)
    assert wait_until(lambda: actorio.get(actor.closed_so_far.remote()) == ["count"])


def test_an_await_that_is_cancelled_loses_no_item():
    async def main():
        actor = Coroutine.remote()
        stream = actor.count.stream(50)
        got = []
        while True:
            try:
                got.append(await asyncio.wait_for(anext(stream), 0.0003))
            except TimeoutError:
                await asyncio.sleep(0)
            except StopAsyncIteration:
                return got

    assert asyncio.run(main()) == list(range(50))


def test_several_takers_of_one_stream_get_each_item_once():
    async def take(stream):
        return [item async for item in stream]

    async def main():
        stream = Coroutine.remote().count.stream(200)
        pair = await asyncio.gather(anext(stream), anext(stream))
        return [*pair, *itertools.chain(*await asyncio.gather(*(take(stream) for _ in range(3))))]

    assert sorted(asyncio.run(main())) == list(range(200))
    stream = Plain.remote().count.stream(2000)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(list, [stream] * 4))
    assert sorted(itertools.chain(*parts)) == list(range(2000))


def test_a_blocking_loop_over_a_stream_is_refused_on_the_loop_of_an_actor():
    @actorio.remote
    class Blocking:
        async def total(self, items):
            return sum(items)

    with pytest.raises(RuntimeError, match=r"Stream.__next__\(\) at .*write `async for value in stream`"):
        actorio.get(Blocking.remote().total.remote(Plain.remote().never.stream()))


# --- Ray's generator ------------------------------------------------------------------------------------------------


def test_a_generator_can_be_waited_for():
    actor, slow = Plain.remote(), Plain.remote()
    refs, others = actor.count.remote(2), slow.never.remote()
    assert actorio.get(next(others)) == 1
    ready, rest = actorio.wait([others, refs], timeout=10)
    assert (ready, rest) == ([refs], [others])
    assert actorio.wait([others], timeout=0.01) == ([], [others])
    ref = actor.pid.remote()
    assert actorio.wait([ref, others, refs], num_returns=2, timeout=10) == ([ref, refs], [others])
    assert actorio.get(list(refs)) == [0, 1]
    actorio.kill(slow)


def test_a_generator_says_how_far_it_is():
    actor = Plain.remote()
    refs = actor.count.remote(1)
    assert actorio.get(refs.completed()) is None
    assert refs.next_ready()
    assert not refs.is_finished()
    next(refs)
    assert refs.is_finished()
    with pytest.raises(StopIteration):
        next(refs)
    failing = actor.fail_after.remote(0)
    with pytest.raises(ValueError, match="no more"):
        actorio.get(failing.completed())


def test_its_references_outlive_it():
    refs = Plain.remote().count.remote(3)
    first, second = next(refs), next(refs)
    del refs
    gc.collect()
    assert actorio.get([first, second]) == [0, 1]


# --- passed on ------------------------------------------------------------------------------------------------------


@each_kind
def test_a_stream_can_be_passed_to_another_actor(cls):
    maker, taker = Plain.remote(), cls.remote()
    assert actorio.get(taker.total.remote(maker.count.stream(1000))) == sum(range(1000))
    assert actorio.get(Plain.remote().take_refs.remote(maker.count.remote(20))) == list(range(20))


def test_a_stream_is_passed_on_as_far_as_it_has_come():
    maker, taker = Plain.remote(), Plain.remote()
    stream = maker.count.stream(10)
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    assert actorio.get(taker.total.remote(stream)) == sum(range(3, 10))
    with pytest.raises(RuntimeError, match="has been passed on"):
        next(stream)


def test_a_stream_that_somebody_has_waited_for_is_passed_on_whole():
    async def main():
        maker, taker = Coroutine.remote(), Coroutine.remote()
        stream = maker.count.stream(10)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0)
        return await taker.total.remote(stream)

    assert asyncio.run(main()) == 45


def test_a_stream_goes_through_many_hands():
    maker, hands = Plain.remote(), [Plain.remote(), Coroutine.remote(), Plain.remote()]
    stream = maker.count.stream(300)
    for hand in hands:
        stream = hand.relay.stream(stream)
    assert list(stream) == [number + 3 for number in range(300)]
    assert actorio.get(hands[0].pass_on.remote(maker.count.stream(5), hands[1])) == 10


@each_kind
def test_who_leaves_a_stream_that_was_passed_on_closes_its_generator(cls):
    maker, taker = Plain.options(max_concurrency=2).remote(), cls.remote()
    assert actorio.get(taker.first.remote(maker.count.stream(10**9))) == 0
    assert wait_until(lambda: actorio.get(maker.closed_so_far.remote()) == ["count"])


def test_an_error_comes_in_its_place_though_the_stream_was_passed_on():
    maker, taker = Plain.remote(), Plain.remote()
    with pytest.raises(ValueError, match="no more"):
        actorio.get(taker.total.remote(maker.fail_after.stream(3)))


def test_the_taker_of_a_stream_that_was_passed_on_holds_its_maker():
    maker, taker = Plain.options(max_concurrency=2).remote(), Plain.options(max_concurrency=2).remote()
    relayed = taker.relay.options(window=2).stream(maker.count.options(window=3).stream(10**9))
    assert next(relayed) == 1
    # Each of those who pass it on may have a window of their own.
    assert wait_until(lambda: actorio.get(maker.made_so_far.remote()) > 100)
    made = 0
    while made != (made := actorio.get(maker.made_so_far.remote())):
        time.sleep(0.05)
    assert made < 1000
    relayed.close()


def test_a_stream_that_has_ended_cannot_be_passed_on():
    stream = Plain.remote().count.stream(0)
    assert list(stream) == []
    with pytest.raises(TypeError, match="has ended"):
        Plain.remote().total.remote(stream)


# --- arguments ------------------------------------------------------------------------------------------------------


@each_kind
def test_a_generator_that_is_an_argument_streams_in(cls):
    actor = cls.remote()
    assert actorio.get(actor.total.remote(number for number in range(1000))) == sum(range(1000))
    assert actorio.get(actor.total.remote(items=(number for number in range(10)))) == 45
    assert list(actor.relay.stream(number for number in range(300)))[-1] == 300
    assert actorio.get(Plain.remote().kind.remote(number for number in ())) == "Stream"


def test_a_generator_streams_into_a_constructor():
    class Summing:
        def __init__(self, items):
            self.sum = sum(items)

        def get(self):
            return self.sum

    assert actorio.get(actorio.remote(Summing).remote(number for number in range(1000)).get.remote()) == 499_500
    with pytest.raises(ValueError, match=r"Summing may be restarted, .* can be taken only once"):
        actorio.remote(Summing).options(max_restarts=1).remote(number for number in range(3))


@each_kind
def test_an_asynchronous_generator_that_is_an_argument_streams_in(cls):
    async def numbers(count):
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    async def main():
        return await cls.remote().total.remote(numbers(300))

    assert asyncio.run(main()) == sum(range(300))


def test_tasks_take_generators_too():
    @actorio.remote
    def total(items):
        return sum(items)

    assert actorio.get(total.remote(number for number in range(100))) == 4950


@each_kind
def test_an_actor_that_takes_no_more_closes_the_generator(cls):
    made, closed = [], []

    def numbers():
        try:
            for number in range(10**9):
                made.append(number)
                yield number
        finally:
            closed.append(True)

    assert actorio.get(cls.remote().first.remote(numbers())) == 0
    assert wait_until(lambda: closed)
    assert len(made) < 1000


def test_an_actor_that_is_killed_closes_the_asynchronous_generator():
    closed = []

    async def numbers():
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def main():
        actor = Coroutine.remote()
        total = actor.total.remote(numbers())
        await actor.pid.remote()
        await asyncio.sleep(0.05)
        actorio.kill(actor)
        with pytest.raises(ActorDiedError):
            await total
        while not closed:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_what_a_generator_raises_is_raised_in_the_actor():
    def numbers():
        yield 1
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        actorio.get(Plain.remote().total.remote(numbers()))


def test_what_a_generator_raises_arrives_though_it_cannot_be_pickled():
    def numbers():
        yield 1
        raise ValueError(threading.Lock())

    with pytest.raises(RayError, match="raised ValueError, which cannot be pickled"):
        actorio.get(Plain.remote().total.remote(numbers()))


def test_an_item_of_a_generator_that_cannot_be_pickled_is_said_to_be_so():
    with pytest.raises(UnpicklableError, match=r"an argument of Plain\.total\(\): item \(_thread.lock\)"):
        actorio.get(Plain.remote().total.remote(threading.Lock() for _ in range(3)))


def test_a_loop_that_ends_while_its_generator_is_left_says_nothing(caplog, recwarn):
    async def numbers():
        yield 1

    async def main():
        return LoopSource(numbers(), "f", itertools.count(1))

    loop = asyncio.new_event_loop()
    source = loop.run_until_complete(main())
    # As when the news comes in the last moment of the loop.
    source._close_soon()
    loop.close()
    del source
    gc.collect()
    assert not caplog.records
    assert not [each for each in recwarn if "LoopSource" in str(each.message)]


def test_a_generator_can_be_the_argument_of_one_call():
    numbers = (number for number in range(5))
    actor = Plain.remote()
    total = actor.total.remote(numbers)
    with pytest.raises(ValueError, match="is the argument of another call already"):
        actor.total.remote(numbers)
    assert actorio.get(total) == 10


def test_a_stream_can_be_passed_to_one_actor():
    stream = Plain.remote().count.stream(5)
    totals = [taker.total.remote(stream) for taker in (Plain.remote(), Plain.remote())]
    actorio.wait(totals, num_returns=2)
    errors = [ref.exception() for ref in totals]
    assert sum(error is None for error in errors) == 1
    assert "this stream is taken" in str(errors)


def test_an_asynchronous_generator_needs_a_loop():
    async def numbers():
        yield 1

    with pytest.raises(RuntimeError, match="goes on in the event loop that makes the call, and none runs here"):
        Coroutine.remote().total.remote(numbers())
