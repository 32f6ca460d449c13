"""`Class.scope(...)`: an actor that lives as long as a block, and no longer, however the block is left."""

import asyncio
import itertools
import os
import threading

import anyio
import anyio.to_thread
import pytest
from tests.gates import Gates, Plain
from tests.programs import output_of, wait_until

import actorio
from actorio._model import runtime
from actorio._model.handle import identity_of
from actorio.exceptions import ActorDiedError, TaskCancelledError

# How long anything may take, in seconds: only a test that fails takes so long.
PATIENCE = 10

names = map("gate {}".format, itertools.count())


@pytest.fixture(params=[("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True}), ("trio", {})])
def anyio_backend(request):
    return request.param


@pytest.fixture(scope="module")
def gates(session):
    return Gates.remote()


@pytest.fixture
def gate():
    return next(names)


@pytest.fixture
def diary(tmp_path):
    return tmp_path / "diary"


class PlainWriter:
    """Notes what it does in a file, which can be read when it has ended."""

    def __init__(self, path):
        self.path = path

    def note(self, text):
        with self.path.open("a") as diary:
            diary.write(f"{text}\n")

    def note_at(self, gates, gate, text):
        actorio.get(gates.passed.remote(gate))
        self.note(text)

    def crash_once(self, text):
        if not self.path.exists():
            self.note("crashed")
            os._exit(3)
        self.note(text)

    def count(self):
        yield from itertools.count()

    def __ray_shutdown__(self):
        self.note("cleaned up")


Writer = actorio.remote(PlainWriter)


@actorio.remote
class Stubborn(PlainWriter):
    def __ray_shutdown__(self):
        self.note("cleaning up")
        threading.Event().wait()


@actorio.remote
class Asker:
    async def ask(self, gates, gate):
        waiting = gates.passed.remote(gate)
        await gates.open.remote(f"{gate}, asked")
        await waiting


@actorio.remote
class Broken:
    def __init__(self):
        raise OSError("no such device")

    def work(self):
        pass


def is_dead(actor):
    """Is the actor's end known without waiting for it?"""
    with pytest.raises(ActorDiedError) as caught:
        actorio.get(actor.__ray_ready__.remote(), timeout=PATIENCE)
    return caught.value.certificate is not None


def wait_for_the_end(actor):
    actorio.get(actorio.ObjectRef(runtime.current().ended(identity_of(actor))), timeout=PATIENCE)


async def leave_by_error(scope, use):
    """Leave a block by an exception; return its actor and what `use` has returned."""
    with pytest.raises(LookupError, match="on purpose"):
        async with scope as actor:
            used = await use(actor)
            raise LookupError("on purpose")
    return actor, used


# -- a block that ends as it should --------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_an_actor_has_cleaned_up_and_ended_when_its_block_has(session, diary):
    with anyio.fail_after(PATIENCE):
        async with Writer.scope(diary) as writer:
            await writer.note.remote("called")
        assert diary.read_text() == "called\ncleaned up\n"
        assert is_dead(writer)


@pytest.mark.anyio
async def test_options_are_given_before_the_scope(session, diary):
    async with Writer.options(name="in a scope").scope(path=diary):
        assert actorio.get_actor("in a scope") is not None
    # The name is free again.
    async with Writer.options(name="in a scope").scope(diary) as writer:
        assert actorio.get_actor("in a scope") == writer


@pytest.mark.anyio
async def test_the_end_of_a_block_waits_for_calls_that_nobody_awaits(session, gates, gate, diary):
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            async with Writer.scope(diary) as writer:
                writer.note_at.remote(gates, gate, "waited for")
                for number in range(3):
                    writer.note.remote(number)
                await gates.nothing.remote()
                group.start_soon(wait_for, gates.open.remote(gate))
            assert diary.read_text() == "waited for\n0\n1\n2\ncleaned up\n"


async def wait_for(ref):
    await ref


@pytest.mark.anyio
async def test_the_end_of_a_block_waits_for_calls_of_other_threads_and_for_those_whose_arguments_are_to_come(
    session, gates, gate, diary
):
    with anyio.fail_after(PATIENCE):
        async with Writer.options(max_concurrency=2).scope(diary) as writer:
            await anyio.to_thread.run_sync(lambda: writer.note.remote(gates.passed.remote(gate, "held")) and None)
            gates.open.remote(gate)
        assert diary.read_text() == "held\ncleaned up\n"


@pytest.mark.anyio
async def test_the_end_of_a_block_waits_for_a_call_that_is_made_again_after_a_crash_and_the_end_is_for_good(
    session, diary
):
    with anyio.fail_after(PATIENCE):
        async with Writer.options(max_restarts=-1, max_task_retries=1).scope(diary) as writer:
            writer.crash_once.remote("done")
        assert diary.read_text() == "crashed\ndone\ncleaned up\n"
        assert is_dead(writer)


def test_calls_are_pending_from_whichever_thread_or_loop_until_they_end_and_streams_are_not(session, gate):
    own = Gates.remote()

    def pending():
        return sorted(result.call for result in runtime.current().pending_of(identity_of(own)))

    async def call_from_a_loop():
        own.passed.remote(f"{gate}, loop")
        await own.nothing.remote()

    refs = [own.passed.remote(gate), own.passed.remote(own.passed.remote(gate))]
    stream = own.items.stream(gate, 2)
    anyio.run(call_from_a_loop)
    assert pending() == ["Gates.passed"] * 4
    actorio.get([own.open.remote(gate), own.open.remote(f"{gate}, loop")])
    # The value that it has got is the name of a gate.
    actorio.get([refs[0], own.open.remote(None), refs[1]], timeout=PATIENCE)
    assert list(stream) == [0, 1]
    # The loop that made the last call has closed: somebody has to ask for the reply.
    actorio.get([actorio.ObjectRef(result) for result in runtime.current().pending_of(identity_of(own))])
    assert pending() == []


@pytest.mark.anyio
async def test_a_stream_that_nobody_takes_does_not_hold_up_the_end(session, diary):
    with anyio.fail_after(PATIENCE):
        async with Writer.scope(diary) as writer:
            stream = writer.count.options(window=4).stream()
            assert await anext(stream) == 0
        with pytest.raises(ActorDiedError):
            [_ async for _ in stream]


@pytest.mark.anyio
async def test_an_actor_that_has_died_in_the_block_is_no_error_of_the_block(session, diary):
    with anyio.fail_after(PATIENCE):
        async with Writer.scope(diary) as writer:
            actorio.kill(writer)
            with pytest.raises(ActorDiedError, match="killed"):
                await writer.note.remote("too late")
        async with Broken.scope() as broken:
            with pytest.raises(ActorDiedError, match="no such device"):
                await broken.work.remote()


# -- a block that fails --------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_when_a_block_raises_its_actor_cleans_up_and_waits_for_no_call(session, gates, gate, diary):

    async def begin(writer):
        await writer.note.remote("called")
        return writer.note_at.remote(gates, gate, "never")

    with anyio.fail_after(PATIENCE):
        writer, ref = await leave_by_error(Writer.scope(diary), begin)
        assert diary.read_text() == "called\ncleaned up\n"
        assert is_dead(writer)
        # It was cancelled, and then its actor ended: one of the two was quicker.
        with pytest.raises((TaskCancelledError, ActorDiedError)):
            await ref


@pytest.mark.anyio
async def test_when_a_block_is_cancelled_its_actor_has_ended_before_the_cancelling_goes_on(session, gates, gate, diary):
    handles = []

    async def block():
        async with Writer.scope(diary) as writer:
            handles.append(writer)
            await writer.note.remote("called")
            gates.open.remote(f"{gate}, begun")
            await writer.note_at.remote(gates, gate, "never")

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(block)
            await gates.passed.remote(f"{gate}, begun")
            group.cancel_scope.cancel()
        assert diary.read_text() == "called\ncleaned up\n"
        assert is_dead(handles[0])


@pytest.mark.anyio
async def test_the_wait_at_the_end_of_a_block_can_be_cancelled(session, gates, gate, diary):
    is_at_its_end = anyio.Event()
    handles = []

    async def block():
        async with Writer.scope(diary) as writer:
            handles.append(writer)
            await writer.note.remote("called")
            writer.note_at.remote(gates, gate, "never")
            is_at_its_end.set()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(block)
            await is_at_its_end.wait()
            group.cancel_scope.cancel()
        assert diary.read_text() == "called\ncleaned up\n"
        assert is_dead(handles[0])


@pytest.mark.anyio
# Once is enough: it takes the whole second.
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_when_a_block_fails_a_clean_up_that_takes_too_long_is_cut_off(session, diary):
    async def begin(writer):
        await writer.note.remote("called")

    with anyio.fail_after(PATIENCE):
        writer, _ = await leave_by_error(Stubborn.options(max_restarts=-1).scope(diary), begin)
        assert diary.read_text() == "called\ncleaning up\n"
        assert is_dead(writer)


def test_a_task_that_is_cancelled_again_at_the_end_of_its_block_has_its_actor_killed(session, diary):
    handles = []

    async def block():
        async with Stubborn.scope(diary) as stubborn:
            handles.append(stubborn)
            await stubborn.note.remote("called")
            asyncio.current_task().cancel()
            await asyncio.sleep(PATIENCE)

    async def main():
        task = asyncio.create_task(block())
        assert await asyncio.to_thread(wait_until, lambda: diary.exists() and "cleaning up" in diary.read_text())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    wait_for_the_end(handles[0])
    assert diary.read_text() == "called\ncleaning up\n"


def test_a_block_that_is_closed_while_it_is_suspended_leaves_no_actor(session, diary):
    handles = []

    async def block():
        async with Writer.scope(diary) as writer:
            handles.append(writer)
            await suspended

    class Suspended:
        def __await__(self):
            yield

    suspended = Suspended()
    steps = block()
    steps.send(None)
    steps.close()
    wait_for_the_end(handles[0])


@pytest.mark.anyio
async def test_when_a_block_raises_its_pending_calls_are_cancelled(session, gates, gate):
    async def begin(own):
        # Calls are cancelled with those that they have made.
        ref = own.ask.remote(gates, gate)
        await gates.passed.remote(f"{gate}, asked")
        return ref

    with anyio.fail_after(PATIENCE):
        await leave_by_error(Asker.scope(), begin)
        await gates.passed.remote(f"{gate}, cancelled")


# -- in scripts ----------------------------------------------------------------------------------------------------


def test_a_plain_with_waits_for_calls_and_for_the_end(session, diary):
    with Writer.scope(diary) as writer:
        writer.note.remote("called")
    assert diary.read_text() == "called\ncleaned up\n"
    assert is_dead(writer)


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
def test_a_plain_with_that_fails_waits_for_no_call(session, gates, gate, diary, error):
    with pytest.raises(error), Writer.scope(diary) as writer:
        actorio.get(writer.note.remote("called"))
        writer.note_at.remote(gates, gate, "never")
        raise error
    assert diary.read_text() == "called\ncleaned up\n"
    assert is_dead(writer)


def test_a_session_may_end_before_the_block(session):
    program = """
        import actorio

        @actorio.remote
        class Idle:
            pass

        with Idle.scope():
            actorio.shutdown()
        print("ended")
    """
    assert output_of(program) == ["ended"]


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"lifetime": "detached"}, {"name": "shared", "get_if_exists": True}])
def test_an_actor_that_is_not_the_blocks_own_is_refused_at_the_call(options):
    with pytest.raises(ValueError, match=next(reversed(options))):
        Plain.options(**options).scope()


def test_arguments_that_do_not_fit_are_refused_where_the_block_begins(session):
    with pytest.raises(TypeError, match="path"), Writer.scope():
        pytest.fail("the block has begun")


def test_a_scope_is_for_one_block(session, diary):
    scope = Writer.scope(diary)
    with scope:
        pass
    with pytest.raises(RuntimeError, match="for one block"), scope:
        pytest.fail("the block has begun")


def test_an_async_actor_is_told_to_write_async_with(session, diary):
    @actorio.remote
    class Host:
        async def block(self, path):
            with Writer.scope(path):
                pass

        async def wait(self, path):
            async with Writer.scope(path) as writer:
                return await writer.note.remote("called")

    host = Host.remote()
    with pytest.raises(RuntimeError, match="write `async with` instead of `with`"):
        actorio.get(host.block.remote(diary))
    actorio.get(host.wait.remote(diary), timeout=PATIENCE)
    assert diary.read_text() == "called\ncleaned up\n"
