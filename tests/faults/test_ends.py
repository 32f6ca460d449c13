"""Ends of sessions, asked for or not: nothing is left, and in time.

The promise of `shutdown` is about time, so here, unlike elsewhere, time is asserted.
"""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from tests.programs import SHUTDOWN_SECONDS, finish, is_gone, output_of, run, start, wait_until

import actorio
from actorio.exceptions import ActorDiedError, RaySystemError


def busy_loop(ready):
    ready()
    while True:
        pass


def blocked_in_c(ready):
    ready()
    time.sleep(1000)


def holding_the_interpreter(ready):
    ready()
    # Exponential: no signal handler of Python's runs before it is done.
    re.match(r"(a+)+$", "a" * 60 + "b")


def deaf_to_sigterm(ready):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready()
    while True:
        time.sleep(0.01)


def stopped(ready):
    ready()
    os.kill(os.getpid(), signal.SIGSTOP)


OCCUPATIONS = [busy_loop, blocked_in_c, holding_the_interpreter, deaf_to_sigterm, stopped]


def occupied(occupation, gate, kind):
    """Start an actor and return when it is at its occupation."""

    class Plain:
        def work(self):
            occupation(gate.touch)

    class Async:
        async def work(self):
            occupation(gate.touch)

    actor = actorio.remote(Async if kind == "async" else Plain).remote()
    ref = actor.work.remote()
    assert wait_until(gate.exists)
    return actor, ref


@pytest.mark.parametrize("occupation", OCCUPATIONS)
@pytest.mark.parametrize("kind", ["async", "plain"])
def test_shutdown_ends_an_occupied_actor_in_time_and_its_call_with_it(occupation, kind, tmp_path, leaks):
    actorio.init()
    _, ref = occupied(occupation, tmp_path / "gate", kind)
    began = time.monotonic()
    actorio.shutdown()
    assert time.monotonic() - began < SHUTDOWN_SECONDS
    assert leaks() == []
    with pytest.raises(ActorDiedError, match="was shut down"):
        actorio.get(ref)


def test_exit_of_the_interpreter_ends_all_occupied_actors_in_time(leaks):
    program = start("""
        from pathlib import Path
        from tests.faults.test_ends import OCCUPATIONS, occupied
        import tempfile
        with tempfile.TemporaryDirectory() as folder:
            kept = [occupied(one, Path(folder) / str(n), "plain") for n, one in enumerate(OCCUPATIONS)]
        print("leaving", time.monotonic(), flush=True)
    """)
    code, output, errors = finish(program)
    seconds = time.monotonic() - float(output.split()[-1])
    assert code == 0
    # Those that cannot be interrupted are named.
    assert all("is killed: its clean-up may not be done" in line for line in errors.splitlines()), errors
    assert seconds < SHUTDOWN_SECONDS
    assert leaks() == []


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("sys.exit(3)", 3),
        ("raise ValueError('gone')", 1),
        ("os._exit(4)", 4),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("os.abort()", -signal.SIGABRT),
    ],
)
def test_nothing_is_left_however_a_driver_ends(end, code, leaks):
    assert (
        run(f"""
        class Endless:
            def work(self):
                print("working", flush=True)
                time.sleep(1000)
        actor = actorio.remote(Endless).remote()
        ref = actor.work.remote()
        actorio.wait([ref], timeout=0.1)
        {end}
    """)[0]
        == code
    )
    assert leaks() == []


def test_shutdown_twice_and_without_a_session_does_nothing():
    actorio.shutdown()
    actorio.init()
    actorio.shutdown()
    actorio.shutdown()
    assert not actorio.is_initialized()


def test_init_after_shutdown_begins_another_session():
    first = actorio.init().address_info
    actorio.shutdown()
    second = actorio.init().address_info
    assert first["session_dir"] != second["session_dir"]

    class Echo:
        def echo(self, value):
            return value

    assert actorio.get(actorio.remote(Echo).remote().echo.remote(5)) == 5
    actorio.shutdown()


def test_init_twice_is_an_error_unless_asked_for(fresh_session):
    with pytest.raises(RuntimeError, match="ignore_reinit_error"):
        actorio.init()
    again = actorio.init(ignore_reinit_error=True)
    assert again.address_info == fresh_session.address_info


def test_a_with_block_ends_its_session(leaks):
    with actorio.init():
        assert actorio.is_initialized()
    assert not actorio.is_initialized()
    with pytest.raises(LookupError), actorio.init():
        raise LookupError
    assert not actorio.is_initialized()
    assert leaks() == []


@pytest.mark.anyio
async def test_an_async_with_block_ends_its_session():
    class Echo:
        async def echo(self, value):
            return value

    async with actorio.init():
        assert await actorio.remote(Echo).remote().echo.remote(5) == 5
    assert not actorio.is_initialized()


def test_a_with_block_leaves_a_later_session_alone():
    with actorio.init():
        actorio.shutdown()
        later = actorio.init()
    assert actorio.is_initialized()
    later.disconnect()
    assert not actorio.is_initialized()


def test_what_is_left_of_a_session_says_that_it_has_ended():
    class Slow:
        def echo(self, value, seconds=0):
            time.sleep(seconds)
            return value

    actorio.init()
    actor = actorio.remote(Slow).remote()
    done, undone = actor.echo.remote(1), actor.echo.remote(2, 1000)
    actorio.wait([done])
    actorio.shutdown()
    for _ in range(2):
        assert actorio.get(done) == 1
        with pytest.raises(ActorDiedError, match="session was shut down"):
            actorio.get(undone)
        with pytest.raises(RaySystemError, match="session"):
            actor.echo.remote(3)
        # The second time in another session, which is none of theirs either.
        actorio.init(ignore_reinit_error=True)
    with pytest.raises(RaySystemError, match="session"):
        actorio.kill(actor)
    actorio.shutdown()


def test_a_directory_whose_processes_were_all_killed_is_swept_by_the_next_init(leaks):
    program = start("""
        info = actorio.init().address_info
        print(info["session_dir"], info["node_pid"], flush=True)
        time.sleep(1000)
    """)
    directory, node = program.stdout.readline().split()
    family = [int(node), *(process.pid for process in psutil.Process(int(node)).children(recursive=True)), program.pid]
    # Stopped before they are killed, so that none sees another die and cleans up.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in family:
            os.kill(pid, number)
    finish(program)
    assert wait_until(lambda: all(map(is_gone, family)))
    assert Path(directory).exists()
    with actorio.init():
        assert not Path(directory).exists()
    assert leaks() == []


def test_a_directory_in_use_is_not_swept(fresh_session):
    output_of("actorio.init()")
    assert Path(fresh_session.address_info["session_dir"]).exists()

    class Echo:
        def echo(self, value):
            return value

    assert actorio.get(actorio.remote(Echo).remote().echo.remote(1)) == 1


def test_the_children_of_actors_end_with_the_session():
    class Parent:
        def start(self):
            return subprocess.Popen(["sleep", "1000"]).pid

    with actorio.init():
        parent = actorio.remote(Parent).remote()
        child = actorio.get(parent.start.remote())
        assert not is_gone(child)
    assert wait_until(lambda: is_gone(child), SHUTDOWN_SECONDS)
