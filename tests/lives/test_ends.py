"""How an actor ends: what it cleans up on which path, what becomes of its running calls, and what is told of it."""

import asyncio
import os
import re
import signal
import subprocess
import sys

import pytest
from tests.lives import people
from tests.lives.fates import PATIENCE, events_until, fate
from tests.lives.people import make, note, notes, tidy
from tests.programs import SHUTDOWN_SECONDS, is_gone, output_of, run, wait_until

import actorio
from actorio.actor import exit_actor
from actorio.exceptions import ActorDiedError, ActorUnavailableError

KINDS = ["plain", "threaded", "async"]
# In this order: the hook, then what was entered last, then the exit functions of the interpreter.
TIDY = ["hook", "second", "first", "atexit"]


def drop_all(handles):
    handles.clear()


GRACEFUL = {
    "exit_actor": lambda handles: handles[0].run.remote(exit_actor),
    "exit(0)": lambda handles: handles[0].run.remote(people.exit_with_0),
    "exit(3)": lambda handles: handles[0].run.remote(people.exit_with_3),
    "terminate": lambda handles: handles[0].__ray_terminate__.remote(),
    "last handle": drop_all,
    "SIGTERM": lambda handles: os.kill(actorio.get(handles[0].pid.remote()), signal.SIGTERM),
    "swallowed": lambda handles: handles[0].run.remote(people.exit_actor_and_swallow_it),
}
HARD = {
    "kill": lambda handles: actorio.kill(handles[0]),
    "_exit": lambda handles: handles[0].run.remote(people.leave_with_0),
    "SIGKILL": lambda handles: handles[0].run.remote(people.sigkill),
    "segfault": lambda handles: handles[0].run.remote(people.segfault),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def ends(pid):
    return wait_until(lambda: is_gone(pid))


# -- cleaning up ---------------------------------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("end", GRACEFUL.values(), ids=GRACEFUL)
def test_a_graceful_end_cleans_up_once_and_in_order(end, kind, session, tmp_path):
    handles = [tidy(kind, tmp_path / "notes")]
    pid = actorio.get(handles[0].pid.remote())
    end(handles)
    assert ends(pid)
    assert notes(tmp_path / "notes") == TIDY


@each_kind
@pytest.mark.parametrize("end", HARD.values(), ids=HARD)
def test_a_hard_end_cleans_nothing_up(end, kind, session, tmp_path):
    handles = [tidy(kind, tmp_path / "notes")]
    pid = actorio.get(handles[0].pid.remote())
    end(handles)
    assert ends(pid)
    assert notes(tmp_path / "notes") == []


@each_kind
def test_the_end_of_the_maker_is_graceful(kind, session, tmp_path):
    maker = make()
    actor = actorio.get(maker.run.remote(tidy, kind, tmp_path / "notes"))
    pid = actorio.get(actor.pid.remote())
    actorio.kill(maker)
    assert ends(pid)
    assert notes(tmp_path / "notes") == TIDY


@pytest.mark.parametrize("end", ["", "actorio.shutdown()", "os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(3)"])
def test_the_end_of_the_driver_is_graceful(end, tmp_path):
    run(
        f"""
        from pathlib import Path
        from tests.lives.people import tidy
        actors = [tidy(kind, Path(sys.argv[1]) / kind) for kind in ("plain", "threaded", "async")]
        {end}
        """,
        tmp_path,
    )
    assert wait_until(lambda: all(notes(tmp_path / kind) == TIDY for kind in KINDS))


@each_kind
def test_an_actor_cleans_up_at_each_end_of_its_lives(kind, session, tmp_path):
    actor = tidy(kind, tmp_path / "notes", max_restarts=2)
    for restarts in range(2):
        actor.run.remote(people.exit_with_3)
        assert fate(actor, restarts).kind == "started"
    assert notes(tmp_path / "notes") == TIDY * 2
    actorio.kill(actor)


@each_kind
@pytest.mark.parametrize("culprit", ["hook", "second"])
def test_a_clean_up_that_raises_is_logged_and_the_rest_goes_on(culprit, kind, session, tmp_path, caplog):
    actor = tidy(kind, tmp_path / "notes")
    pid = actorio.get(actor.pid.remote())
    actor.run.remote(people.set_culprit, culprit)
    actor.__ray_terminate__.remote()
    assert ends(pid)
    assert [line for line in notes(tmp_path / "notes") if line != culprit] == [line for line in TIDY if line != culprit]
    assert wait_until(lambda: "cleaning up at the end of" in caplog.text), caplog.text
    assert f"{culprit} has failed" in caplog.text
    # What is to be mended is the user's.
    assert not re.search(r"StopRequested|_worker", caplog.text)


@each_kind
def test_a_hook_that_asks_for_the_end_asks_for_what_is_under_way(kind, session, tmp_path):
    actor = tidy(kind, tmp_path / "notes")
    pid = actorio.get(actor.pid.remote())
    actor.run.remote(people.set_culprit, "exit in hook")
    actor.__ray_terminate__.remote()
    assert ends(pid)
    assert notes(tmp_path / "notes") == TIDY


def test_a_sigterm_while_a_hook_runs_lets_it_finish(session, tmp_path):
    class Closing(people.Plain):
        def __ray_shutdown__(self):
            os.kill(os.getpid(), signal.SIGTERM)
            note(tmp_path / "notes", "closed")

    actor = actorio.remote(Closing).remote()
    pid = actorio.get(actor.pid.remote())
    actor.__ray_terminate__.remote()
    assert ends(pid)
    assert notes(tmp_path / "notes") == ["closed"]


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_hook_can_call_others(kind, session, tmp_path):
    class Closing(people.Async if kind == "async" else people.Plain):
        def __init__(self, other):
            self.other = other

        if kind == "async":

            async def __ray_shutdown__(self):
                await self.other.run.remote(note, tmp_path / "notes", "closed")

        else:

            def __ray_shutdown__(self):
                actorio.get(self.other.run.remote(note, tmp_path / "notes", "closed"))

    other = make()
    actor = actorio.remote(Closing).remote(other)
    pid = actorio.get(actor.pid.remote())
    actor.__ray_terminate__.remote()
    assert ends(pid)
    assert notes(tmp_path / "notes") == ["closed"]


def test_what_a_hook_prints_is_shown():
    assert output_of("""
        class Talking:
            def ready(self): pass
            def __ray_shutdown__(self): print("so long")
        with actorio.init():
            actor = actorio.remote(Talking).remote()
            actorio.get(actor.ready.remote())
    """)[-1].endswith("so long")


def test_a_hook_that_hangs_is_cut_off_by_shutdown_in_time(tmp_path):
    code, seconds, errors = run(
        """
        from pathlib import Path
        from tests.lives import people
        for kind in ("plain", "async"):
            actor = people.tidy(kind, Path(sys.argv[1]) / kind)
            actorio.get(actor.run.remote(people.set_culprit, "hang in hook"))
        kept, began = actor, time.monotonic()
        actorio.shutdown()
        print(time.monotonic() - began)
        """,
        tmp_path,
    )
    assert (code, errors.count("had not ended 1 s after it was asked to, and is killed")) == (0, 2), errors
    assert float(seconds) < SHUTDOWN_SECONDS
    assert notes(tmp_path / "async") == ["hook"]


def test_a_hook_that_hangs_does_not_keep_its_actor_from_kill(session, tmp_path):
    actor = tidy("plain", tmp_path / "notes")
    pid = actorio.get(actor.pid.remote())
    actorio.get(actor.run.remote(people.set_culprit, "hang in hook"))
    actor.__ray_terminate__.remote()
    assert wait_until(lambda: notes(tmp_path / "notes") == ["hook"])
    actorio.kill(actor)
    assert ends(pid)


# -- running calls -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["SIGTERM", "maker"])
@each_kind
def test_a_running_call_is_cut_short_by_an_urgent_end(kind, end, session, tmp_path):
    maker = make()
    actor = actorio.get(maker.run.remote(tidy, kind, tmp_path / "notes"))
    pid = actorio.get(actor.pid.remote())
    staying = actor.stay.remote(tmp_path / "arrived")
    assert wait_until((tmp_path / "arrived").exists)
    if end == "SIGTERM":
        os.kill(pid, signal.SIGTERM)
    else:
        actorio.kill(maker)
    with pytest.raises(ActorDiedError, match="SIGTERM" if end == "SIGTERM" else "the process that made it has ended"):
        actorio.get(staying)
    assert ends(pid)
    assert notes(tmp_path / "notes") == TIDY


@pytest.mark.parametrize("kind", ["threaded", "async"])
@pytest.mark.parametrize("end", ["exit_actor", "terminate", "swallowed"])
def test_a_running_call_finishes_before_the_hook_runs(end, kind, session, tmp_path):
    actor = tidy(kind, tmp_path / "notes")
    pid = actorio.get(actor.pid.remote())
    passing = actor.passes.remote(tmp_path / "arrived", tmp_path / "gate")
    assert wait_until((tmp_path / "arrived").exists)
    GRACEFUL[end]([actor])
    assert not is_gone(pid)
    (tmp_path / "gate").touch()
    assert actorio.get(passing, timeout=PATIENCE) == "passed"
    assert ends(pid)
    assert notes(tmp_path / "notes") == ["passed", *TIDY]


@pytest.mark.parametrize("kind", ["threaded", "async"])
def test_sys_exit_cuts_off_the_calls_that_run_beside_and_cleans_up(kind, session, tmp_path):
    actor = tidy(kind, tmp_path / "notes")
    staying = actor.stay.remote(tmp_path / "arrived")
    assert wait_until((tmp_path / "arrived").exists)
    actor.run.remote(people.exit_with_0)
    with pytest.raises(ActorDiedError, match="exited with code 0"):
        actorio.get(staying)
    assert notes(tmp_path / "notes") == TIDY


def test_a_cancelled_call_can_clean_up_at_an_urgent_end(session, tmp_path):
    class Cancelled(people.Async):
        async def stay(self, path):
            try:
                note(path, "arrived")
                await asyncio.Event().wait()
            finally:
                note(path, "cancelled")

    actor = actorio.remote(Cancelled).remote()
    pid = actorio.get(actor.pid.remote())
    staying = actor.stay.remote(tmp_path / "notes")
    assert wait_until(lambda: notes(tmp_path / "notes"))
    os.kill(pid, signal.SIGTERM)
    with pytest.raises(ActorDiedError):
        actorio.get(staying)
    assert notes(tmp_path / "notes") == ["arrived", "cancelled"]


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_exit_actor_cannot_be_taken_back(kind, session, tmp_path):
    actor = make(kind, max_restarts=-1)
    with pytest.raises(ActorDiedError, match="left by exit_actor"):
        actorio.get(actor.run.remote(people.exit_actor_and_swallow_it))
    assert fate(actor, 0).cause.cause == "exit_actor"


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_exit_actor_in_the_constructor_ends_the_actor(kind, session):
    actor = make(kind, exit_actor, max_restarts=-1)
    with pytest.raises(ActorDiedError, match="left by exit_actor"):
        actorio.get(actor.pid.remote())


def test_exit_actor_in_a_callback_of_the_loop_ends_the_actor(session):
    async def later():
        asyncio.get_running_loop().call_soon(exit_actor)

    actor = make("async", max_restarts=-1)
    actor.run.remote(later)
    assert fate(actor, 0).cause.cause == "exit_actor"


def test_exit_actor_outside_an_actor_is_an_error(session):
    with pytest.raises(TypeError, match="ends the actor that calls it, and this process is none"):
        exit_actor()
    assert actorio.get(make().pid.remote())


def test_exit_stack_outside_an_actor_is_an_error():
    with pytest.raises(RuntimeError, match="exit_stack belongs to an actor"):
        _ = actorio.get_runtime_context().exit_stack


def test_the_children_of_an_actor_end_with_it_whatever_they_think_of_sigterm(session):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(99)"

    def begin_child():
        child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
        child.stdout.readline()
        return child.pid

    actor = make()
    child = actorio.get(actor.run.remote(begin_child))
    actor.__ray_terminate__.remote()
    assert ends(child)


# -- signals -------------------------------------------------------------------------------------------------------

beside = pytest.mark.parametrize("kind", ["plain", "threaded"])


@beside
def test_a_threaded_actor_does_not_oversleep_its_end(kind, session, tmp_path):
    actor = tidy(kind, tmp_path / "notes")
    pid = actorio.get(actor.pid.remote())
    actorio.get(actor.run.remote(people.receive_beside_the_main_thread, signal.SIGTERM, tmp_path / "gate"))
    (tmp_path / "gate").touch()
    assert ends(pid)
    assert notes(tmp_path / "notes") == TIDY


def test_a_threaded_actor_does_not_oversleep_signals_of_its_own(session, tmp_path):
    actor = make()
    actorio.get(actor.run.remote(people.note_signals, signal.SIGUSR2, tmp_path / "notes"))
    actorio.get(actor.run.remote(people.receive_beside_the_main_thread, signal.SIGUSR2, tmp_path / "gate"))
    (tmp_path / "gate").touch()
    assert wait_until(lambda: notes(tmp_path / "notes") == ["heard"])


def test_the_signals_of_a_forked_child_do_not_wake_its_actor(session):
    def whom_a_child_tells():
        pid = os.fork()
        if not pid:
            os._exit(signal.set_wakeup_fd(-1) == -1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert actorio.get(make().run.remote(whom_a_child_tells)) == 1


@pytest.mark.parametrize("moment", ["constructor", "method"])
def test_an_actor_may_have_a_handler_of_its_own_for_the_signal_that_rouses_it(moment, session, tmp_path):
    def handle():
        people.note_signals(signal.SIGURG, tmp_path / "urgent")
        people.note_signals(signal.SIGUSR2, tmp_path / "others")

    actor = make("plain", handle) if moment == "constructor" else make()
    if moment == "method":
        actorio.get(actor.run.remote(handle))
    pid = actorio.get(actor.pid.remote())
    os.kill(pid, signal.SIGUSR2)
    assert wait_until(lambda: notes(tmp_path / "others") == ["heard"])
    os.kill(pid, signal.SIGURG)
    assert wait_until(lambda: notes(tmp_path / "urgent") == ["heard"])
    actorio.get(actor.pid.remote())
    assert notes(tmp_path / "urgent") == ["heard"]


# -- watching ------------------------------------------------------------------------------------------------------


def test_watch_tells_the_whole_of_a_life(session):
    async def live():
        actor = make(max_restarts=2)
        seen = []
        for end in (people.exit_with_3, people.sigkill, people.leave_with_0):
            call = actor.run.remote(end)
            async for event in actor.watch():
                seen.append(event)
                if event.kind != "started":
                    break
            with pytest.raises((ActorDiedError, ActorUnavailableError)):
                await call
        return seen

    seen = [event for event in asyncio.run(live()) if event.kind != "started"]
    assert [(event.kind, event.restarts) for event in seen] == [("restarting", 1), ("restarting", 2), ("died", 2)]
    causes = [event.cause for event in seen]
    assert [(cause.cause, cause.code) for cause in causes] == [("exit", 3), ("signal", 9), ("exit", 0)]
    assert all(event.pid == event.cause.pid for event in seen)
    assert str(seen[0]).startswith(f"restarting (pid {seen[0].pid}, restarts 1): its process exited with code 3")


def test_watch_begins_with_what_is_and_ends_with_death(session):
    actor = make()
    pid = actorio.get(actor.pid.remote())
    (first,) = events_until(actor, lambda event: True)
    assert (first.kind, first.pid, first.restarts, first.cause) == ("started", pid, 0, None)
    actorio.kill(actor)
    last = fate(actor, 0)
    assert (last.kind, last.cause.cause) == ("died", "killed")

    async def rest():
        return [event.kind async for event in actor.watch()]

    # It is dead already: there is nothing more to come.
    assert asyncio.run(rest()) == ["died"]


def test_many_watch_one_actor_and_see_the_same(session):
    async def follow(actor):
        return [(event.kind, event.restarts) async for event in actor.watch()]

    async def all_of_them():
        actor = make(max_restarts=1)
        await actor.pid.remote()
        watching = [asyncio.create_task(follow(actor)) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(ActorUnavailableError):
            await actor.run.remote(people.sigkill)
        with pytest.raises(ActorDiedError):
            await actor.run.remote(people.exit_with_0)
        async with asyncio.timeout(PATIENCE):
            return await asyncio.gather(*watching)

    expected = [("started", 0), ("restarting", 1), ("started", 1), ("died", 1)]
    assert asyncio.run(all_of_them()) == [expected] * 5


def test_a_watch_that_is_cancelled_harms_nobody(session):
    async def give_up():
        actor = make()
        watching = asyncio.create_task(anext(aiter(later_events(actor))))
        for _ in range(3):
            await asyncio.sleep(0)
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching
        return await actor.pid.remote()

    async def later_events(actor):
        async for event in actor.watch():
            if event.kind == "died":
                yield event

    assert asyncio.run(give_up())


def test_an_actor_can_watch_another(session):
    async def follow(actor):
        return [event.kind async for event in actor.watch()]

    watcher, actor = make("async"), make()
    seen = watcher.run.remote(follow, actor)
    actorio.get(actor.pid.remote())
    actor.run.remote(people.exit_with_0)
    assert actorio.get(seen, timeout=PATIENCE)[-1] == "died"


def test_watches_end_with_their_session():
    assert output_of("""
        import asyncio
        from tests.lives.people import make
        async def follow():
            actor = make()
            await actor.pid.remote()
            async for event in actor.watch():
                print(event.kind)
                if event.kind == "started":
                    await asyncio.to_thread(actorio.shutdown)
        asyncio.run(asyncio.wait_for(follow(), 10))
    """) in (["started"], ["started", "died"])


def test_a_method_called_watch_comes_first(session):
    class Watched:
        def watch(self):
            return "the method"

    assert actorio.get(actorio.remote(Watched).remote().watch.remote()) == "the method"
