"""What polling before falling asleep costs others: idle processes, tasks of the same loop, other programs.

Each question is asked with polling and without (``ACTORIO_SPIN=0``) in turns, each time in a program of its own, which
is this module: it measures for so many seconds, and prints numbers by their names.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import actorio
from actorio.bench.footprint import HAS_PROC, NO_PROC, cpu_seconds
from actorio.bench.idle import Idle
from actorio.bench.results import Measurement, Skipped
from actorio.bench.turns import take_turns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actorio.bench.results import Better
    from actorio.bench.suite import Plan

# How long is called before it is measured, so that everybody has found out whether polling pays; in seconds.
_BURST = 0.2
# How often another task wakes, in seconds.
_PAUSE = 0.001
_BURN = "while True: pass"


class Coroutine:
    """An actor whose methods run on its event loop."""

    async def nothing(self, _value: int) -> None:
        """Answers a call and does no more."""

    async def pid(self) -> int:
        """Says which process this is."""
        return os.getpid()


class _Found(NamedTuple):
    """What a number is."""

    metric: str
    unit: str
    better: Better


_CPU, _CALLS = _Found("CPU time", "ms", "less"), _Found("calls", "1/s", "more")
_LATE, _TURNS = _Found("lateness", "µs", "less"), _Found("turns", "1/s", "more")
_WORK = _Found("work of others", "CPUs", "more")
# By question, and by the name under which its program prints the number.
_QUESTIONS = {
    "idle": {"driver": _CPU, "single-threaded": _CPU, "async": _CPU},
    "other tasks": {"median": _LATE, "p99": _LATE, "a task that never waits": _TURNS, "calls beside both": _CALLS},
    "busy machine": {"blocking": _CALLS, "await": _CALLS, "beside blocking": _WORK, "beside await": _WORK},
}


def measure(plan: Plan, seconds: float, rounds: int, crowds: Sequence[int]) -> Iterator[Measurement]:
    """Asks all questions.

    Args:
        plan: Is told what begins, and what cannot be measured here.
        seconds: How long each takes.
        rounds: How often each is asked.
        crowds: How many processes for each processor compute on a busy machine.
    """
    if not HAS_PROC:
        plan.skip(Skipped("control", "actorio", NO_PROC))
        return
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield from _ask(plan, "idle", 0, seconds, rounds)
    yield from _ask(plan, "other tasks", 0, seconds, rounds)
    for crowd in crowds:
        yield from _ask(plan, "busy machine", crowd * processors, seconds, rounds)


def _ask(plan: Plan, question: str, burners: int, seconds: float, rounds: int) -> Iterator[Measurement]:
    plan.advance(f"polling, {question}" + (f", {burners} processes compute" if burners else ""))
    found: dict[str, list[dict[str, float]]] = {"actorio": [], "asleep": []}

    def run(contender: str, spin: str) -> float:
        command = [sys.executable, "-m", __name__, question, str(seconds), str(burners)]
        environment = os.environ | {"ACTORIO_SPIN": spin}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)  # noqa: S603  # this module
        found[contender].append(json.loads(done.stdout))
        return 0.0

    take_turns({"actorio": lambda: run("actorio", "1"), "asleep": lambda: run("asleep", "0")}, rounds, warm_up=0)
    at = float(burners) if question == "busy machine" else None
    for name, (metric, unit, better) in _QUESTIONS[question].items():
        for contender, numbers in found.items():
            yield Measurement(
                suite="control",
                case=f"polling: {question}",
                contender=contender,
                kind=name,
                metric=metric,
                unit=unit,
                better=better,
                values=[each[name] for each in numbers],
                at=at,
                along="" if at is None else "processes that compute",
            )


# --- the program ----------------------------------------------------------------------------------------------------


def _idle(seconds: float) -> dict[str, float]:
    """CPU time of those who have just been busy and are no more."""
    actors = _actors()
    pids = {"driver": os.getpid()} | {kind: actorio.get(actor.pid.remote()) for kind, actor in actors.items()}
    for actor in actors.values():
        _call_until(actor, time.perf_counter() + min(_BURST, seconds))
    asyncio.run(_await_until(actors["async"], time.perf_counter() + min(_BURST, seconds)))
    before = {name: cpu_seconds([pid]) for name, pid in pids.items()}
    time.sleep(seconds)
    return {name: 1e3 * (cpu_seconds([pid]) - before[name]) for name, pid in pids.items()}


async def _other_tasks(seconds: float) -> dict[str, float]:
    """What a task that wakes all the time, and one that never sleeps, notice of calls that are awaited."""
    actor = _actors()["async"]
    await _await_until(actor, time.perf_counter() + min(_BURST, seconds))
    middle = (began := time.perf_counter()) + seconds / 2
    calling = asyncio.create_task(_await_until(actor, middle + seconds / 2))
    late, turns = [], 0
    while (now := time.perf_counter()) < middle:
        await asyncio.sleep(_PAUSE)
        late.append(1e6 * (time.perf_counter() - now - _PAUSE))
    while not calling.done():
        await asyncio.sleep(0)
        turns += 1
    calls = await calling
    took = time.perf_counter() - began
    return {
        "median": statistics.median(late),
        "p99": statistics.quantiles(late, n=100)[98] if len(late) > 1 else late[0],
        "a task that never waits": turns / (took - seconds / 2),
        "calls beside both": calls / took,
    }


def _busy_machine(seconds: float, burners: int) -> dict[str, float]:
    """Calls one at a time beside processes that compute, and how many processors those have meanwhile."""
    actors, found = _actors(), {}
    with _burning(burners) as pids:
        for pattern, kind in (("blocking", "single-threaded"), ("await", "async")):
            actor, used = actors[kind], cpu_seconds(pids)
            end = (began := time.perf_counter()) + seconds / 2
            count = _call_until(actor, end) if pattern == "blocking" else asyncio.run(_await_until(actor, end))
            took = time.perf_counter() - began
            found[pattern] = count / took
            found[f"beside {pattern}"] = (cpu_seconds(pids) - used) / took
    return found


@contextlib.contextmanager
def _burning(count: int) -> Iterator[Sequence[int]]:
    """So many processes compute as long as the block lasts."""
    processes = [subprocess.Popen([sys.executable, "-c", _BURN]) for _ in range(count)]  # noqa: S603  # this interpreter
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _actors() -> dict[str, Any]:
    classes: dict[str, Any] = {"single-threaded": actorio.remote(Idle), "async": actorio.remote(Coroutine)}
    actors = {kind: actor_class.remote() for kind, actor_class in classes.items()}
    actorio.get([actor.pid.remote() for actor in actors.values()])
    return actors


def _call_until(actor: Any, end: float) -> int:
    """Calls one at a time; returns how often."""
    count = 0
    while time.perf_counter() < end:
        actorio.get(actor.nothing.remote(count))
        count += 1
    return count


async def _await_until(actor: Any, end: float) -> int:
    """The same on a loop."""
    count = 0
    while time.perf_counter() < end:
        await actor.nothing.remote(count)
        count += 1
    return count


def _main(question: str, seconds: str, burners: str) -> None:
    with actorio.init(address="local"):
        if question == "idle":
            found = _idle(float(seconds))
        elif question == "other tasks":
            found = asyncio.run(_other_tasks(float(seconds)))
        else:
            found = _busy_machine(float(seconds), int(burners))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    _main(*sys.argv[1:])
