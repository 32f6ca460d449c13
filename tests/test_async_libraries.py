"""References, streams, events and queues are awaited alike under asyncio, uvloop and trio: each test runs on all."""

import contextlib
import itertools
import threading

import anyio
import anyio.to_thread
import pytest
from tests.gates import Gates, Plain, double, double_in_loop_of_task, fail

import actorio
from actorio._model import runtime
from actorio.exceptions import ActorDiedError
from actorio.util import AsyncActorPool, Queue
from actorio.util.queue import Empty

# How long anything may take, in seconds: only a test that fails takes so long.
PATIENCE = 10
# What a wait that is to fail may take.
SHORT = 0.02

LIBRARIES = {
    "asyncio": ("asyncio", {"use_uvloop": False}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}

names = map("gate {}".format, itertools.count())


@pytest.fixture(params=LIBRARIES.values(), ids=LIBRARIES)
def anyio_backend(request):
    return request.param


@pytest.fixture(scope="module")
def gates(session):
    return Gates.remote()


@pytest.fixture(scope="module")
def plain(session):
    return Plain.remote()


@pytest.fixture
def gate():
    return next(names)


def run(function, library):
    backend, options = LIBRARIES[library]
    return anyio.run(function, backend=backend, backend_options=options)


async def cancelled_wait(steps, until):
    """Begin to await what `steps` returns, and cancel that when `until` has been awaited."""
    async with anyio.create_task_group() as group:
        group.start_soon(steps)
        await until()
        group.cancel_scope.cancel()


# -- references ----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_reference_is_awaited_any_number_of_times(plain):
    ref = plain.double.remote(21)
    assert [await ref, await ref] == [42, 42]


@pytest.mark.anyio
async def test_a_task_is_awaited_as_a_call_is(session):
    assert await double.remote(actorio.put(21)) == 42
    with pytest.raises(ValueError, match="on purpose"):
        await fail.remote("on purpose")


@pytest.mark.anyio
async def test_each_task_of_a_group_gets_its_own_result_in_whichever_order_they_come(gates, gate):
    got = []

    async def take(number):
        got.append(await gates.passed.remote(f"{gate}, {number}", number))

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(take, number)
            await gates.nothing.remote()
            for number in reversed(range(50)):
                await gates.open.remote(f"{gate}, {number}")
    assert sorted(got) == [*range(50)]


@pytest.mark.anyio
async def test_an_error_is_raised_where_the_reference_is_awaited_and_the_users_except_catches_it(plain, gates, gate):
    with pytest.raises(ValueError, match="on purpose"):
        await plain.fail.remote("on purpose")
    waiting = gates.passed.remote(gate, KeyError("later"))
    await gates.open.remote(gate)
    with pytest.raises(KeyError, match="later"):
        await waiting


@pytest.mark.anyio
async def test_the_death_of_an_actor_wakes_who_awaits_its_result(session, gate):
    doomed = Gates.remote()
    ref = doomed.passed.remote(gate)
    await doomed.nothing.remote()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, actorio.kill, doomed)
            with pytest.raises(ActorDiedError, match=r"killed by actorio\.kill"):
                await ref


@pytest.mark.anyio
async def test_a_call_that_waits_for_an_argument_is_made_when_that_is_there(plain, gates, gate):
    ref = plain.double.remote(gates.passed.remote(gate, 21))
    await gates.open.remote(gate)
    with anyio.fail_after(PATIENCE):
        assert await ref == 42


@pytest.mark.anyio
async def test_blocking_get_works_in_a_thread_and_in_the_loops_own(plain):
    assert await anyio.to_thread.run_sync(actorio.get, plain.double.remote(1)) == 2
    assert actorio.get([plain.double.remote(value) for value in (1, 2)]) == [2, 4]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_plain_actor_and_a_task_may_run_a_loop_of_either_library(plain, gates, gate, backend):
    assert actorio.get(plain.double_in_loop.remote(backend, gates, gate), timeout=PATIENCE) == 42
    assert actorio.get(double_in_loop_of_task.remote(backend, gates, next(names)), timeout=PATIENCE) == 42


# -- cancelling ----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_cancel_scope_ends_the_await_at_once_and_a_reference_that_is_held_can_be_awaited_again(gates, gate):
    ref = gates.passed.remote(gate, "not lost")
    with anyio.fail_after(PATIENCE):
        await cancelled_wait(lambda: wait_for(ref), gates.nothing.remote)
        await gates.open.remote(gate)
        assert await ref == "not lost"


async def wait_for(ref):
    await ref


@pytest.mark.anyio
async def test_a_cancelled_await_of_what_nobody_else_holds_cancels_the_call(gates, gate):
    async def call():
        await gates.passed.remote(gate)

    with anyio.fail_after(PATIENCE):
        await cancelled_wait(call, lambda: gates.passed.remote(f"{gate}, begun"))
        await gates.passed.remote(f"{gate}, cancelled")


@pytest.mark.anyio
async def test_a_limit_on_the_time_ends_the_await_and_nothing_else(gates, gate):
    ref = gates.passed.remote(gate, "not lost")
    with pytest.raises(TimeoutError), anyio.fail_after(SHORT):
        await ref
    with anyio.move_on_after(SHORT) as scope:
        await ref
    assert scope.cancelled_caught
    await gates.open.remote(gate)
    with anyio.fail_after(PATIENCE):
        assert await ref == "not lost"


@pytest.mark.anyio
async def test_one_of_two_who_await_the_same_is_cancelled_and_the_other_gets_the_value(gates, gate):
    ref = gates.passed.remote(gate, "for both")
    got = []

    async def take():
        got.append(await ref)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(take)
            await cancelled_wait(take, gates.nothing.remote)
            await gates.open.remote(gate)
    assert got == ["for both"]


@pytest.mark.anyio
async def test_a_result_that_comes_while_its_await_is_being_cancelled_is_still_there(gates, gate):
    for number in range(20):
        ref = gates.passed.remote(f"{gate}, {number}", number)

        async def open_it(number=number):
            await gates.open.remote(f"{gate}, {number}")

        with anyio.fail_after(PATIENCE):
            await cancelled_wait(lambda ref=ref: wait_for(ref), open_it)
            assert await ref == number


@pytest.mark.anyio
async def test_a_result_that_is_polled_again_and_again_is_pumped_once(gates, gate):
    pump = runtime.current().calls.contexts.pump
    before = pump._demand
    ref = gates.passed.remote(gate)
    for _ in range(10):
        with anyio.move_on_after(0):
            await ref
    assert pump._demand <= before + 1
    await gates.open.remote(gate)
    await ref


# -- two at once ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", LIBRARIES)
@pytest.mark.parametrize("read", LIBRARIES)
def test_a_reference_made_under_one_library_is_awaited_under_another(gates, gate, made, read):
    async def make():
        return gates.passed.remote(gate, "travelled")

    async def take(ref):
        await gates.open.remote(gate)
        with anyio.fail_after(PATIENCE):
            return await ref

    ref = run(make, made)
    assert run(lambda: take(ref), read) == "travelled"


@pytest.mark.parametrize("pair", [*itertools.combinations(LIBRARIES, 2), ("trio", "trio")], ids=" and ".join)
def test_two_threads_with_a_loop_each_await_the_same_reference_and_their_own(gates, gate, pair):
    ref = gates.passed.remote(gate, "for both")
    waiting = threading.Barrier(3)
    got = []

    async def take():
        own = gates.passed.remote(gate, "my own")

        async def say_so():
            # When it runs, the other task of the group waits.
            await anyio.to_thread.run_sync(waiting.wait, PATIENCE)

        async with anyio.create_task_group() as group:
            group.start_soon(say_so)
            with anyio.fail_after(PATIENCE):
                got.append([await ref, await own])

    threads = [threading.Thread(target=run, args=(take, library)) for library in pair]
    for thread in threads:
        thread.start()
    waiting.wait(PATIENCE)
    actorio.get(gates.open.remote(gate))
    for thread in threads:
        thread.join(PATIENCE)
    assert got == [["for both", "my own"]] * 2


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_result_that_comes_when_its_loop_has_ended_is_read_by_whoever_wants_it(gates, gate, library):
    async def leave_it():
        ref = gates.passed.remote(gate, "late")
        with anyio.move_on_after(SHORT):
            await ref
        return ref

    ref = run(leave_it, library)
    actorio.get(gates.open.remote(gate))
    assert actorio.get(ref, timeout=PATIENCE) == "late"


def test_without_any_loop_an_await_says_so(plain):
    with pytest.raises(RuntimeError, match="no running event loop"):
        plain.double.remote(1).__await__().send(None)


# -- streams and events --------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_stream_gives_its_values_to_async_for(gates, gate):
    await gates.open.remote(gate)
    with anyio.fail_after(PATIENCE):
        # More than the window, so that the method waits for its taker in between.
        assert [value async for value in gates.items.options(window=4).stream(gate, 50)] == [*range(50)]


@pytest.mark.anyio
async def test_a_generator_of_references_gives_them_to_async_for(gates, gate):
    await gates.open.remote(gate)
    with anyio.fail_after(PATIENCE):
        assert [await ref async for ref in gates.items.remote(gate, 5)] == [*range(5)]


@pytest.mark.anyio
async def test_a_cancelled_wait_for_an_item_loses_none(gates, gate):
    async with gates.items.stream(gate, 3) as stream:
        assert await anext(stream) == 0
        with anyio.fail_after(PATIENCE):
            await cancelled_wait(lambda: anext(stream), gates.nothing.remote)
            await gates.open.remote(gate)
            assert [value async for value in stream] == [1, 2]


@pytest.mark.anyio
async def test_two_tasks_that_share_a_stream_get_each_item_once(gates, gate):
    got = []
    stream = gates.items.stream(gate, 20)

    async def take():
        got.extend([value async for value in stream])

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(take)
            group.start_soon(take)
            await gates.open.remote(gate)
    assert sorted(got) == [*range(20)]


@pytest.mark.anyio
async def test_events_of_an_actor_come_until_it_has_died(session):
    watched = Plain.remote()
    with anyio.fail_after(PATIENCE):
        async with contextlib.aclosing(watched.watch()) as events:
            await watched.double.remote(1)
            actorio.kill(watched)
            assert [event.kind async for event in events][-1] == "died"


@pytest.mark.anyio
async def test_a_cancelled_wait_for_an_event_ends_at_once(gates):
    async def follow():
        async with contextlib.aclosing(gates.watch()) as events:
            async for _ in events:
                pass

    with anyio.fail_after(PATIENCE):
        await cancelled_wait(follow, gates.nothing.remote)


# -- queues and pools ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def items(session):
    return Queue(maxsize=1)


@pytest.mark.anyio
async def test_a_queue_takes_and_gives_items_and_waits_for_room_and_for_items(items):
    got = []

    async def take():
        got.extend([await items.get_async() for _ in range(5)])

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(take)
            for item in range(5):
                await items.put_async(item)
    assert got == [*range(5)]
    with pytest.raises(Empty):
        await items.get_async(timeout=SHORT)


@pytest.mark.anyio
async def test_a_cancelled_get_of_a_queue_takes_no_item(items):
    with anyio.fail_after(PATIENCE):
        await cancelled_wait(items.get_async, items.actor.qsize.remote)
        await items.put_async("kept")
        assert await items.get_async() == "kept"


@pytest.mark.anyio
async def test_a_cancelled_put_of_a_queue_puts_nothing(items):
    with anyio.fail_after(PATIENCE):
        await items.put_async("first")
        await cancelled_wait(lambda: items.put_async("never"), items.actor.qsize.remote)
        assert await items.get_async() == "first"
        with pytest.raises(Empty):
            await items.get_async(block=False)


@pytest.mark.anyio
async def test_a_pool_maps_values_over_its_actors(session):
    pool = AsyncActorPool([Plain.remote() for _ in range(2)])

    async def values():
        for value in range(10):
            yield value

    def call(actor, value):
        return actor.double.remote(value)

    with anyio.fail_after(PATIENCE):
        assert [result async for result in pool.map(call, range(10))] == [2 * value for value in range(10)]
        assert sorted([r async for r in pool.map_unordered(call, values())]) == [2 * value for value in range(10)]
        assert await pool.submit(call, 4) == 8


@pytest.mark.anyio
async def test_an_error_ends_a_map_at_its_place(session):
    pool = AsyncActorPool([Plain.remote()])
    got = []
    with anyio.fail_after(PATIENCE):
        with pytest.raises(ValueError, match="third"):
            async for result in pool.map(call_or_fail, [1, 2, "third", 4]):
                got.append(result)  # noqa: PERF401  # what came before the error counts
        kept = [result async for result in pool.map(call_or_fail, [1, "second", 3], return_exceptions=True)]
    assert got == [2, 4]
    assert [kept[0], str(kept[1].cause), kept[2]] == [2, "second", 6]


def call_or_fail(actor, value):
    return actor.fail.remote(value) if isinstance(value, str) else actor.double.remote(value)


@pytest.mark.anyio
async def test_a_map_that_is_left_or_cancelled_gives_its_members_back(gates, gate):
    pool = AsyncActorPool([gates], calls_per_actor=2)

    def call(actor, value):
        return actor.passed.remote(gate if value else f"{gate}, first", value)

    async def take_all():
        async with contextlib.aclosing(pool.map(call, [1, 2, 3])) as results:
            async for _ in results:
                pass

    with anyio.fail_after(PATIENCE):
        await cancelled_wait(take_all, gates.nothing.remote)
        await gates.open.remote(f"{gate}, first")
        async with contextlib.aclosing(pool.map(call, [0, 1, 2])) as results:
            assert await anext(results) == 0
        # Both of its places are free.
        await gates.open.remote(gate)
        assert [result async for result in pool.map(call, [1, 2])] == [1, 2]


@pytest.mark.anyio
async def test_a_cancelled_submit_gives_its_place_to_the_next(gates, gate):
    pool = AsyncActorPool([gates])

    async def submit():
        await pool.submit(lambda actor, _: actor.passed.remote(gate), None)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(submit)
            await gates.nothing.remote()
            # It waits for the place of the first.
            await cancelled_wait(submit, gates.nothing.remote)
            await gates.open.remote(gate)
        assert await pool.submit(lambda actor, _: actor.passed.remote(gate, "served"), None) == "served"
