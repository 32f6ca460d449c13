"""Does anything grow, or get slower, however long it runs?"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import uvloop

import actorio
from actorio.bench import footprint
from actorio.bench.results import Measurement, Skipped
from actorio.bench.soak_jobs import hire, run_round
from actorio.bench.soak_watch import UNITS, Watch
from actorio.bench.suite import Plan, Suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorio.bench.histogram import Histogram
    from actorio.bench.results import Better
    from actorio.bench.soak_jobs import Crew
    from actorio.bench.suite import Effort

_CALLS: dict[Effort, int] = {"smoke": 20_000, "quick": 1_000_000, "full": 10_000_000}
# How many calls are made in a round, which has all kinds of them, and how often the processes are looked at.
_FEWEST, _MOST, _LOOKS = 2_000, 40_000, 50
_QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def _row(
    case: str, metric: str, unit: str, values: list[float], *, kind: str = "", better: Better = "less"
) -> Measurement:
    return Measurement(
        suite="soak", case=case, contender="actorio", kind=kind, metric=metric, unit=unit, better=better, values=values
    )


def _processes(crew: Crew, node: int) -> dict[str, int]:
    """All that live as long as the soak."""
    actors = {
        "single-threaded actor": crew.single,
        "threaded actor": crew.threaded,
        "async actor": crew.coroutine,
        "named actor": crew.named,
    }
    pids = dict(zip(actors, actorio.get([actor.pid.remote() for actor in actors.values()]), strict=True))
    zygote = footprint.parent(pids["named actor"])
    return {"driver": os.getpid(), "node": node, "zygote": zygote, **pids}


def _soak(plan: Plan, crew: Crew, watch: Watch, calls: int) -> list[float]:
    """Makes the calls; returns how many a second, from one look to the next."""
    size = min(_MOST, max(_FEWEST, calls // _LOOKS))
    rounds = max(1, calls // size)
    each = max(1, rounds // _LOOKS)
    rates = []
    watch.look()
    for first in range(0, rounds, each):
        begun = time.perf_counter()
        for _ in range(each):
            run_round(crew, size)
        rates.append(each * size / (time.perf_counter() - begun))
        watch.look()
        done = (first + each) * size
        plan.advance(f"{done:,} of {calls:,} calls, {rates[-1]:,.0f} a second")
    return rates


def _latencies(case: str, histogram: Histogram) -> Iterator[Measurement]:
    for metric, part in _QUANTILES.items():
        yield _row(case, metric, "ms", [1e3 * histogram.quantile(part)])


def _levels(watch: Watch) -> Iterator[Measurement]:
    for name in watch.seen:
        for metric, unit in UNITS.items():
            yield _row(name, metric, unit, watch.values(name, metric), kind="level")
        for metric, unit in UNITS.items():
            yield _row(name, metric, unit, [watch.growth(name, metric)], kind="growth")


def measure(plan: Plan) -> Iterator[Measurement]:
    """Soaks a session."""
    if not footprint.HAS_PROC:
        plan.skip(Skipped("soak", "actorio", footprint.NO_PROC))
        return
    with (
        actorio.init(address="local", namespace="soak") as context,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        crew = hire(runner)
        watch = Watch(_processes(crew, context.address_info["node_pid"]))
        rates = _soak(plan, crew, watch, plan.calls or _CALLS[plan.effort])
        yield _row("all kinds", "calls", "1/s", rates, better="more")
        yield from _latencies("blocking, one at a time", crew.blocking)
        yield from _latencies("await, one at a time", crew.awaited)
        yield from _levels(watch)


SUITE = Suite(
    name="soak",
    title="Does anything grow, or get slower, however long it runs?",
    about=(
        "Ten million calls of all kinds, mixed: batches, gathers, one at a time, from threads and from new loops, "
        "streams, tasks, errors, calls that are cancelled, given up or late, large values, references and handles "
        "that are passed around, actors that are created and end, and one that is killed, or crashes, and restarts. "
        "Each is seen to end as it should. Driver, node, zygote and the actors that live all the while are looked at "
        "fifty times. *Level* is what a process has, after the first tenth; *growth* compares the median of the "
        "first tenth after that with the last: memory that is its own and pss in MiB, descriptors, threads, mappings. "
        "It should be 0, or, for memory, a part of a MiB that does not double when the number of calls does. "
        "Latencies are those of calls that are made one at a time between all this, the slowest of all included."
    ),
    measure=measure,
)
