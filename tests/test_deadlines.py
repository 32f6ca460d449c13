"""Deadlines: of a call, a method, an actor, a task; inherited by the calls made on the way."""

import os
import signal

import pytest
from tests.cancelled import InThread, Notes, OnLoop, hold_processors
from tests.timed import LONG, Asking, Background, Clock, left_of_task

import actorio
from actorio.exceptions import GetTimeoutError, TaskCancelledError
from actorio.util import statistics

pytestmark = pytest.mark.usefixtures("session")

# Soon over, in seconds.
SHORT = 0.05


@pytest.fixture
def clock():
    return Clock.remote()


def is_nearly(left, timeout):
    return left is not None and timeout - 30 < left <= timeout


def test_a_call_has_any_time_unless_somebody_says_otherwise(clock):
    assert actorio.get(clock.left.remote()) is None
    assert actorio.get(left_of_task.remote()) is None
    assert actorio.get_runtime_context().remaining_time() is None


def test_the_time_is_said_for_a_call_a_method_an_actor_or_a_task_and_the_nearer_counts(clock):
    assert is_nearly(actorio.get(clock.left.options(timeout=LONG).remote()), LONG)
    assert is_nearly(actorio.get(clock.left_of_method.remote()), LONG)
    assert is_nearly(actorio.get(clock.left_of_method.options(timeout=2 * LONG).remote()), 2 * LONG)
    limited = Clock.options(timeout=3 * LONG).remote()
    assert is_nearly(actorio.get(limited.left.remote()), 3 * LONG)
    assert is_nearly(actorio.get(limited.left_of_method.remote()), LONG)
    assert actorio.get(limited.left.options(timeout=None).remote()) is None
    assert is_nearly(actorio.get(left_of_task.options(timeout=LONG).remote()), LONG)


def test_calls_made_on_the_way_have_no_more_time_than_who_makes_them(clock):
    asking = Asking.remote(clock)
    assert actorio.get(asking.left_there.remote()) is None
    assert is_nearly(actorio.get(asking.left_there.options(timeout=LONG).remote()), LONG)
    assert is_nearly(actorio.get(asking.left_of_a_task.options(timeout=LONG).remote()), LONG)
    assert is_nearly(actorio.get(asking.left_there_with.options(timeout=LONG).remote(2 * LONG)), LONG)
    assert is_nearly(actorio.get(asking.left_there_with.options(timeout=2 * LONG).remote(LONG)), LONG)


def test_what_a_call_does_when_its_time_is_up_is_not_under_its_deadline(clock):
    asking = Asking.remote(clock)
    actorio.get(asking.left_there.remote())
    with pytest.raises(GetTimeoutError, match="while it ran"):
        actorio.get(asking.left_while_ending.options(timeout=0.3).remote())
    assert actorio.get(asking.told.remote()) is None


def test_a_call_whose_time_is_up_never_begins():
    notes, actor = Notes.remote(), InThread.remote()
    held = actor.hold.remote(notes)
    actorio.get(notes.wait_for.remote("held"))
    with pytest.raises(GetTimeoutError, match=r"InThread.work\(\) \(pid \d+\) passed before it began: it has not run"):
        actorio.get(actor.work.options(timeout=SHORT).remote(notes))
    actorio.get(notes.note.remote("open"))
    actorio.get(held)
    assert actorio.get(actor.quick.remote(1)) == 1
    assert "began" not in actorio.get(notes.all.remote())


def test_one_that_waits_for_its_arguments_never_leaves():
    notes, actor = Notes.remote(), InThread.remote()
    argument = actor.hold.remote(notes)
    with pytest.raises(GetTimeoutError, match="it has not run"):
        actorio.get(OnLoop.remote().quick.options(timeout=SHORT).remote(argument))
    actorio.get(notes.note.remote("open"))


def test_the_error_says_which_call_ran_out_and_what_it_waited_for():
    notes, inner, outer = Notes.remote(), InThread.remote(), OnLoop.remote()
    pid = actorio.get(inner.__ray_call__.remote(lambda _: os.getpid()))
    actorio.get(outer.quick.remote())
    # The inner call has the same deadline: awake, it may say first that its time is up.
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(
            GetTimeoutError, match=r"OnLoop.outer\(\) .* while it ran and waited for InThread.work\(\)"
        ) as e:
            actorio.get(outer.outer.options(timeout=0.5).remote(notes, inner))
    finally:
        os.kill(pid, signal.SIGCONT)
    assert isinstance(e.value, TimeoutError)


def test_an_actor_that_cannot_answer_keeps_nobody_waiting():
    actor = OnLoop.remote()
    pid = actorio.get(actor.__ray_call__.remote(lambda _: os.getpid()))
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(GetTimeoutError, match=r"has not answered .* may have run"):
            actorio.get(actor.quick.options(timeout=SHORT).remote())
    finally:
        os.kill(pid, signal.SIGCONT)
    assert actorio.get(actor.quick.remote(1)) == 1


def test_a_task_that_waits_for_its_turn_is_not_run_when_its_time_is_up(tmp_path):
    everything, gate = actorio.cluster_resources()["CPU"], tmp_path / "gate"
    held = hold_processors.options(num_cpus=everything).remote(gate)
    with pytest.raises(GetTimeoutError, match="it has not run"):
        actorio.get(left_of_task.options(num_cpus=everything, timeout=SHORT).remote())
    gate.touch()
    actorio.get(held)


def test_get_leaves_the_call_alone_when_its_own_time_is_up_unless_it_is_to_cancel():
    notes, actor = Notes.remote(), InThread.remote()
    ref = actor.work.remote(notes)
    actorio.get(notes.wait_for.remote("began"))
    with pytest.raises(GetTimeoutError, match="the work goes on"):
        actorio.get(ref, timeout=0)
    assert actorio.get(statistics(actor)).running == 1
    with pytest.raises(GetTimeoutError, match="it was cancelled"):
        actorio.get([ref], timeout=0, cancel=True)
    with pytest.raises(TaskCancelledError):
        actorio.get(ref)
    with pytest.raises(TypeError, match="cancel"):
        actorio.get(ref, cancel=1)


def test_a_retried_call_has_the_time_of_the_first_attempt():
    @actorio.remote(max_task_retries=-1)
    class Failing:
        def fail(self):
            raise OSError

    with pytest.raises((GetTimeoutError, OSError)):
        actorio.get(Failing.remote().fail.options(timeout=0.3, retry_exceptions=True).remote())


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan"), "1", True])
def test_a_deadline_is_a_number_of_seconds_above_zero(clock, wrong):
    expected = TypeError if isinstance(wrong, str | bool) else ValueError
    for options in (clock.left.options, Clock.options, left_of_task.options, actorio.method):
        with pytest.raises(expected, match="timeout"):
            options(timeout=wrong)


def test_the_caller_waits_for_the_end_of_a_call_whose_time_is_up_as_with_cancel():
    notes, actor = Notes.remote(), OnLoop.options(cancel_grace=60).remote()
    actorio.get(actor.quick.remote())
    ref = actor.go_on.options(timeout=0.3).remote(notes)
    ready, _ = actorio.wait([ref], timeout=1.0)
    assert not ready
    actorio.get(actor.release.remote())
    with pytest.raises(GetTimeoutError, match="passed while it ran"):
        actorio.get(ref)


def test_what_a_call_has_started_has_no_deadline_when_the_call_has_ended(clock):
    background = Background.remote(clock)
    actorio.get(background.start.options(timeout=LONG).remote())
    assert actorio.get(background.found.remote()) is None
