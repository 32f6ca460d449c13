"""Ends of single actors: in a method, in the constructor, by `kill`; each is named to every caller."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from tests.programs import SHUTDOWN_SECONDS, is_gone, wait_until

import actorio
from actorio.exceptions import ActorDiedError, RayTaskError


def kind_of(body, kind):
    """Return an actor of a kind with the methods `end` (the body), `echo` and `sleep`."""

    class Plain:
        def end(self):
            body()

        def echo(self, value):
            return value

        def sleep(self):
            time.sleep(1000)

    class Async:
        async def end(self):
            body()

        async def echo(self, value):
            return value

    return {
        "async": actorio.remote(Async),
        "threaded": actorio.remote(Plain).options(max_concurrency=2),
        "plain": actorio.remote(Plain),
    }[kind].remote()


@pytest.mark.parametrize("kind", ["async", "threaded", "plain"])
@pytest.mark.parametrize(
    ("end", "words"),
    [
        (lambda: sys.exit(3), "exited with code 3"),
        (sys.exit, "exited with code 0"),
        (lambda: os._exit(4), "exited with code 4"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "ended by SIGKILL"),
        (os.abort, "ended by SIGABRT"),
    ],
)
def test_an_end_in_a_method_is_named_to_every_caller(end, words, kind, session):
    actor = kind_of(end, kind)
    pid = actorio.get(actor.__ray_call__.remote(lambda _: os.getpid()))
    refs = [actor.end.remote(), actor.echo.remote(1)]
    actorio.wait(refs[:1])
    for ref in [*refs[:1], actor.echo.remote(2), actor.echo.remote(3)]:
        with pytest.raises(ActorDiedError, match=words) as caught:
            actorio.get(ref)
        assert f"pid {pid}" in str(caught.value)
        assert re.match("Async|Plain", str(caught.value))
        assert not caught.value.actor_init_failed


@pytest.mark.parametrize("kind", ["async", "plain"])
def test_a_failed_constructor_is_told_to_every_caller_with_its_traceback(kind, session):
    def fail():
        raise LookupError("nothing there")

    class Plain:
        def __init__(self):
            fail()

        def echo(self, value):
            return value

    class Async(Plain):
        async def echo(self, value):
            return value

    actor = actorio.remote(Async if kind == "async" else Plain).remote()

    class Caller:
        async def call(self, other):
            return await other.echo.remote(1)

    refs = [actor.echo.remote(number) for number in range(3)]
    for ref in [*refs, actor.echo.remote(4)]:
        with pytest.raises(ActorDiedError, match="LookupError: nothing there") as caught:
            actorio.get(ref)
        assert "in fail" in str(caught.value)
        assert caught.value.actor_init_failed
        assert not isinstance(caught.value, LookupError)
    with pytest.raises(RayTaskError, match="LookupError: nothing there") as caught:
        actorio.get(actorio.remote(Caller).remote().call.remote(actor))
    assert caught.value.cause.actor_init_failed


@pytest.mark.parametrize("kind", ["async", "plain"])
@pytest.mark.parametrize(
    ("end", "words"),
    [(lambda: sys.exit(3), "exited with code 3"), (lambda: os.kill(os.getpid(), signal.SIGKILL), "ended by SIGKILL")],
)
def test_an_end_in_the_constructor_is_named_to_every_caller(end, words, kind, session):
    class Plain:
        def __init__(self):
            end()

        def echo(self, value):
            return value

    class Async(Plain):
        async def echo(self, value):
            return value

    actor = actorio.remote(Async if kind == "async" else Plain).remote()
    for ref in [actor.echo.remote(1), actor.echo.remote(2)]:
        with pytest.raises(ActorDiedError, match=words):
            actorio.get(ref)


@pytest.mark.parametrize("kind", ["async", "threaded", "plain"])
def test_kill_fails_what_runs_what_waits_and_what_comes(kind, session, tmp_path):
    gate = tmp_path / "gate"

    def work():
        gate.touch()
        time.sleep(1000)

    actor = kind_of(work, kind)
    pid = actorio.get(actor.__ray_call__.remote(lambda _: os.getpid()))
    refs = [actor.end.remote() for _ in range(3)]
    assert wait_until(gate.exists)
    actorio.kill(actor)
    refs += [actor.echo.remote(1)]
    for ref in refs:
        with pytest.raises(ActorDiedError, match=rf"pid {pid}.*killed by actorio.kill\(\) in the driver"):
            actorio.get(ref)
    assert wait_until(lambda: is_gone(pid))
    # The dead are left in peace.
    actorio.kill(actor)


def test_an_answer_that_came_before_the_end_is_not_lost_by_calls_after_it(session, tmp_path):
    gate = tmp_path / "gate"
    actor = kind_of(gate.touch, "plain")
    pid = actorio.get(actor.__ray_call__.remote(lambda _: os.getpid()))
    answered = actor.echo.remote(1)
    # In its turn after the echo, whose reply has been sent by then; nobody has read it.
    actor.end.remote()
    assert wait_until(gate.exists)
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: is_gone(pid))
    late = actor.echo.remote(2)
    assert actorio.get(answered) == 1
    with pytest.raises(ActorDiedError, match="ended by SIGKILL"):
        actorio.get(late)


def test_kill_reaches_an_actor_that_is_not_born_yet(session):
    class Echo:
        def echo(self, value):
            return value

    actor = actorio.remote(Echo).remote()
    ref = actor.echo.remote(1)
    actorio.kill(actor)
    with pytest.raises(ActorDiedError, match=r"killed by actorio.kill\(\)"):
        actorio.get(ref)


@pytest.mark.parametrize("way", ["kill", "exit", "SIGKILL"])
def test_the_children_of_an_actor_end_with_it(way, session):
    class Parent:
        def start(self):
            return os.getpid(), subprocess.Popen(["sleep", "1000"]).pid

        def exit(self):
            sys.exit()

    actor = actorio.remote(Parent).remote()
    pid, child = actorio.get(actor.start.remote())
    assert not is_gone(child)
    if way == "kill":
        actorio.kill(actor)
    elif way == "exit":
        actor.exit.remote()
    else:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: is_gone(child), SHUTDOWN_SECONDS)
