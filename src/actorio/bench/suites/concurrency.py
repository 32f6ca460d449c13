"""Threads or coroutines? The same methods in a threaded and in an async actor, at 1 to 1,000 calls at a time."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

import actorio
from actorio.bench.closed_load import ClosedLoad, Sample
from actorio.bench.footprint import HAS_PROC, private_mib
from actorio.bench.http_server import DELAY, serving
from actorio.bench.latency import percentile
from actorio.bench.loads import FILE_SIZE, MIXED_SLEEP, SLEEP, Async, Surroundings, Threaded
from actorio.bench.results import Better, Measurement, Skipped
from actorio.bench.suite import Effort, Plan, Suite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

NAME = "concurrency"
MS_IN_S = 1000.0
# Answers for each call in flight that count, at least.
WAVES = 2
# Longer than any call holds up a loop here, in seconds: that loops are held up is what is measured.
NEVER = 3600.0

# What is measured, its unit, and which way is better.
METRICS: dict[str, tuple[str, Better]] = {
    "throughput": ("1/s", "more"),
    "p50": ("ms", "less"),
    "p99": ("ms", "less"),
    "cpu": ("ms", "less"),
    "memory": ("MiB", "less"),
}


@dataclass(frozen=True)
class Kind:
    """One way to do the work of a case.

    Attributes:
        name: For the reader.
        actor_class: Whose actors do it.
        method: By which method.
        is_spread: On an actor for each processor, each with one thread, that take the calls in turns?
    """

    name: str
    actor_class: type[Threaded | Async]
    method: str
    is_spread: bool = False


@dataclass(frozen=True)
class Case:
    """One sort of work.

    Attributes:
        name: For the reader.
        seconds: A call alone takes about so long.
        rate: More calls a second than this are not expected of two processors.
        kinds: Who does it.
        with_numpy: Is NumPy needed?
    """

    name: str
    seconds: float
    rate: float
    kinds: tuple[Kind, ...]
    with_numpy: bool = False

    def calls(self, in_flight: int, seconds: float, least: int) -> int:
        """So many take about `seconds`. Answers come in waves: the end of one more or less must not decide."""
        return max(least, WAVES * in_flight, int(seconds * min(in_flight / self.seconds, self.rate)))


def _both(method: str) -> tuple[Kind, Kind]:
    return Kind("threaded", Threaded, method), Kind("async", Async, method)


CASES = (
    Case("sleep", SLEEP, 15_000, _both("sleep")),
    Case(
        "http",
        DELAY,
        8_000,
        (*_both("http"), Kind("threaded, http.client", Threaded, "http_of_the_library")),
    ),
    Case("files", 0.0001, 12_000, (*_both("files"), Kind("async, on the loop", Async, "files_on_the_loop"))),
    Case("python", 0.0003, 3_000, (*_both("python"), Kind("an actor a core", Threaded, "python", is_spread=True))),
    Case(
        "numpy",
        0.0006,
        2_500,
        (*_both("numpy"), Kind("async, on the loop", Async, "numpy_on_the_loop")),
        with_numpy=True,
    ),
    Case("mixed", MIXED_SLEEP, 3_000, _both("mixed")),
)


@dataclass(frozen=True)
class Amount:
    """How much is measured.

    Attributes:
        in_flight: How many calls at a time, one after the other.
        rounds: How often each.
        seconds: How long a sample takes, about.
        least: How many calls count in a sample, at least.
    """

    in_flight: tuple[int, ...]
    rounds: int
    seconds: float
    least: int


AMOUNTS: dict[Effort, Amount] = {
    "smoke": Amount((1, 4), 1, 0.02, 3),
    "quick": Amount((1, 4, 16, 64, 256, 1000), 2, 0.1, 8),
    "full": Amount((1, 4, 16, 64, 256, 1000), 5, 0.15, 20),
}


class Contestant:
    """One kind at work on a case, with room for so many calls at a time."""

    def __init__(self, case: Case, kind: Kind, in_flight: int, surroundings: Surroundings) -> None:
        self.kind = kind
        self.in_flight = in_flight
        actor_class: Any = actorio.remote(kind.actor_class)
        concurrency, count = (1, os.cpu_count() or 1) if kind.is_spread else (in_flight, 1)
        self.actors = [
            actor_class.options(max_concurrency=concurrency).remote(surroundings, with_numbers=case.with_numpy)
            for _ in range(count)
        ]
        self.values: dict[str, list[float]] = {metric: [] for metric in METRICS}

    async def warm_up(self) -> None:
        """Has threads started, connections made and code specialised."""
        call = self._calls()
        await asyncio.gather(*[call() for _ in range(self.in_flight)])

    async def measure(self, counted: int) -> None:
        """Takes a sample, and keeps what it has found."""
        pids, before = await self._usage()
        memory: list[float] = []
        load = ClosedLoad(self._calls(), self.in_flight, counted, lambda: memory.extend(_memory(pids)))
        sample = await load.run()
        _, after = await self._usage()
        self._note(sample, after - before)
        self.values["memory"] += memory

    def end(self) -> None:
        """Ends the actors, so that they do not run beside what is measured next."""
        for actor in self.actors:
            actorio.kill(actor)

    def _calls(self) -> Callable[[], Awaitable[object]]:
        in_turn = itertools.cycle([getattr(actor, self.kind.method) for actor in self.actors])
        return lambda: next(in_turn).remote()

    async def _usage(self) -> tuple[list[int], float]:
        usages = await asyncio.gather(*[actor.usage.remote() for actor in self.actors])
        return [pid for pid, _ in usages], sum(seconds for _, seconds in usages)

    def _note(self, sample: Sample, processor_seconds: float) -> None:
        self.values["throughput"].append(sample.throughput)
        self.values["p50"].append(percentile(sample.latencies, 0.5) * MS_IN_S)
        self.values["p99"].append(percentile(sample.latencies, 0.99) * MS_IN_S)
        self.values["cpu"].append(processor_seconds / sample.calls * MS_IN_S)


def _memory(pids: list[int]) -> list[float]:
    return [sum(map(private_mib, pids))] if HAS_PROC else []


def measure(plan: Plan) -> Iterator[Measurement]:
    """See `Suite.measure`."""
    amount = AMOUNTS[plan.effort]
    with (
        actorio.init(address="local", loop_stall_limit=NEVER),
        _surroundings() as surroundings,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        for case in CASES:
            if case.with_numpy and importlib.util.find_spec("numpy") is None:
                plan.skip(Skipped(NAME, "actorio", f'{case.name}: not installed; pip install "actorio-node[bench]"'))
                continue
            for in_flight in amount.in_flight:
                plan.advance(f"{case.name}, {in_flight:,} at a time")
                yield from _measure_case(runner, case, in_flight, amount, surroundings)


@contextmanager
def _surroundings() -> Iterator[Surroundings]:
    with tempfile.TemporaryDirectory() as directory, serving() as port:
        path = Path(directory, "file")
        path.write_bytes(os.urandom(FILE_SIZE))
        yield Surroundings(port, str(path))


def _measure_case(
    runner: asyncio.Runner, case: Case, in_flight: int, amount: Amount, surroundings: Surroundings
) -> Iterator[Measurement]:
    contestants = [Contestant(case, kind, in_flight, surroundings) for kind in case.kinds]
    counted = case.calls(in_flight, amount.seconds, amount.least)
    for contestant in contestants:
        runner.run(contestant.warm_up())
    for _ in range(amount.rounds):
        for contestant in contestants:
            runner.run(contestant.measure(counted))
    for contestant in contestants:
        contestant.end()
        yield from _measurements(case.name, contestant)


def _measurements(case: str, contestant: Contestant) -> Iterator[Measurement]:
    for metric, (unit, better) in METRICS.items():
        # Where there is no /proc, nothing is known about memory.
        if values := contestant.values[metric]:
            yield Measurement(
                suite=NAME,
                case=case,
                kind=contestant.kind.name,
                contender="actorio",
                metric=metric,
                unit=unit,
                better=better,
                at=contestant.in_flight,
                along="max_concurrency",
                values=values,
            )


SUITE = Suite(
    name=NAME,
    title="Threads or coroutines?",
    about=(
        "The same methods in a threaded and in an async actor: waiting for 20 ms (sleep), asking an HTTP server on "
        "loopback that answers after 5 ms (http), reading a cached file of 100 KiB (files), a quarter of a millisecond "
        "of Python (python), half a millisecond of NumPy (numpy), and a wait of 5 ms followed by a quarter of a "
        "millisecond of Python (mixed). Along the curve goes `max_concurrency`, and exactly so many calls are in "
        "flight all the time, made by one event loop. So no call waits in the mailbox: a latency is the method's own "
        "time, the way there and back, and what the calls beside it cost. `cpu` is the processor time of the actor "
        "for one call, `memory` its private memory while all calls are in flight."
    ),
    measure=measure,
)
