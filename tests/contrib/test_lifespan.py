"""`lifespan`: who is in which session from when to when, and what the requests find."""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest
from tests.contrib.people import Broken, Limiter, Plain
from tests.programs import finish, output_of, start

import actorio
from actorio.contrib import asgi
from actorio.exceptions import ActorDiedError

pytestmark = pytest.mark.anyio

APP = object()


@pytest.fixture
def anyio_backend():
    """As servers have it."""
    return "asyncio", {"use_uvloop": True}


def sessions():
    room = Path(os.environ["XDG_RUNTIME_DIR"]) / "actorio"
    return list(room.iterdir()) if room.is_dir() else []


@pytest.fixture
def nobody_says_which(monkeypatch):
    """The lifespan's own session is the one that is joined."""
    monkeypatch.delenv("ACTORIO_ADDRESS")


async def test_a_process_is_in_the_session_from_startup_to_shutdown():
    lifespan = asgi.lifespan("shop")
    assert not actorio.is_initialized()
    async with lifespan(APP) as state:
        assert actorio.is_initialized()
        assert actorio.get_runtime_context().namespace == "shop"
        assert state == {}
    assert not actorio.is_initialized()
    assert not sessions()


async def test_one_lifespan_serves_again_and_again():
    lifespan = asgi.lifespan("shop", actors={"limiter": Limiter})
    for _ in range(2):
        async with lifespan(APP) as state:
            assert await state["limiter"].take.remote() == (1, 1)


async def test_the_state_has_the_shared_actors_with_their_arguments():
    actors = {"wide": asgi.Shared(Limiter, limit=5), "narrow": Limiter.options(max_restarts=1)}
    async with asgi.lifespan("shop", actors=actors)(APP) as state:
        assert set(state) == {"wide", "narrow"}
        assert await state["wide"].take.remote() == (5, 1)
        assert actorio.get_actor("wide") == state["wide"]


async def test_an_inner_lifespan_is_entered_with_the_actors_there_and_left_before_they_go():
    seen = []

    @contextlib.asynccontextmanager
    async def inner(app):
        seen.append((app, await actorio.get_actor("limiter").take.remote()))
        yield {"greeting": "hello"}
        seen.append(await actorio.get_actor("limiter").take.remote())

    async with asgi.lifespan("shop", inner, actors={"limiter": Limiter})(APP) as state:
        assert set(state) == {"limiter", "greeting"}
        assert state["greeting"] == "hello"
    assert seen == [(APP, (1, 1)), (1, 2)]


async def test_an_inner_lifespan_may_yield_nothing():
    @contextlib.asynccontextmanager
    async def inner(_app):
        yield

    async with asgi.lifespan("shop", inner)(APP) as state:
        assert state == {}


async def test_an_inner_lifespan_that_fails_ends_the_session():
    @contextlib.asynccontextmanager
    async def inner(_app):
        raise KeyError("no database")
        yield

    with pytest.raises(KeyError, match="no database"):
        async with asgi.lifespan("shop", inner, actors={"limiter": Limiter})(APP):
            pass
    assert not actorio.is_initialized()


async def test_startup_fails_with_the_constructor_of_a_shared_actor():
    with pytest.raises(ActorDiedError, match="no limit was given"):
        async with asgi.lifespan("shop", actors={"broken": Broken})(APP):
            pass
    assert not actorio.is_initialized()


async def test_a_process_that_is_in_a_session_stays_in_it(fresh_session):
    async with asgi.lifespan("shop", actors={"limiter": Limiter})(APP) as state:
        assert await state["limiter"].take.remote() == (1, 1)
        assert len(sessions()) == 1
    assert actorio.is_initialized()
    assert actorio.get_actor("limiter", "shop") == state["limiter"]


async def test_the_environment_may_name_another_session(fresh_session, monkeypatch):
    program = """
        import asyncio
        from actorio.contrib import asgi

        async def main():
            async with asgi.lifespan("shop")(None):
                print(actorio.get_runtime_context().session)

        asyncio.run(main())
    """
    here = actorio.get_runtime_context().session
    assert output_of(program) != [here]
    monkeypatch.setenv("ACTORIO_ADDRESS", here)
    assert output_of(program) == [here]


@pytest.mark.parametrize(
    ("given", "options", "error", "said"),
    [
        ((), {}, TypeError, "session"),
        (("auto",), {}, ValueError, "lifespan(): session='auto' is not allowed: it must be a name"),
        (("",), {}, ValueError, "it must not be empty"),
        ((5,), {}, TypeError, "session=5 is of type int"),
        (("shop",), {"nmespace": "x"}, ValueError, "did you mean namespace?"),
        (("shop",), {"address": "here"}, ValueError, "both say which session"),
        (("shop",), {"actors": {"x": Plain}}, TypeError, "with @actorio.remote, not of Plain"),
        (("shop",), {"actors": {"x": 5}}, TypeError, "with @actorio.remote, not of int"),
        (("shop",), {"actors": {"": Limiter}}, ValueError, "it must not be empty"),
    ],
)
def test_what_is_wrong_is_said_where_it_is_written(given, options, error, said):
    with pytest.raises(error) as caught:
        asgi.lifespan(*given, **options)
    assert said in str(caught.value)


async def test_calls_that_wait_are_counted_and_those_that_are_answered_are_not():
    assert asgi.pending_calls() == 0
    async with asgi.lifespan("shop", actors={"limiter": Limiter})(APP) as state:
        limiter = state["limiter"]
        assert asgi.pending_calls() == 0
        waiting = [limiter.wait.remote() for _ in range(3)]
        assert asgi.pending_calls() == 3
        await limiter.open.remote()
        await asyncio.gather(*waiting)
        assert asgi.pending_calls() == 0
    assert asgi.pending_calls() == 0


# What a server does that loads its application before it forks, and another that does so after.
FORKS = """
    import asyncio
    from tests.contrib.people import Limiter
    from actorio.contrib import asgi

    lifespan = asgi.lifespan("shop", actors={"limiter": Limiter})
    print("loaded", actorio.is_initialized(), threading.active_count(), flush=True)

    async def serve(begin, end):
        async with lifespan(None) as state:
            os.write(begin, b"%d\\n" % (await state["limiter"].take.remote())[1])
            os.read(end, 1)

    def work(begin, end):
        pid = os.fork()
        if not pid:
            asyncio.run(serve(begin, end))
            sys.stdout.flush()
            os._exit(0)
        return pid

    (started, begin), (end, goes) = os.pipe(), os.pipe()
    workers = [work(begin, end) for _ in range(3)]
    with open(started) as lines:
        print(sorted(int(lines.readline()) for _ in workers), flush=True)
        os.kill(workers[0], signal.SIGKILL)
        os.waitpid(workers[0], 0)
        workers[0] = work(begin, end)
        print(lines.readline().strip(), actorio.is_initialized(), flush=True)
        os.write(goes, b"...")
        print([os.waitpid(worker, 0)[1] for worker in workers])
"""


def test_workers_that_are_forked_share_a_session_that_none_of_them_owns(nobody_says_which, leaks):
    program = start(FORKS)
    code, output, errors = finish(program)
    assert (code, errors) == (0, ""), output
    assert output.splitlines() == ["loaded False 1", "[1, 2, 3]", "4 False", "[0, 0, 0]"]
    assert not leaks()
