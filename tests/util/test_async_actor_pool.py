import asyncio
import contextlib
import gc
import itertools
import pickle
import weakref

import pytest
from tests.util.workers import Gates, Worker, double, double_or_die, double_or_fail, through

import actorio
from actorio.exceptions import ActorDiedError
from actorio.util import AsyncActorPool
from actorio.util.flow import Flow

pytestmark = pytest.mark.anyio

KINDS = pytest.mark.parametrize("kind", ["map", "map_unordered"])


@pytest.fixture
def gates(session):
    return Gates.remote()


@pytest.fixture
def make(gates):
    """Make a pool of so many actors."""
    return lambda size, **options: AsyncActorPool([Worker.remote(gates) for _ in range(size)], **options)


def tasks_of_maps():
    return [task for task in asyncio.all_tasks() if "Flow." in task.get_coro().__qualname__]


async def listed(results):
    return [result async for result in results]


# -- results -------------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize(("size", "limit"), [(1, 1), (1, 5), (3, 1), (3, 5)])
async def test_every_value_has_its_result(kind, size, limit, make):
    results = await listed(getattr(make(size, calls_per_actor=limit), kind)(double, range(50)))
    assert (sorted(results) if kind == "map_unordered" else results) == [2 * value for value in range(50)]


async def test_map_gives_the_results_in_the_values_order(make, gates):
    results = make(2).map(through, ["first", "second"])
    first = asyncio.ensure_future(anext(results))
    await gates.until_came.remote("first", "second")
    await gates.open.remote("second")
    assert not first.done()
    await gates.open.remote("first")
    assert [await first, *await listed(results)] == ["first", "second"]


async def test_map_unordered_gives_the_results_as_they_come(make, gates):
    results = make(2).map_unordered(through, ["first", "second"])
    earliest = asyncio.ensure_future(anext(results))
    await gates.open.remote("second")
    assert await earliest == "second"
    await gates.open.remote("first")
    assert await listed(results) == ["first"]


@KINDS
async def test_a_map_over_nothing_is_empty(kind, make):
    assert await listed(getattr(make(1), kind)(double, [])) == []


@KINDS
async def test_values_may_come_asynchronously(kind, make):
    async def values():
        for value in range(5):
            await asyncio.sleep(0)
            yield value

    assert sorted(await listed(getattr(make(2), kind)(double, values()))) == [0, 2, 4, 6, 8]


@KINDS
async def test_a_source_that_is_slow_holds_back_no_result(kind, make):
    source = asyncio.Queue()

    async def values():
        while (value := await source.get()) is not None:
            yield value

    results = getattr(make(2), kind)(double, values())
    for value in range(3):
        source.put_nowait(value)
        assert await anext(results) == 2 * value
    source.put_nowait(None)
    assert await listed(results) == []


@pytest.mark.parametrize("values", [None, 3, double])
async def test_values_that_cannot_be_iterated_over_are_refused_at_once(values, make):
    with pytest.raises(TypeError, match="an iterable or an asynchronous one"):
        make(1).map(double, values)


async def test_the_function_may_return_anything_to_await(make):
    async def twice(actor, value):
        return await actor.double.remote(await actor.double.remote(value))

    pool = make(2)
    assert await listed(pool.map(twice, [1, 2])) == [4, 8]
    pairs = pool.map(lambda actor, value: [actor.double.remote(value), actor.double.remote(-value)], [1, 2])
    assert await listed(pairs) == [[2, -2], [4, -4]]


async def test_maps_of_one_pool_can_run_at_once(make):
    pool = make(2)
    assert await asyncio.gather(*(listed(pool.map(double, range(n))) for n in range(6))) == [
        [2 * value for value in range(n)] for n in range(6)
    ]


async def test_submit_gives_the_result_of_one_call(make):
    pool = make(2)
    assert await asyncio.gather(*(pool.submit(double, value) for value in range(20))) == [
        2 * value for value in range(20)
    ]
    with pytest.raises(LookupError):
        await pool.submit(double_or_fail, -1)


# -- errors in place -----------------------------------------------------------------------------------------------


async def test_an_error_is_raised_at_its_place_and_ends_the_map(make):
    results = make(2).map(double_or_fail, [1, 2, -1, 3])
    assert [await anext(results), await anext(results)] == [2, 4]
    with pytest.raises(LookupError, match="-1"):
        await anext(results)
    assert tasks_of_maps() == []
    assert await listed(results) == []


@KINDS
async def test_an_error_is_given_at_its_place_when_asked_for(kind, make):
    results = await listed(getattr(make(1), kind)(double_or_fail, [1, -1, 2], return_exceptions=True))
    assert isinstance(results[1], LookupError)
    assert (results[0], results[2]) == (2, 4)


@pytest.mark.parametrize("made", [None, 3])
async def test_a_function_that_returns_nothing_to_await_is_an_error_in_its_place(made, make):
    (error,) = await listed(make(1).map(lambda actor, value: made, [1], return_exceptions=True))
    assert isinstance(error, TypeError)
    assert "returns an ObjectRef, a list of them" in str(error)


async def test_what_the_function_raises_is_an_error_in_its_place(make):
    results = make(1).map(
        lambda actor, value: actor.nonesuch.remote() if value == 1 else actor.double.remote(value),
        range(3),
        return_exceptions=True,
    )
    first, error, last = await listed(results)
    assert (first, type(error), last) == (0, AttributeError, 4)


@KINDS
@pytest.mark.parametrize("return_exceptions", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
async def test_what_taking_a_value_raises_comes_after_the_results_before_it(kind, return_exceptions, is_async, make):
    def failing():
        yield 1
        yield 2
        raise ZeroDivisionError("from the source")

    async def failing_slowly():
        for value in failing():
            yield value

    values = failing_slowly() if is_async else failing()
    results = getattr(make(2), kind)(double, values, return_exceptions=return_exceptions)
    assert {await anext(results), await anext(results)} == {2, 4}
    with pytest.raises(ZeroDivisionError, match="from the source"):
        await anext(results)


# -- which member, how many, how far ahead --------------------------------------------------------------------------


async def test_no_member_has_more_calls_at_once_than_the_limit(make, gates):
    pool = make(2, calls_per_actor=3)
    names = [str(n) for n in range(20)]
    results = asyncio.ensure_future(listed(pool.map(through, names)))
    await gates.until_came.remote(*names[:6])
    assert set(await gates.all_came.remote()) == set(names[:6])
    await gates.open.remote(*names)
    assert await results == names
    counts, most = zip(*[await actor.counts.remote() for actor in pool.actors], strict=True)
    assert (sum(counts), most) == (20, (3, 3))


async def test_the_member_with_the_fewest_calls_under_way_gets_the_next(make, gates):
    pool = make(2, calls_per_actor=4)
    chosen = []

    def noted(actor, name):
        chosen.append(actor)
        return actor.through.remote(name)

    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(pool.submit(noted, name)) for name in "abcd"]
        await gates.until_came.remote(*"abcd")
        busy, other = chosen[0], chosen[1]
        assert chosen == [busy, other, busy, other]
        await gates.open.remote("b", "d")
        await calls[1]
        await calls[3]
        calls += [group.create_task(pool.submit(noted, name)) for name in "ef"]
        await gates.until_came.remote(*"ef")
        assert chosen[4:] == [other, other]
        await gates.open.remote(*"acef")


async def test_values_are_taken_no_further_ahead_than_twice_what_can_be_under_way(make):
    taken = itertools.count()
    results = make(2, calls_per_actor=3).map(double, taken)
    async with contextlib.aclosing(results):
        assert [await anext(results) for _ in range(5)] == [0, 2, 4, 6, 8]
        await until_idle()
        # What was consumed, and what there is room for.
        assert next(taken) == 5 + 2 * 2 * 3


async def until_idle():
    """Let the loop come round until the calls of a pool have long been answered."""
    await Worker.remote().double.remote(1)
    for _ in range(100):
        await asyncio.sleep(0)


async def test_a_slow_first_result_leaves_the_other_members_work(make, gates):
    results = make(2).map(through, ["slow", "a", "b", "c"])
    await gates.open.remote("a", "b", "c")
    first = asyncio.ensure_future(anext(results))
    await gates.until_came.remote("slow", "a", "b", "c")
    await gates.open.remote("slow")
    assert [await first, *await listed(results)] == ["slow", "a", "b", "c"]


async def test_nothing_begins_before_the_first_result_is_asked_for(make):
    taken = itertools.count()
    make(1).map(double, taken)
    await asyncio.sleep(0)
    assert next(taken) == 0


# -- the consumer stops --------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("how", ["break", "aclosing", "error"])
async def test_when_the_consumer_stops_no_more_calls_are_made(how, kind, make, gates):
    pool = make(2)
    taken = itertools.count()
    names = (str(next(taken)) for _ in itertools.repeat(None))
    await gates.open.remote("0")
    if how == "break":
        async for result in getattr(pool, kind)(through, names):  # noqa: B007  # what it was is looked at below
            break
    else:
        with contextlib.suppress(ZeroDivisionError):
            async with contextlib.aclosing(getattr(pool, kind)(through, names)) as results:
                result = await anext(results)
                if how == "error":
                    1 / 0  # noqa: B018  # raising is the test
    assert result == "0"
    if how == "break":
        # Closed once the loop comes round.
        await until_idle()
    assert tasks_of_maps() == []
    await gates.open.remote("1", "2")
    # Its members are free for others, and the values are left where they were.
    assert await listed(pool.map(double, range(4))) == [0, 2, 4, 6]
    assert set(await gates.all_came.remote()) <= {"0", "1", "2"}
    assert next(taken) <= 1 + 2 * 2


@KINDS
async def test_a_consumer_that_is_cancelled_stops_the_map(kind, make, gates):
    pool = make(1)
    consumer = asyncio.ensure_future(listed(getattr(pool, kind)(through, ["under way", "never made"])))
    await gates.until_came.remote("under way")
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    assert tasks_of_maps() == []
    await gates.open.remote("under way", "never made")
    assert await pool.submit(double, 1) == 2
    assert await gates.all_came.remote() == ["under way"]


async def test_a_consumer_that_is_cancelled_while_the_source_is_slow_stops_the_source(make):
    ended = asyncio.Event()

    async def values():
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            ended.set()

    results = make(1).map(double, values())
    assert await anext(results) == 2
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(results)
    assert ended.is_set()


async def test_a_map_that_nobody_asked_for_a_result_needs_no_closing(make):
    make(1).map(double, [1])
    gc.collect()


async def test_a_submit_that_is_cancelled_gives_up_its_place(make, gates):
    pool = make(1)
    first = asyncio.ensure_future(pool.submit(through, "first"))
    await gates.until_came.remote("first")
    waiting = [asyncio.ensure_future(pool.submit(through, name)) for name in ("second", "third")]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await gates.open.remote("first", "third")
    assert (await first, await waiting[1]) == ("first", "third")
    assert await gates.all_came.remote() == ["first", "third"]


async def test_a_place_given_to_one_who_is_cancelled_at_that_moment_goes_on_to_the_next(make, gates):
    pool = make(1)
    first = asyncio.ensure_future(pool.submit(through, "first"))
    waiting = [asyncio.ensure_future(pool.submit(double, value)) for value in (1, 2)]
    # Called before whoever waits for it goes on: the place is handed over, and not yet taken.
    first.add_done_callback(lambda _: waiting[0].cancel())
    await gates.open.remote("first")
    assert await first == "first"
    assert await waiting[1] == 4


# -- members -------------------------------------------------------------------------------------------------------


@KINDS
async def test_a_dead_member_is_replaced(kind, make):
    pool = make(2, factory=Worker.remote)
    before = set(pool.actors)
    results = await listed(getattr(pool, kind)(double_or_die, [1, -1, 2, -1, 3, 4], return_exceptions=True))
    assert sorted(result for result in results if isinstance(result, int)) == [2, 4, 6, 8]
    assert [type(result) for result in results if not isinstance(result, int)] == [ActorDiedError] * 2
    assert len(pool.actors) == 2
    assert len(set(pool.actors) & before) <= 1
    assert await asyncio.gather(*(actor.double.remote(1) for actor in pool.actors)) == [2, 2]


async def test_calls_under_way_on_a_dead_member_are_errors_in_their_places_and_cost_one_replacement(make, gates):
    made = []
    pool = make(1, calls_per_actor=3, factory=lambda: made.append(Worker.remote()) or made[-1])

    def act(actor, value):
        return actor.die.remote() if value == "die" else actor.through.remote(value)

    async def values():
        yield "a"
        yield "b"
        await gates.until_came.remote("a", "b")
        yield "die"
        yield "c"

    *lost, error = await listed(pool.map(act, values(), return_exceptions=True))
    assert [type(one) for one in lost] == [ActorDiedError] * 3
    assert isinstance(error, AttributeError)
    assert pool.actors == made
    assert len(made) == 1


async def test_without_a_factory_the_others_go_on(make):
    pool = make(2)
    results = await listed(pool.map(double_or_die, [-1, 1, 2, 3], return_exceptions=True))
    assert isinstance(results[0], ActorDiedError)
    assert results[1:] == [2, 4, 6]
    assert len(pool.actors) == 1


@KINDS
@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_when_the_last_member_is_dead_an_error_says_so(kind, return_exceptions, make):
    pool = make(1)
    results = getattr(pool, kind)(double_or_die, itertools.chain([-1], itertools.count()), return_exceptions=True)
    died = await anext(results)
    with pytest.raises(ActorDiedError, match="the pool has no actor left: this call was not made") as none_left:
        await anext(results)
    assert none_left.value.certificate == died.certificate
    with pytest.raises(ActorDiedError, match="no actor left"):
        await listed(getattr(pool, kind)(double, [1], return_exceptions=return_exceptions))
    with pytest.raises(ActorDiedError, match="no actor left"):
        await pool.submit(double, 1)


async def test_those_who_wait_for_the_last_member_hear_of_its_death(make, gates):
    pool = make(1)
    calls = [asyncio.ensure_future(pool.submit(double_or_die, value)) for value in (-1, 1, 2)]
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in errors] == [ActorDiedError] * 3
    assert ["no actor left" in str(error) for error in errors] == [False, True, True]


async def test_a_factory_that_raises_is_the_result_of_the_call_that_needed_it(make):
    def fails():
        raise OSError("no more processes")

    pool = make(2, factory=fails)
    error, *results = await listed(pool.map(double_or_die, [-1, 1, 2], return_exceptions=True))
    assert (type(error), type(error.__context__)) == (OSError, ActorDiedError)
    assert results == [2, 4]
    with contextlib.suppress(OSError):
        await pool.submit(double_or_die, -1)
    with pytest.raises(ActorDiedError, match="lost to OSError: no more processes"):
        await pool.submit(double, 1)


async def test_a_member_that_met_another_dead_actor_stays(make):
    pool = make(1)
    with pytest.raises(ActorDiedError):
        await pool.submit(lambda actor, other: actor.fail_as_another.remote(other), Worker.remote())
    assert await pool.submit(double, 1) == 2


async def test_push_adds_a_member_which_gets_waiting_calls(make, gates):
    pool = make(1)
    held = asyncio.ensure_future(pool.submit(through, "held"))
    waiting = asyncio.ensure_future(pool.submit(double, 1))
    await gates.until_came.remote("held")
    pool.push(Worker.remote())
    assert await waiting == 2
    await gates.open.remote("held")
    assert await held == "held"
    with pytest.raises(ValueError, match="in this pool already"):
        pool.push(pool.actors[0])


async def test_a_pool_that_has_lost_a_member_goes_with_its_last_user(make):
    pool = make(1)
    with contextlib.suppress(ActorDiedError):
        await listed(pool.map(double_or_die, [-1]))
    gone = weakref.ref(pool)
    gc.disable()
    try:
        del pool
        await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()


# -- arguments, loops, actors --------------------------------------------------------------------------------------


class TestMisuse:
    @pytest.mark.parametrize(
        ("actors", "options", "error", "text"),
        [
            (list, {}, ValueError, "at least one actor"),
            (lambda: [Worker.remote()] * 2, {}, ValueError, "each once"),
            (lambda: [Worker], {}, TypeError, "actors' handles"),
            (lambda: [Worker.remote()], {"calls_per_actor": 0}, ValueError, "at least 1"),
            (lambda: [Worker.remote()], {"calls_per_actor": 1.5}, TypeError, "is an int"),
        ],
        ids=["none", "twice", "a class", "a limit of 0", "a limit of 1.5"],
    )
    async def test_a_pool_refuses(self, actors, options, error, text, session):
        with pytest.raises(error, match=text):
            AsyncActorPool(actors(), **options)


def test_one_pool_serves_one_loop_after_another(make):
    pool = make(2)

    async def first(count):
        async for result in pool.map(double, itertools.count()):
            if result == 2 * count:
                return result
        return None

    assert [asyncio.run(first(count)) for count in range(3)] == [0, 2, 4]


async def test_a_call_that_is_cancelled_before_it_begins_gives_its_place_back():
    released = []

    async def never(place, value):
        raise AssertionError((place, value))

    flow = Flow(never, never, released.append, room=1, is_ordered=True)
    flow._begin("place", 1)
    await flow.stop()
    assert released == ["place"]


@actorio.remote
class Asynchronous:
    def __init__(self, pool=None):
        self.pool = pool

    async def mapped(self, values):
        return [result async for result in self.pool.map(lambda actor, value: actor.double.remote(value), values)]

    async def made_here(self):
        self.pool = AsyncActorPool([Worker.remote()], factory=Worker.remote, calls_per_actor=2)
        return await self.mapped([1, 2, 3])


async def test_a_pool_can_be_passed_to_an_async_actor_and_used_there(make):
    pool = make(2, factory=Worker.remote)
    users = [Asynchronous.remote(pool) for _ in range(2)]
    assert await asyncio.gather(*(user.mapped.remote([1, 2, 3]) for user in users)) == [[2, 4, 6]] * 2


async def test_a_pool_can_be_made_in_an_async_actor(session):
    assert await Asynchronous.remote().made_here.remote() == [2, 4, 6]


async def test_a_pool_travels_with_its_members_and_nothing_under_way(make, gates):
    pool = make(1)
    call = asyncio.ensure_future(pool.submit(through, "held"))
    await gates.until_came.remote("held")
    twin = pickle.loads(pickle.dumps(pool))
    assert twin.actors == pool.actors
    assert await twin.submit(double, 1) == 2
    await gates.open.remote("held")
    assert await call == "held"
