"""`actorio.util.Queue`: every item comes out once, in order, for whoever waits, and none is lost when nobody does."""

import asyncio
import pickle
import queue
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.programs import output_of, wait_until

import actorio
from actorio._model import runtime
from actorio.exceptions import ActorDiedError
from actorio.util import Queue
from actorio.util.queue import Empty, Full, _QueueActor

PATIENCE = 10
# A waiter who is not served within this time, in seconds, is asked no longer.
SHORT = 0.05


@pytest.fixture
def items(session):
    return Queue()


@actorio.remote
class User:
    def put(self, shared, values):
        for value in values:
            shared.put(value)

    def get(self, shared, number):
        return [shared.get(timeout=PATIENCE) for _ in range(number)]


# -- one after the other -------------------------------------------------------------------------------------------


def test_items_come_out_in_the_order_in_which_they_were_put(items):
    for value in range(5):
        items.put(value)
    assert (len(items), items.qsize(), items.empty(), items.full()) == (5, 5, False, False)
    assert [items.get() for _ in range(5)] == [*range(5)]
    assert items.empty()


def test_an_item_is_anything_that_can_be_pickled_and_the_value_of_a_reference(items):
    items.put({"nested": [1, None]})
    items.put(actorio.put("referred to"))
    assert [items.get(), items.get()] == [{"nested": [1, None]}, "referred to"]
    with pytest.raises(TypeError, match="lock"):
        items.put(threading.Lock())


def test_a_full_queue_takes_no_more(session):
    items = Queue(maxsize=2)
    items.put_nowait(1)
    items.put_nowait(2)
    assert items.full()
    for put in (
        lambda: items.put_nowait(3),
        lambda: items.put(3, block=False),
        lambda: items.put(3, timeout=SHORT),
        lambda: asyncio.run(items.put_async(3, timeout=SHORT)),
        lambda: asyncio.run(items.put_async(3, block=False)),
    ):
        with pytest.raises(queue.Full, match="with 2 items") as caught:
            put()
        assert type(caught.value) is Full
    assert items.get_nowait_batch(2) == [1, 2]


def test_an_empty_queue_gives_nothing(items):
    for get in (
        items.get_nowait,
        lambda: items.get(block=False),
        lambda: items.get(timeout=SHORT),
        lambda: asyncio.run(items.get_async(timeout=SHORT)),
        lambda: asyncio.run(items.get_async(block=False)),
    ):
        with pytest.raises(queue.Empty, match="the queue is empty") as caught:
            get()
        assert type(caught.value) is Empty
    items.put("later")
    assert items.get() == "later"


def test_batches_are_all_or_nothing(session):
    items = Queue(maxsize=3)
    with pytest.raises(Full, match="holds 0 of 3 items: there is no room for 4"):
        items.put_nowait_batch(range(4))
    items.put_nowait_batch(range(3))
    with pytest.raises(Empty, match="holds 3 items, not 4"):
        items.get_nowait_batch(4)
    assert items.get_nowait_batch(3) == [0, 1, 2]
    assert items.get_nowait_batch(0) == []


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        (lambda items: Queue("3"), TypeError, "maxsize is an int, not '3'"),
        (lambda items: Queue(-1), ValueError, "maxsize is at least 0"),
        (lambda items: Queue(actor_options={"colour": 1}), ValueError, "colour"),
        (lambda items: items.put(1, timeout=-1), ValueError, "at least 0, not -1"),
        (lambda items: items.put(1, timeout="1"), TypeError, "a number of seconds or None, not '1'"),
        (lambda items: items.get(timeout=float("nan")), ValueError, "at least 0, not nan"),
        (lambda items: items.get_nowait_batch(-1), ValueError, "num_items is at least 0"),
        (lambda items: items.get_nowait_batch(1.5), TypeError, "num_items is an int"),
        (lambda items: items.put_nowait_batch(3), TypeError, "not iterable"),
    ],
)
def test_a_wrong_argument_is_refused_at_the_call(wrong, error, text, items):
    with pytest.raises(error, match=text):
        wrong(items)


# -- waiting -------------------------------------------------------------------------------------------------------


def test_who_waits_for_an_item_gets_the_next_one_in_their_order(items):
    async def wait():
        waiting = [asyncio.ensure_future(items.get_async()) for _ in range(3)]
        for number, one in enumerate(waiting):
            await items.put_async(number)
            assert await asyncio.wait_for(one, PATIENCE) == number

    asyncio.run(wait())


def test_who_waits_for_room_comes_in_their_order(session):
    items = Queue(maxsize=1)

    async def wait():
        putting = [asyncio.ensure_future(items.put_async(number)) for number in range(4)]
        taken = [await items.get_async(timeout=PATIENCE) for _ in range(4)]
        await asyncio.gather(*putting)
        return taken

    assert asyncio.run(wait()) == [0, 1, 2, 3]


def test_more_than_a_thousand_may_wait_and_putting_still_works(items):
    async def wait():
        waiting = [asyncio.ensure_future(items.get_async()) for _ in range(1200)]
        await items.put_async("first")
        assert await asyncio.wait_for(waiting[0], PATIENCE) == "first"
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(wait())


def test_a_cancelled_get_loses_no_item_and_no_order(items):
    async def cancel():
        waiting = asyncio.ensure_future(items.get_async())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(cancel())
    items.put_nowait_batch([1, 2])
    assert [items.get(timeout=PATIENCE), items.get(timeout=PATIENCE)] == [1, 2]


def test_a_cancelled_put_adds_nothing_later(session):
    items = Queue(maxsize=1)

    async def cancel():
        await items.put_async("first")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(items.put_async("cancelled"), SHORT)

    asyncio.run(cancel())
    assert items.get() == "first"
    items.put("second")
    assert items.get() == "second"


@pytest.mark.parametrize(
    ("method", "arguments", "instead"),
    [
        ("get", (), "`await queue.get_async()`"),
        ("get_nowait", (), "`await queue.get_async()`"),
        ("put", (1,), "`await queue.put_async(item)`"),
        ("put_nowait", (1,), "`await queue.put_async(item)`"),
        ("size", (), "`await asyncio.to_thread(queue.size, ...)`"),
        ("empty", (), "`await asyncio.to_thread(queue.size, ...)`"),
        ("full", (), "`await asyncio.to_thread(queue.full, ...)`"),
        ("put_nowait_batch", ([1],), "`await asyncio.to_thread(queue.put_nowait_batch, ...)`"),
        ("get_nowait_batch", (1,), "`await asyncio.to_thread(queue.get_nowait_batch, ...)`"),
    ],
)
def test_what_would_block_a_loop_is_refused_and_not_done(method, arguments, instead, items):
    class Worker:
        async def use(self, shared):
            return getattr(shared, method)(*arguments)

    worker = actorio.remote(Worker).remote()
    with pytest.raises(RuntimeError, match=r"^(?s:.*)Queue\.\w+\(\) at .* would block the event loop") as caught:
        actorio.get(worker.use.remote(items))
    assert instead in str(caught.value)
    assert items.empty()
    items.put("next")
    assert items.get(timeout=PATIENCE) == "next"


def test_ctrl_c_in_get_loses_no_item():
    output = output_of("""
    from actorio.util import Queue
    items = Queue()
    items.size()
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        items.get()
    except KeyboardInterrupt:
        items.put("kept")
    print(items.get(timeout=10))
    """)
    assert output == ["kept"]


# -- between processes ---------------------------------------------------------------------------------------------


def test_actors_and_threads_share_a_queue(session):
    items = Queue(maxsize=3)
    users = [User.remote() for _ in range(2)]
    gets = [user.get.remote(items, 10) for user in users]
    makers = [User.remote() for _ in range(2)]
    for number, maker in enumerate(makers):
        maker.put.remote(items, [(number, value) for value in range(10)])
    taken = [each for values in actorio.get(gets, timeout=PATIENCE) for each in values]
    assert sorted(taken) == [(number, value) for number in range(2) for value in range(10)]


def test_a_copy_is_the_same_queue(items):
    copy = pickle.loads(pickle.dumps(items))
    copy.put("through the copy")
    assert items.get() == "through the copy"
    assert copy.maxsize == items.maxsize


def test_its_actor_takes_options(session):
    made = Queue(actor_options={"name": "the queue"})
    made.put(1)
    assert actorio.get_actor("the queue") == made.actor


@pytest.mark.parametrize("force", [True, False])
def test_after_shutdown_whoever_waits_and_whoever_comes_is_told(force, items):
    async def wait():
        waiting = asyncio.ensure_future(items.get_async())
        await asyncio.sleep(0)
        await asyncio.to_thread(items.shutdown, force, 0.1)
        with pytest.raises(ActorDiedError):
            await asyncio.wait_for(waiting, PATIENCE)

    asyncio.run(wait())
    with pytest.raises(ActorDiedError):
        items.put(1)


def test_it_ends_with_its_last_handle(session):
    items = Queue()
    items.put(1)
    actor_id = items.actor._actorio_identity.actor_id
    del items
    assert wait_until(lambda: actor_id not in {each.actor_id for each in runtime.current().list_actors().actors})


# -- what its actor does, against a model --------------------------------------------------------------------------


class Replay:
    """Does to a queue's actor what callers do, and notes who got what."""

    def __init__(self, maxsize):
        self.actor = _QueueActor(maxsize)
        self.maxsize = maxsize
        self.puts, self.gets = [], []

    def begin(self, step):
        {
            "put": lambda: self.put(None),
            "put now": lambda: self.put(0),
            "get": lambda: self.get(None),
            "get now": lambda: self.get(0),
            "cancel a put": lambda: self.puts and self.puts[-1].cancel(),
            "cancel a get": lambda: self.gets and self.gets[-1].cancel(),
            "leave": lambda: self.gets and self.leave(-len(self.gets)),
            "leave a put": lambda: self.puts and self.leave(len(self.puts)),
        }[step]()

    def put(self, patience):
        place = len(self.puts) + 1
        self.puts.append(asyncio.ensure_future(self.actor.put(place, place, patience)))

    def get(self, patience):
        place = -len(self.gets) - 1
        self.gets.append(asyncio.ensure_future(self.actor.get(place, patience)))

    def leave(self, place):
        self.leaving = asyncio.ensure_future(self.actor.leave(place))

    async def settle(self):
        for _ in range(5):
            await asyncio.sleep(0)
        assert not self.maxsize or await self.actor.qsize() <= self.maxsize

    async def run(self, steps):
        for step in steps:
            self.begin(step)
            await self.settle()
        while any(not put.done() for put in self.puts) or await self.actor.qsize():
            self.get(None)
            await self.settle()
        for get in self.gets:
            get.cancel()
        await asyncio.gather(*self.gets, *self.puts, return_exceptions=True)


def has_value(task):
    return not task.cancelled() and task.exception() is None


STEPS = st.sampled_from(["put", "get", "put now", "get now", "cancel a get", "cancel a put", "leave", "leave a put"])


@given(st.lists(STEPS, max_size=40), st.integers(0, 3))
def test_nothing_is_lost_doubled_or_overtaken(steps, maxsize):
    replay = Replay(maxsize)
    asyncio.run(replay.run(steps))
    added = [number for number, put in enumerate(replay.puts, 1) if has_value(put)]
    assert [get.result() for get in replay.gets if has_value(get)] == added
