"""The fault table: each way to fail, at each moment of an actor's life, with the exact error and its certificate.

The table below is the expectation; a test stands behind each of its cells, for actors that may not be restarted and for
the same ones with a restart left. What a cell says is the end of the call that met the fault:

- `lives`: the call ends with a value; the actor goes on;
- `raises X`: it ends with an X of the method, or instead of it; the actor goes on;
- a cause, with its code or signal: `ActorDiedError`, or `ActorUnavailableError` where a restart follows. `ran?` is a
  call that may have run, `not run` one that certainly has not.

Calls are pickled and results unpickled in an actor, too, which calls another one: so every cell is possible, and the
actor at the other end has to outlive its caller's fault. What a driver adds to that is tested at the end of the file.
"""

import os
import signal
from pathlib import Path

import psutil
import pytest
from tests.faults.faulty import KINDS, FailsToPickle, FailsToUnpickle
from tests.programs import wait_until

import actorio
from actorio.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError, UnserializableException

TABLE = """
moment               | segfault         | SIGKILL          | stopped          | sys.exit       | os._exit       | exception             | memory
constructor          | signal 11 ran?   | signal 9 ran?    | signal 9 ran?    | exit 3 ran?    | exit 4 ran?    | constructor not run   | constructor not run
pickling the call    | signal 11 ran?   | signal 9 ran?    | signal 9 ran?    | exit 3 ran?    | exit 4 ran?    | raises Unpicklable    | raises Unpicklable
unpickling the call  | signal 11 ran?   | signal 9 ran?    | signal 9 ran?    | exit 3 ran?    | exit 4 ran?    | raises LookupError    | raises MemoryError
running              | signal 11 ran?   | signal 9 ran?    | signal 9 ran?    | exit 3 ran?    | exit 4 ran?    | raises LookupError    | raises MemoryError
pickling the result  | signal 11 ran?   | signal 9 ran?    | signal 9 ran?    | exit 3 ran?    | exit 4 ran?    | raises Unpicklable    | raises Unpicklable
unpickling the result| signal 11 ran?   | signal 9 ran?    | signal 9 ran?    | raises Unread  | exit 4 ran?    | raises Unread         | raises Unread
idle, in a thread    | signal 11 not run| signal 9 not run | signal 9 not run | lives          | exit 4 not run | lives                 | lives
idle, in a task      | signal 11 not run| signal 9 not run | signal 9 not run | exit 3 not run | exit 4 not run | lives                 | lives
restarting           | signal 11 ran?   | signal 9 ran?    | signal 9 ran?    | exit 3 ran?    | exit 4 ran?    | constructor not run   | constructor not run
"""  # noqa: E501  # a table

PATIENCE = 20
# Names of exceptions in the table that are too long for it.
NAMES = {"Unpicklable": "UnpicklableError", "Unread": "UnserializableException"}
# Deaths that a restart mends.
MENDED = ("signal", "exit")


# -- the moments ---------------------------------------------------------------------------------------------------


class Scene:
    """An actor that meets a fault, another that must not suffer from it, and files to agree by."""

    def __init__(self, kind, restarts, folder):
        self.actor_class = KINDS[kind].options(max_restarts=restarts)
        self.folder = folder
        self.bystander = KINDS["plain"].remote()
        # How many of the bystander's methods the fault's victim has come to call.
        self.calls_of_bystander = 0
        # The process that met the fault, where it is known beforehand.
        self.pid = 0
        self.actor = None

    def make(self, *args):
        self.actor = self.actor_class.remote(*args)
        return self.actor

    def make_and_see(self):
        actor = self.make()
        self.pid = actorio.get(actor.pid.remote(), timeout=PATIENCE)
        return actor

    def path(self, name):
        return str(self.folder / name)

    def fifo(self):
        path = self.path("fifo")
        os.mkfifo(path)
        return path


def in_constructor(scene, fault):
    actor = scene.make(fault, scene.path("mark"), "", scene.path("gate"))
    ref = actor.echo.remote("done")
    # Only now: a call to an actor that is dead already was not run.
    Path(scene.path("gate")).touch()
    return ref


def pickling_the_call(scene, fault):
    return scene.make_and_see().send_unpicklable.remote(scene.bystander, fault)


def unpickling_the_call(scene, fault):
    return scene.make_and_see().echo.remote(FailsToUnpickle(fault))


def running(scene, fault):
    return scene.make_and_see().run.remote(fault)


def pickling_the_result(scene, fault):
    return scene.make_and_see().give_unpicklable.remote(fault)


def unpickling_the_result(scene, fault):
    scene.calls_of_bystander = 1
    return scene.make_and_see().ask.remote(scene.bystander, fault)


def idle_in_a_thread(scene, fault):
    return idle(scene, fault, "fail_later", "join")


def idle_in_a_task(scene, fault):
    return idle(scene, fault, "fail_in_task", "joined_task")


def idle(scene, fault, begin, join):
    actor, fifo = scene.make_and_see(), scene.fifo()
    actorio.get(getattr(actor, begin).remote(fault, fifo), timeout=PATIENCE)
    Path(fifo).write_bytes(b"now")
    if scene.expected != "lives":
        # Not only a zombie, whose threads may be on their way.
        assert wait_until(lambda: not psutil.pid_exists(scene.pid)), "the process lives"
    elif (how := actorio.get(getattr(actor, join).remote(), timeout=PATIENCE)) != "joined":
        assert "Error" in how
    return actor.echo.remote("done")


def restarting(scene, fault):
    gate = scene.path("gate")
    actor = scene.make(fault, scene.path("mark"), scene.path("spared"), gate)
    with pytest.raises(ActorUnavailableError, match="its process exited with code 9") as caught:
        actorio.get(actor.end.remote(), timeout=PATIENCE)
    certificate = caught.value.certificate
    assert (certificate.restarts, certificate.will_restart) == (1, True)
    # Made before the actor goes on, and may meet the fault: or the call might find nobody any more.
    ref = actor.echo.remote("done")
    # Only now: who asks late is told of the last death.
    Path(gate).touch()
    return ref


MOMENTS = {
    "constructor": in_constructor,
    "pickling the call": pickling_the_call,
    "unpickling the call": unpickling_the_call,
    "running": running,
    "pickling the result": pickling_the_result,
    "unpickling the result": unpickling_the_result,
    "idle, in a thread": idle_in_a_thread,
    "idle, in a task": idle_in_a_task,
    "restarting": restarting,
}
# Where nobody meets the fault twice, and whoever called waits for the actor that comes back.
CALLS_WAIT = ("constructor", "restarting", "idle, in a thread", "idle, in a task")


def mended_cells():
    """Return the cells that restarts make a difference to; one kind of actor shows it."""
    chosen = [cell for cell in cells() if cell.values[2].startswith((*MENDED, "constructor"))]
    return [cell for cell in chosen if cell.values[3] == "plain" or cell.values[0] == "idle, in a task"]


def cells():
    head, *rows = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]
    for moment, *outcomes in rows:
        for fault, expected in zip(head[1:], outcomes, strict=True):
            for kind in KINDS:
                if kind == "async" or moment != "idle, in a task":
                    yield pytest.param(moment, fault, expected, kind, id=f"{moment}-{fault}-{kind}")


# -- the tests -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("moment", "fault", "expected", "kind"), [*cells()])
def test_a_fault_ends_in_its_cell(moment, fault, expected, kind, session, tmp_path):
    restarts = 1 if moment == "restarting" else 0
    scene = Scene(kind, restarts, tmp_path)
    scene.expected = expected
    ref = MOMENTS[moment](scene, fault)
    check(scene, ref, expected, restarts_used=restarts, max_restarts=restarts)
    check_bystander(scene)


@pytest.mark.parametrize(("moment", "fault", "expected", "kind"), mended_cells())
def test_a_fault_is_mended_while_restarts_are_left(moment, fault, expected, kind, session, tmp_path):
    restarts = 2 if moment == "restarting" else 1
    scene = Scene(kind, restarts, tmp_path)
    scene.expected = expected
    ref = MOMENTS[moment](scene, fault)
    if not expected.startswith(MENDED):
        check(scene, ref, expected, restarts_used=restarts - 1, max_restarts=restarts)
    elif moment in CALLS_WAIT:
        assert actorio.get(ref, timeout=PATIENCE) == "done"
    else:
        certificate = check_death(scene, ref, expected, ActorUnavailableError)
        assert (certificate.restarts, certificate.max_restarts, certificate.will_restart) == (1, 1, True)
        assert actorio.get(scene.actor.echo.remote("again"), timeout=PATIENCE) == "again"
        assert actorio.get(scene.actor.pid.remote(), timeout=PATIENCE) != scene.pid
    check_bystander(scene)


def check(scene, ref, expected, restarts_used, max_restarts):
    kind, *rest = expected.split()
    if kind == "lives":
        assert actorio.get(ref, timeout=PATIENCE) == "done"
    elif kind == "raises":
        check_raised(scene, ref, NAMES.get(rest[0], rest[0]))
    else:
        certificate = check_death(scene, ref, expected, ActorDiedError)
        assert (certificate.restarts, certificate.max_restarts) == (restarts_used, max_restarts)
        assert not certificate.will_restart
        check_dead_for_good(scene, certificate)


def check_raised(scene, ref, name):
    with pytest.raises(RayTaskError) as caught:
        actorio.get(ref, timeout=PATIENCE)
    assert name in {each.__name__ for each in type(caught.value.cause).__mro__}, repr(caught.value.cause)
    assert actorio.get(scene.actor.pid.remote(), timeout=PATIENCE) == scene.pid


def check_death(scene, ref, expected, error_class):
    """Check the error of a call against its cell; return the certificate."""
    with pytest.raises(error_class) as caught:
        actorio.get(ref, timeout=PATIENCE)
    error, text = caught.value, str(caught.value)
    assert type(error) is error_class
    cause, fate, code = expected.split()[0], "", 0
    if cause != "constructor":
        code = int(expected.split()[1])
    fate = "was not run" if expected.endswith("not run") else "may have run, or part of it"
    certificate = error.certificate
    assert (certificate.cause, certificate.code) == (cause, code), certificate
    assert f"() {fate}." in text
    assert certificate.pid > 0
    assert certificate.pid == (scene.pid or certificate.pid)
    assert f"pid {certificate.pid}" in text
    assert certificate.class_name in {"Plain", "Async"}
    check_reason(certificate, text, error)
    return certificate


def check_reason(certificate, text, error):
    if certificate.cause == "constructor":
        assert error.actor_init_failed
        assert "in commit\n" in certificate.detail
        assert "LookupError: nothing there" in text or "MemoryError" in text
    elif certificate.cause == "signal":
        assert f"its process was ended by {signal.Signals(certificate.code).name}" in text
    else:
        assert f"its process exited with code {certificate.code}" in text
    if certificate.cause == "signal" and certificate.code == signal.SIGSEGV:
        tail = "\n".join(certificate.stderr_tail)
        assert "Segmentation fault" in tail
        assert "in commit" in tail


def check_dead_for_good(scene, certificate):
    with pytest.raises(ActorDiedError, match="was not run") as caught:
        actorio.get(scene.actor.echo.remote(1), timeout=PATIENCE)
    assert caught.value.certificate == certificate


def check_bystander(scene):
    assert actorio.get(scene.bystander.counted.remote(), timeout=PATIENCE) == scene.calls_of_bystander


# -- what a driver adds ----------------------------------------------------------------------------------------------


def test_an_argument_that_fails_to_pickle_is_the_drivers_error_and_sends_nothing(session):
    actor = KINDS["plain"].remote()
    with pytest.raises(TypeError, match="nothing there"):
        actor.echo.remote(FailsToPickle("exception"))
    with pytest.raises(SystemExit):
        actor.echo.remote(FailsToPickle("sys.exit"))
    assert actorio.get(actor.counted.remote()) == 0


def test_a_result_that_fails_to_unpickle_raises_in_the_driver_and_leaves_the_actor(session):
    actor = KINDS["plain"].remote()
    with pytest.raises(UnserializableException, match="LookupError: nothing there"):
        actorio.get(actor.give.remote("exception"))
    with pytest.raises(UnserializableException, match="SystemExit: 3"):
        actorio.get(actor.give.remote("sys.exit"))
    assert actorio.get(actor.counted.remote()) == 2


# -- when there is no memory at all ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["run", "give_unpicklable"])
def test_every_call_to_an_actor_without_any_memory_ends(method, kind, session):
    actor = KINDS[kind].remote()
    refs = [getattr(actor, method).remote("all memory"), actor.echo.remote("next"), actor.echo.remote("last")]
    ready, late = actorio.wait(refs, num_returns=len(refs), timeout=PATIENCE)
    assert late == []
    with pytest.raises((RayTaskError, ActorDiedError), match=r"MemoryError|exit"):
        actorio.get(ready[0])


@pytest.mark.xfail(strict=True, reason="with no memory left, the reason cannot be told to the node")
@pytest.mark.parametrize("kind", KINDS)
def test_a_constructor_that_takes_all_memory_is_said_to_have_failed(kind, session, tmp_path):
    actor = KINDS[kind].remote("all memory", str(tmp_path / "mark"))
    with pytest.raises(ActorDiedError, match="MemoryError") as caught:
        actorio.get(actor.echo.remote(1), timeout=PATIENCE)
    assert caught.value.certificate.cause == "constructor"


# -- more than one death ---------------------------------------------------------------------------------------------


def test_a_call_whose_earlier_attempt_has_run_is_not_said_not_to_have_run(session, tmp_path):
    # The first attempt ends the first life; the second one waits for a constructor that fails.
    actor = KINDS["plain"].options(max_restarts=1, max_task_retries=5)
    actor = actor.remote("exception", str(tmp_path / "mark"), str(tmp_path / "spared"))
    with pytest.raises(ActorDiedError, match=r"end\(\) may have run, or part of it") as caught:
        actorio.get(actor.end.remote(), timeout=PATIENCE)
    assert caught.value.certificate.cause == "constructor"


def test_a_call_after_kill_is_told_of_the_kill_and_of_no_earlier_death(session):
    actor = KINDS["plain"].options(max_restarts=-1).remote()
    with pytest.raises(ActorUnavailableError):
        actorio.get(actor.end.remote(), timeout=PATIENCE)
    assert actorio.get(actor.echo.remote(1), timeout=PATIENCE) == 1
    actorio.kill(actor)
    with pytest.raises(ActorDiedError, match="killed by") as caught:
        actorio.get(actor.echo.remote(2), timeout=PATIENCE)
    assert (caught.value.certificate.cause, caught.value.certificate.restarts) == ("killed", 1)
