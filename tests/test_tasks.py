"""Function tasks: run by workers, and run again when a worker dies or when they fail so."""

import asyncio
import os
import signal
import threading
from pathlib import Path

import pytest
from tests.programs import output_of

import actorio
from actorio._model import runtime
from actorio.exceptions import WorkerCrashedError

PATIENCE = 30


def note(path):
    """Note one more run; return how many there have been."""
    with Path(path).open("a") as file:
        file.write(".")
    return len(Path(path).read_text())


@actorio.remote
def crash(path, times=1000):
    """Bring the worker down, so many times."""
    number = note(path)
    if number <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@actorio.remote
def fail(path, times, error=LookupError):
    number = note(path)
    if number <= times:
        raise error(f"failed in run {number}")
    return number


@actorio.remote
def crash_for_two(path):
    return crash_and_count(path), "second"


def crash_and_count(path):
    number = note(path)
    if number == 1:
        os._exit(3)
    return number


def runs(path):
    return len(path.read_text())


def get(refs):
    return actorio.get(refs, timeout=PATIENCE)


@pytest.fixture
def path(session, tmp_path):
    return tmp_path / "runs"


# -- workers that die ----------------------------------------------------------------------------------------------


def test_a_task_whose_worker_dies_is_run_again(path):
    assert get(crash.remote(path, 2)) == 3


@pytest.mark.parametrize(
    ("options", "expected", "words"),
    [
        ({}, 4, r"may have run 4 times; options\(max_retries=...\) says"),
        ({"max_retries": 0}, 1, "may have run, or part"),
        ({"max_retries": 1}, 2, "may have run 2 times"),
    ],
)
def test_a_task_is_run_again_as_often_as_it_says_three_times_if_it_does_not(options, expected, words, path):
    with pytest.raises(WorkerCrashedError, match=rf"(?s)crash\(\) is gone: .*SIGKILL.*{words}"):
        get(crash.options(**options).remote(path))
    assert runs(path) == expected


def test_a_task_may_be_run_again_without_end(path):
    assert get(crash.options(max_retries=-1).remote(path, 6)) == 7


def test_all_values_of_a_task_come_from_one_run(path):
    assert get(crash_for_two.options(num_returns=2).remote(path)) == [2, "second"]


def test_tasks_that_die_with_the_worker_of_another_are_run_again(path):
    others = [fail.remote(f"{path}.{number}", 0) for number in range(20)]
    crashing = crash.remote(path, 1)
    late = [fail.remote(f"{path}.late.{number}", 0) for number in range(20)]
    assert get(crashing) == 2
    assert set(get([*others, *late])) <= {1, 2}


def test_a_task_that_waits_for_another_waits_for_its_last_run(path):
    assert get(fail.remote(f"{path}.second", 0, crash.remote(path, 1))) == 1
    assert runs(path) == 2


# -- tasks that run tasks ------------------------------------------------------------------------------------------


@actorio.remote
def fibonacci(n):
    if n < 2:
        return n
    return sum(actorio.get([fibonacci.remote(n - 1), fibonacci.remote(n - 2)]))


@actorio.remote
async def fibonacci_on_loops(n):
    if n < 2:
        return n
    return sum(await asyncio.gather(fibonacci_on_loops.remote(n - 1), fibonacci_on_loops.remote(n - 2)))


@actorio.remote
def depth(n):
    if not n:
        return 0
    ref = depth.remote(n - 1)
    ready, _ = actorio.wait([ref])
    return 1 + actorio.get(ready[0])


def workers():
    return [each for each in runtime.current().list_actors().actors if each.class_name == "TaskWorker"]


def test_tasks_that_wait_for_tasks_never_wait_for_a_free_worker(session):
    assert get(fibonacci.remote(12)) == 144
    assert get(depth.remote(200)) == 200
    assert get(fibonacci_on_loops.remote(8)) == 21
    # Beyond these, tasks share them.
    assert len(workers()) <= max(8, 4 * os.cpu_count())


def test_a_task_that_waits_makes_room(session, tmp_path):
    @actorio.remote
    def wait_for(path):
        while not path.exists():
            threading.Event().wait(0.005)
        return path.name

    @actorio.remote
    def pass_on(refs):
        return actorio.get(refs)

    gate = tmp_path / "gate"
    awaited = wait_for.remote(gate)
    # More than all workers run at a time.
    waiting = [pass_on.remote([awaited]) for _ in range(100 * os.cpu_count())]
    assert get(fail.remote(tmp_path / "runs", 0)) == 1
    gate.touch()
    assert get(waiting) == [["gate"]] * len(waiting)


def test_a_task_in_a_worker_that_dies_is_run_again_by_the_task_that_waits(path):
    @actorio.remote
    def wait_for_crash():
        return actorio.get(crash.remote(path, 1))

    assert get(wait_for_crash.remote()) == 2


# -- functions that fail -------------------------------------------------------------------------------------------


def test_a_function_that_raises_is_not_run_again(path):
    with pytest.raises(LookupError, match="failed in run 1"):
        get(fail.remote(path, 1))
    assert runs(path) == 1


@pytest.mark.parametrize("chosen", [True, [LookupError], (KeyError, LookupError)], ids=repr)
def test_a_function_that_raises_is_run_again_if_it_says_so(chosen, path):
    assert get(fail.options(retry_exceptions=chosen).remote(path, 2)) == 3


def test_of_the_exceptions_only_those_that_were_named_count(path):
    with pytest.raises(LookupError, match="failed in run 1"):
        get(fail.options(retry_exceptions=[KeyError]).remote(path, 1))
    with pytest.raises(KeyError, match="failed in run 5"):
        get(fail.options(retry_exceptions=[LookupError]).remote(path, 9, KeyError))


@pytest.mark.parametrize(
    ("options", "error"),
    [({"max_retries": -2}, ValueError), ({"max_retries": "3"}, TypeError), ({"retry_exceptions": [3]}, ValueError)],
)
def test_a_wrong_option_is_refused_at_once(options, error):
    with pytest.raises(error, match=next(iter(options))):
        crash.options(**options)


# -- the end -------------------------------------------------------------------------------------------------------


def test_a_task_that_is_made_while_the_session_ends_is_not_run_and_says_so():
    assert (
        output_of("""
    from actorio._model import runtime
    @actorio.remote(num_returns=2)
    def pair(): return 1, 2

    with actorio.init():
        # As `shutdown` does in another thread.
        runtime.current().tasks.close()
        for ref in pair.remote():
            try:
                actorio.get(ref)
            except actorio.exceptions.WorkerCrashedError as error:
                print(error)
    """)
        == ["the task pair() was not run: its session was shut down"] * 2
    )


def test_nothing_is_run_again_when_the_session_ends():
    output = output_of("""
    @actorio.remote
    def wait():
        time.sleep(1000)

    with actorio.init():
        refs = [wait.remote() for _ in range(4)]
        actorio.wait(refs, timeout=0.3)
    for ref in refs:
        try:
            actorio.get(ref)
        except actorio.exceptions.WorkerCrashedError as error:
            print("its session was shut down" in str(error))
    """)
    assert output == ["True"] * 4
