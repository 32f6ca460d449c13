import functools
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.examples.test_seeds_persistence import SHOWN as RUN_ELSEWHERE

SEEDS = Path(__file__).resolve().parents[2] / "examples" / "seeds"
# That one of the others ends without a word is told where all that it shows is.
PROGRAMS = sorted({path.stem for path in SEEDS.glob("*.py")} - set(RUN_ELSEWHERE))

FORWARDED = re.compile(r"\((?P<name>\w+) pid=(?P<pid>\d+)\) (?P<text>.*)")


@dataclass(frozen=True)
class Run:
    """One finished program: its own lines, and those of its actors by name, process id and text."""

    code: int
    errors: str
    own: list[str]
    forwarded: list[tuple[str, str, str]]

    @property
    def texts(self):
        return [text for _, _, text in self.forwarded]

    @property
    def names(self):
        return {name for name, _, _ in self.forwarded}

    @property
    def pids(self):
        return {pid for _, pid, _ in self.forwarded}


@functools.cache
def run(program):
    done = subprocess.run(
        [sys.executable, f"{program}.py"], cwd=SEEDS, capture_output=True, text=True, timeout=60, check=False
    )
    lines = [(line, FORWARDED.fullmatch(line)) for line in done.stdout.splitlines()]
    own = [line for line, match in lines if not match]
    forwarded = [match.group("name", "pid", "text") for _, match in lines if match]
    return Run(done.returncode, done.stderr, own, forwarded)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_ends_by_itself_without_a_word_on_stderr(program):
    finished = run(program)
    assert (finished.code, finished.errors) == (0, "")


def test_an_async_actor_answers_while_it_polls_where_a_plain_one_cannot():
    polling = run("long_polling")
    assert polling.own == [
        "LongPollingActor.other_task is still waiting for run to end",
        "LongPollingActorAsync.other_task: True",
    ]
    assert polling.forwarded == []


def test_calls_of_one_async_method_run_at_the_same_time():
    concurrent = run("concurrent_run")
    assert concurrent.texts == ["started"] * 4 + ["finished"] * 4 + ["started", "finished"]
    assert concurrent.names == {"AsyncActor"}
    assert len(concurrent.pids) == 1
    assert concurrent.own == []


def test_references_are_awaited_waited_for_and_wrapped_by_asyncio():
    assert run("refs_as_asyncio_futures").own == ["1", "1 ready, 0 not", "1", "1 done, 0 pending", "1"]


def test_references_are_concurrent_futures():
    assert run("refs_as_concurrent_futures").own == ["1"] * 4


def test_an_async_actor_starts_all_calls_at_once():
    started = run("defining_async_actor")
    assert started.texts == ["started"] * 5 + ["ended"] * 5
    assert started.names == {"AsyncActor"}
    assert len(started.pids) == 1


def test_with_max_concurrency_two_calls_run_in_pairs():
    pairs = run("max_concurrency_pairs")
    assert Counter(pairs.texts) == {"started": 8, "ended": 8}
    running = 0
    seen = []
    for text in pairs.texts:
        running += 1 if text == "started" else -1
        seen.append(running)
    # The next call may start as soon as the first of a pair has ended, so single steps may swap; what holds is that
    # never more than two run, and that the second place is taken again each time before both are free.
    assert max(seen) == 2
    assert seen[:2] == [1, 2]
    assert Counter(seen)[2] >= 4
    assert pairs.names == {"AsyncActor"}


def test_a_threaded_actor_runs_its_methods_in_threads_of_one_process():
    threaded = run("threaded_actor")
    assert sorted(threaded.texts) == ["I'm running in a thread!", "I'm running in another thread!"]
    assert threaded.names == {"ThreadedActor"}
    assert len(threaded.pids) == 1


def test_an_async_def_task_runs_and_so_does_its_wrapper():
    assert run("async_task").own == ["async def task: None", "wrapped in a task: None"]


def test_an_executor_can_be_asked_while_it_awaits_its_tasks():
    timed_out, executed = run("task_executors").own
    assert timed_out == "get_num_executed_tasks didn't finish in 0.5 seconds"
    assert re.fullmatch(r"num of executed tasks so far: \d+", executed)


def test_an_account_keeps_its_state_and_its_balance_method():
    reference, increased, handle, fresh = run("account").own
    assert re.fullmatch(r"ObjectRef\([0-9a-f]{56}\)", reference)
    assert increased == "300.0"
    assert re.fullmatch(r"Actor\(Account, [0-9a-f]{32}\)", handle)
    assert fresh == "100.0"


def test_an_actor_goes_on_after_an_exception_and_a_dead_one_says_so():
    said = "\n".join(run("account_errors").own)
    expected = [
        r"Current balance 100\.0",
        r"New balance 60\.0",
        r"Oops! .*Account\.withdraw\(\) \(pid=\d+.*\nException: Can not withdraw negative amount occurred\.",
        r"Oops! .*Account\.deposit\(\) \(pid=\d+.*\nException: Can not deposit negative amount occurred\.",
        r"New balance 90\.0",
        r"Oops! .*Exception: Starting balance is less then minimal balance.* occurred\.",
        r"Killed: ActorDiedError",
    ]
    assert re.fullmatch(r"\n".join(expected), said, re.DOTALL)


@pytest.mark.parametrize(
    ("program", "name"), [("async_computation", "AsyncActor"), ("threaded_computation", "ThreadedActor")]
)
def test_three_computations_share_one_actor(program, name):
    computed = run(program)
    assert computed.own == ["3 5 2"]
    assert Counter(computed.texts) == Counter(f"Actor waiting for {number} sec" for number in (3, 5, 2)) + Counter(
        f"Actor slept for {second} sec" for number in (3, 5, 2) for second in range(1, number + 1)
    )
    # The longest has slept for longer than the other two only when these have ended.
    assert computed.texts[-1] == "Actor slept for 5 sec"
    assert computed.names == {name}
    assert len(computed.pids) == 1
