"""Where a reference is made and where it is read are independent of each other: every pair of contexts works."""

import asyncio
import concurrent.futures
import gc
import itertools
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvloop

import actorio

# How long anything may take, in seconds: only a test that fails takes so long.
PATIENCE = 10

CONTEXTS = ["script", "thread", "asyncio", "uvloop", "async actor", "threaded actor"]
OUTCOMES = ["value", "error", "pending"]
DESCRIPTORS = Path("/proc/self/fd")
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
ON_BOTH_LOOPS = pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)

keys = map("key {}".format, itertools.count())


# -- the actors ----------------------------------------------------------------------------------------------------


# Classes are made in functions, so that they travel by value and no actor imports this module.


def source_classes():

    class Source:
        """Makes the results that the others hand about; a pending one is there once its gate is open."""

        def __init__(self):
            self.gates = {}
            self.done = []

        def gate(self, key):
            return self.gates.setdefault(key, asyncio.Event())

        async def give(self, outcome, key):
            if outcome == "pending":
                await self.gate(key).wait()
            self.done.append(key)
            if outcome == "error":
                raise ValueError(key)
            return [key]

        async def open(self, key):
            self.gate(key).set()

        async def is_done(self, key):
            return key in self.done

    class Opener:
        """Opens gates for those whose own connection to the source is under test."""

        def open(self, sources, key):
            sources[0].open.remote(key)

    return Source, Opener


def party_classes():
    class AsyncParty:
        async def make(self, sources, outcome, key):
            return [sources[0].give.remote(outcome, key)]

        async def read(self, refs, openers, sources, key):
            openers[0].open.remote(sources, key)
            try:
                return await refs[0]
            except ValueError as error:
                return str(error.cause)

        async def read_future(self, refs):
            return await asyncio.wrap_future(refs[0].future())

    class ThreadedParty:
        def make(self, sources, outcome, key):
            return [sources[0].give.remote(outcome, key)]

        def read(self, refs, openers, sources, key):
            openers[0].open.remote(sources, key)
            try:
                return actorio.get(refs[0])
            except ValueError as error:
                return str(error.cause)

        def read_future(self, refs):
            return refs[0].future().result()

    return AsyncParty, ThreadedParty


# -- the contexts --------------------------------------------------------------------------------------------------


class Script:
    """The thread that runs the test."""

    def __init__(self, world):
        self.world = world

    def run(self, function):
        return function()

    def make(self, outcome, key):
        return self.run(lambda: self.world.source.give.remote(outcome, key))

    def read(self, ref, key):
        return self.run(lambda: self._read(ref, key))

    def _read(self, ref, key):
        self.world.open_elsewhere(key)
        try:
            return actorio.get(ref, timeout=PATIENCE)
        except ValueError as error:
            return str(error.cause)

    def close(self):
        """Nothing belongs to it."""


class Thread(Script):
    """A thread of its own without a loop."""

    def __init__(self, world):
        super().__init__(world)
        self.pool = concurrent.futures.ThreadPoolExecutor(1)

    def run(self, function):
        return self.pool.submit(function).result(PATIENCE + 5)

    def close(self):
        self.pool.shutdown()


class Loop(Script):
    """A loop that runs in a thread of its own."""

    def __init__(self, world, new_loop):
        super().__init__(world)
        self.loop = new_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def run(self, function):
        async def call():
            return function()

        return self.wait_for(call())

    def wait_for(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE + 5)

    def read(self, ref, key):
        return self.wait_for(self.read_async(ref, key))

    async def read_async(self, ref, key):
        # Only when this coroutine has gone to sleep does the loop come to open the gate.
        asyncio.get_running_loop().call_soon(self.world.open_elsewhere, key)
        try:
            async with asyncio.timeout(PATIENCE):
                return await ref
        except ValueError as error:
            return str(error.cause)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Actor(Script):
    """Inside an actor: references come out of it, and go into it, in a list."""

    def __init__(self, world, actor):
        super().__init__(world)
        self.actor = actor

    def make(self, outcome, key):
        (ref,) = actorio.get(self.actor.make.remote([self.world.source], outcome, key), timeout=PATIENCE)
        return ref

    def read(self, ref, key):
        read = self.actor.read.remote([ref], [self.world.opener], [self.world.source], key)
        return actorio.get(read, timeout=PATIENCE)


class World:
    """The actors and the contexts; all tests of the module share them."""

    def __init__(self):
        self.source, self.opener = (actorio.remote(cls).remote() for cls in source_classes())
        self.async_party, self.threaded_party = map(actorio.remote, party_classes())
        self.elsewhere = concurrent.futures.ThreadPoolExecutor(1)
        self.contexts = {}

    def context(self, kind, *, other=False):
        """Return the context of a kind, or another one of that kind."""
        if (kind, other) not in self.contexts:
            self.contexts[kind, other] = {
                "script": lambda: Script(self),
                "thread": lambda: Thread(self),
                "asyncio": lambda: Loop(self, asyncio.new_event_loop),
                "uvloop": lambda: Loop(self, uvloop.new_event_loop),
                "async actor": lambda: Actor(self, self.async_party.remote()),
                "threaded actor": lambda: Actor(self, self.threaded_party.remote()),
            }[kind]()
        return self.contexts[kind, other]

    def open_elsewhere(self, key):
        """Have a gate opened by a thread that only sends, and on no connection to the source."""
        self.elsewhere.submit(self.opener.open.remote, [self.source], key)

    def close(self):
        for context in self.contexts.values():
            context.close()
        self.elsewhere.shutdown()


@pytest.fixture(scope="module")
def world(session):
    world = World()
    yield world
    world.close()


def expected(outcome, key):
    return key if outcome == "error" else [key]


# -- every pair ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("reader", CONTEXTS)
@pytest.mark.parametrize("maker", CONTEXTS)
def test_a_reference_made_anywhere_is_read_anywhere(world, maker, reader, outcome):
    key = next(keys)
    ref = world.context(maker).make(outcome, key)
    assert world.context(reader).read(ref, key) == expected(outcome, key)


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("kind", CONTEXTS[1:])
def test_a_reference_is_read_by_another_of_the_kind_that_made_it(world, kind, outcome):
    key = next(keys)
    ref = world.context(kind).make(outcome, key)
    assert world.context(kind, other=True).read(ref, key) == expected(outcome, key)


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("maker", CONTEXTS)
def test_a_reference_is_read_any_number_of_times(world, maker, outcome):
    key = next(keys)
    ref = world.context(maker).make(outcome, key)
    found = [world.context(reader).read(ref, key) for reader in CONTEXTS * 2]
    assert found == [expected(outcome, key)] * len(found)


@pytest.mark.parametrize("maker", CONTEXTS)
def test_a_reference_is_read_by_two_loops_two_threads_and_two_actors_at_once(world, maker):
    key = next(keys)
    ref = world.context(maker).make("pending", key)
    # The gate opens when all of them have begun.
    barrier = threading.Barrier(4, lambda: world.open_elsewhere(key))
    others = concurrent.futures.ThreadPoolExecutor(4)

    async def wait():
        async with asyncio.timeout(PATIENCE):
            asyncio.get_running_loop().call_soon(others.submit, barrier.wait)
            return await ref

    def block():
        others.submit(barrier.wait)
        return actorio.get(ref, timeout=PATIENCE)

    reads = [asyncio.run_coroutine_threadsafe(wait(), world.context(kind).loop) for kind in LOOPS]
    reads += [world.context("thread", other=other).pool.submit(block) for other in (False, True)]
    in_actors = [world.context(kind).actor.read_future.remote([ref]) for kind in CONTEXTS[4:]]
    assert [read.result(PATIENCE) for read in reads] == [[key]] * 4
    assert actorio.get(in_actors, timeout=PATIENCE) == [[key]] * 2
    others.shutdown()


# -- loops that do not run -----------------------------------------------------------------------------------------


def gated(world, new_loop):
    """Make a pending reference on a loop that has stopped meanwhile."""
    key, loop = next(keys), new_loop()

    async def make():
        return world.source.give.remote("pending", key)

    return key, loop, loop.run_until_complete(make())


@pytest.mark.parametrize("reader", CONTEXTS)
@ON_BOTH_LOOPS
def test_a_loop_that_closes_before_its_result_comes_leaves_it_to_others(world, new_loop, reader):
    key, loop, ref = gated(world, new_loop)
    loop.close()
    assert world.context(reader).read(ref, key) == [key]


@pytest.mark.parametrize("reader", CONTEXTS)
@ON_BOTH_LOOPS
def test_a_loop_that_has_stopped_leaves_its_result_to_others(world, new_loop, reader):
    key, loop, ref = gated(world, new_loop)
    assert world.context(reader).read(ref, key) == [key]
    # It runs on as if nothing had been.
    key = next(keys)
    again = loop.run_until_complete(Loop.read_async(SimpleNamespace(world=world), ref, key))
    assert again == actorio.get(ref)
    loop.close()


@ON_BOTH_LOOPS
def test_a_loop_that_runs_again_reads_what_it_asked_for_before(world, new_loop):
    key, loop, ref = gated(world, new_loop)
    other_key = next(keys)

    async def go_on():
        other = world.source.give.remote("pending", other_key)
        world.open_elsewhere(other_key)
        world.open_elsewhere(key)
        return await ref, await other

    assert loop.run_until_complete(go_on()) == ([key], [other_key])
    loop.close()


@ON_BOTH_LOOPS
def test_a_loop_that_closes_while_others_wait_for_its_result_does_not_disturb_them(world, new_loop):
    key, loop, ref = gated(world, new_loop)
    future = ref.future()
    waits = asyncio.run_coroutine_threadsafe(
        Loop.read_async(SimpleNamespace(world=SimpleNamespace(open_elsewhere=lambda _: None)), ref, key),
        world.context("asyncio").loop,
    )
    loop.close()
    world.open_elsewhere(key)
    assert (future.result(PATIENCE), waits.result(PATIENCE)) == ([key], [key])


def descriptors():
    gc.collect()
    return sum(1 for _ in DESCRIPTORS.iterdir())


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="descriptors are counted in /proc")
@ON_BOTH_LOOPS
def test_the_connections_of_closed_loops_are_closed_when_their_results_have_come(world, new_loop):
    before = descriptors()
    for _ in range(2):
        made = []
        for _ in range(10):
            # Each new loop finds the one before it closed, with its result still to come.
            key, loop, ref = gated(world, new_loop)
            loop.close()
            made.append((key, ref))
        for key, _ in made:
            world.open_elsewhere(key)
        assert actorio.get([ref for _, ref in made], timeout=PATIENCE) == [[key] for key, _ in made]
    assert descriptors() - before < 10


# -- concurrent futures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("maker", CONTEXTS)
def test_a_future_calls_back_though_nobody_waits(world, maker, outcome):
    key = next(keys)
    future = world.context(maker).make(outcome, key).future()
    has_come, seen = threading.Event(), []
    future.add_done_callback(lambda done: (seen.append(done), has_come.set()))
    world.open_elsewhere(key)
    assert has_come.wait(PATIENCE)
    assert seen == [future]
    if outcome == "error":
        assert isinstance(future.exception(0), ValueError)
    else:
        assert future.result(0) == [key]


@pytest.mark.parametrize("reader", CONTEXTS[4:])
@pytest.mark.parametrize("maker", CONTEXTS)
def test_a_future_comes_true_inside_an_actor(world, maker, reader):
    key = next(keys)
    read = world.context(reader).actor.read_future.remote([world.context(maker).make("pending", key)])
    world.open_elsewhere(key)
    assert actorio.get(read, timeout=PATIENCE) == [key]


def test_concurrent_futures_of_every_context_complete_in_the_order_of_their_results(world):
    made = {}
    for kind in CONTEXTS:
        key = next(keys)
        made[world.context(kind).make("pending", key).future()] = key
    order = list(made.values())[::-1]
    world.open_elsewhere(order[0])
    found = []
    for future in concurrent.futures.as_completed(made, PATIENCE):
        found.append(made[future])
        assert future.result() == [made[future]]
        if len(found) < len(order):
            world.open_elsewhere(order[len(found)])
    assert found == order


def test_a_cancelled_future_leaves_the_reference_alone(world):
    key = next(keys)
    ref = world.source.give.remote("pending", key)
    future = ref.future()
    assert future.cancel()
    assert world.context("script").read(ref, key) == [key]


# -- what asyncio offers -------------------------------------------------------------------------------------------


@pytest.fixture
def refs(world):
    """References of every kind of context, pending; `refs.open` lets them come, in the order given."""
    chosen = {kind: next(keys) for kind in CONTEXTS}

    def open_all(kinds=CONTEXTS):
        for kind in kinds:
            world.open_elsewhere(chosen[kind])

    made = [world.context(kind).make("pending", key) for kind, key in chosen.items()]
    yield SimpleNamespace(all=made, values=[[key] for key in chosen.values()], open=open_all)
    open_all()


@pytest.mark.anyio
async def test_wait_takes_references_of_every_context(refs):
    done, pending = await asyncio.wait(refs.all, timeout=0)
    assert (done, pending) == (set(), set(refs.all))
    refs.open()
    done, pending = await asyncio.wait(refs.all, timeout=PATIENCE)
    assert (done, pending) == (set(refs.all), set())
    assert [await ref for ref in refs.all] == [ref.result() for ref in refs.all] == refs.values


@pytest.mark.anyio
@pytest.mark.parametrize("place", range(len(CONTEXTS)))
async def test_wait_returns_with_the_first_that_is_there(refs, place):
    refs.open([CONTEXTS[place]])
    done, pending = await asyncio.wait(refs.all, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    assert done == {refs.all[place]}
    assert len(pending) == len(CONTEXTS) - 1


@pytest.mark.anyio
async def test_gather_takes_references_of_every_context(refs):
    refs.open()
    assert await asyncio.wait_for(asyncio.gather(*refs.all), PATIENCE) == refs.values


@pytest.mark.anyio
async def test_gather_raises_the_error_of_a_call(world, refs):
    failing = world.source.give.remote("error", "broken")
    with pytest.raises(ValueError, match="broken"):
        await asyncio.gather(*refs.all, failing)
    refs.open()
    results = await asyncio.gather(*refs.all, failing, return_exceptions=True)
    assert results[:-1] == refs.values
    assert isinstance(results[-1], ValueError)


@pytest.mark.anyio
async def test_as_completed_gives_results_as_they_come(refs):
    refs.open(CONTEXTS[::-1])
    found = [await one for one in asyncio.as_completed(refs.all, timeout=PATIENCE)]
    assert sorted(found) == sorted(refs.values)


@pytest.mark.anyio
@pytest.mark.parametrize("place", range(len(CONTEXTS)))
async def test_a_time_out_leaves_the_call_alone_and_the_reference_awaitable(refs, place):
    ref = refs.all[place]
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ref, 0.001)
    refs.open()
    assert await asyncio.wait_for(ref, PATIENCE) == refs.values[place]


@pytest.mark.anyio
@pytest.mark.parametrize("place", range(len(CONTEXTS)))
async def test_a_cancelled_waiter_takes_no_other_with_it(refs, place):
    async def wait():
        return await refs.all[place]

    first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    first.cancel()
    refs.open()
    assert await asyncio.wait_for(second, PATIENCE) == refs.values[place]
    assert first.cancelled()


@pytest.mark.anyio
async def test_shield_takes_a_reference(refs):
    for ref, value in zip(refs.all, refs.values, strict=True):
        waiter = asyncio.ensure_future(asyncio.shield(ref))
        await asyncio.sleep(0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        refs.open()
        assert await asyncio.wait_for(asyncio.shield(ref), PATIENCE) == value


@pytest.mark.anyio
async def test_a_task_group_waits_for_references(refs):
    async def wait(ref):
        return await ref

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        tasks = [group.create_task(wait(ref)) for ref in refs.all]
        refs.open()
    assert [task.result() for task in tasks] == refs.values


@pytest.mark.anyio
async def test_the_error_of_a_call_ends_a_task_group(world, refs):
    async def wait(ref):
        return await ref

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(wait(ref)) for ref in [*refs.all, world.source.give.remote("error", "broken")]]
    assert [str(error.cause) for error in caught.value.exceptions] == ["broken"]
    assert [task.cancelled() for task in tasks] == [True] * len(CONTEXTS) + [False]
    refs.open()
    assert await asyncio.gather(*refs.all) == refs.values


@pytest.mark.anyio
async def test_futures_are_wrapped_for_the_loop(refs):
    wrapped = [asyncio.wrap_future(ref.future()) for ref in refs.all]
    refs.open()
    assert await asyncio.wait_for(asyncio.gather(*wrapped), PATIENCE) == refs.values


@pytest.mark.anyio
async def test_concurrent_futures_complete_while_the_loop_is_blocked(refs):
    futures = [ref.future() for ref in refs.all]
    refs.open()
    done, pending = concurrent.futures.wait(futures, PATIENCE)
    assert (len(done), pending) == (len(CONTEXTS), set())
    assert [future.result() for future in futures] == refs.values


# -- blocking inside a running loop, as notebooks do ---------------------------------------------------------------


@pytest.mark.anyio
async def test_a_blocking_get_inside_a_running_loop_reads_references_of_every_context(world, refs):
    key = next(keys)
    own = world.source.give.remote("pending", key)
    world.open_elsewhere(key)
    refs.open()
    assert actorio.get([own, *refs.all], timeout=PATIENCE) == [[key], *refs.values]
    # The loop goes on with the lane that was read for it.
    key = next(keys)
    later = world.source.give.remote("pending", key)
    world.open_elsewhere(key)
    assert await asyncio.wait_for(later, PATIENCE) == [key]


@pytest.mark.anyio
async def test_a_blocking_wait_inside_a_running_loop_finds_what_is_there(world, refs):
    key = next(keys)
    own = world.source.give.remote("pending", key)
    assert actorio.wait([own, *refs.all], num_returns=1, timeout=0) == ([], [own, *refs.all])
    world.open_elsewhere(key)
    done, others = actorio.wait([*refs.all, own], num_returns=1, timeout=PATIENCE)
    assert (done, others) == ([own], refs.all)


@pytest.mark.anyio
async def test_a_blocking_get_completes_what_a_task_of_the_same_loop_awaits(world):
    key = next(keys)
    ref = world.source.give.remote("pending", key)

    async def wait():
        return await ref

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    world.open_elsewhere(key)
    assert actorio.get(ref, timeout=PATIENCE) == [key]
    assert await asyncio.wait_for(task, PATIENCE) == [key]


@pytest.mark.anyio
@pytest.mark.parametrize("reader", CONTEXTS)
async def test_what_a_blocked_loop_has_asked_for_is_read_elsewhere(world, reader):
    # As `list(pool.map(actorio.get, refs))` in a notebook: the loop's own thread waits for the one that reads.
    key = next(keys)
    ref = world.source.give.remote("pending", key)
    assert world.context(reader).read(ref, key) == [key]


@ON_BOTH_LOOPS
def test_two_loops_that_block_for_each_others_results_both_get_them(world, new_loop):
    made = {"one": (next(keys), concurrent.futures.Future()), "other": (next(keys), concurrent.futures.Future())}
    both_block = threading.Barrier(2)

    async def block(own, awaited):
        key, future = made[own]
        future.set_result(world.source.give.remote("pending", key))
        # Let it be sent.
        await asyncio.sleep(0)
        ref = made[awaited][1].result(PATIENCE)
        both_block.wait(PATIENCE)
        world.open_elsewhere(key)
        return actorio.get(ref, timeout=PATIENCE)

    def run(own, awaited):
        loop = new_loop()
        try:
            return loop.run_until_complete(block(own, awaited))
        finally:
            loop.close()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(run, "one", "other"), pool.submit(run, "other", "one")]
        assert [run.result() for run in runs] == [[made["other"][0]], [made["one"][0]]]


@pytest.mark.anyio
async def test_a_blocking_get_that_times_out_inside_a_running_loop_loses_nothing(world):
    key = next(keys)
    ref = world.source.give.remote("pending", key)
    for timeout in (0, 0.001):
        with pytest.raises(actorio.exceptions.GetTimeoutError):
            actorio.get(ref, timeout=timeout)
    world.open_elsewhere(key)
    assert await asyncio.wait_for(ref, PATIENCE) == [key]


@pytest.mark.anyio
async def test_a_call_goes_on_though_nobody_reads_its_reference(world):
    key = next(keys)
    world.source.give.remote("pending", key)
    await world.source.open.remote(key)
    assert await world.source.is_done.remote(key)
