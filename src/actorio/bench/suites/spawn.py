"""How long until a session runs, an actor answers, many answer, and all of them are gone?"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import actorio
from actorio.bench import footprint
from actorio.bench.results import Measurement
from actorio.bench.suite import Plan, Suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorio.bench.suite import Effort


class _Amounts(NamedTuple):
    """How many interpreters, how many actors how often, and how many actors alive together how often."""

    starts: int
    actors: int
    rounds: int
    many: int
    many_rounds: int


_AMOUNTS: dict[Effort, _Amounts] = {
    "smoke": _Amounts(1, 5, 1, 10, 1),
    "quick": _Amounts(3, 50, 3, 200, 1),
    "full": _Amounts(9, 200, 9, 1000, 3),
}

_START = """
import time
begun = time.perf_counter()
import actorio
imported = time.perf_counter()
actorio.init(address="local")
started = time.perf_counter()
actorio.shutdown()
print(imported - begun, started - imported, time.perf_counter() - started)
"""


def _seconds(case: str, metric: str, values: list[float]) -> Measurement:
    return Measurement(
        suite="spawn", case=case, contender="actorio", metric=metric, unit="s", better="less", values=values
    )


def _measure_starts(plan: Plan, starts: int) -> Iterator[Measurement]:
    """Sessions that begin and end, each in a fresh interpreter."""
    timings = []
    for number in range(starts):
        plan.advance(f"import, init, shutdown: {number + 1} of {starts}")
        timings.append(_start_once())
    for metric, values in zip(("import", "init", "shutdown"), zip(*timings, strict=True), strict=True):
        yield _seconds("session", metric, list(values))


def _start_once() -> list[float]:
    done = subprocess.run([sys.executable, "-c", _START], stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # this interpreter
    return [float(seconds) for seconds in done.stdout.split()]


def _measure_rate(plan: Plan, count: int, rounds: int) -> Measurement:
    """Actors that are created and answer; the first round is not counted, as it readies the process they come from."""
    rates = []
    for number in range(rounds + 1):
        plan.advance(f"{count} actors: {number + 1} of {rounds + 1}")
        seconds, actors, _ = footprint.create(count)
        rates.append(count / seconds)
        footprint.end(actors)
    return Measurement(
        suite="spawn",
        case="actors",
        contender="actorio",
        metric="created and answering",
        unit="1/s",
        better="more",
        values=rates[1:],
    )


def _measure_many(plan: Plan, count: int, rounds: int) -> Iterator[Measurement]:
    """Actors that are alive together."""
    timings = []
    for number in range(rounds):
        plan.advance(f"{count:,} actors alive together: {number + 1} of {rounds}")
        timings.append(_many_once(count))
    metrics = ("answering", "called again", "shutdown")
    for metric, values in zip(metrics, zip(*timings, strict=True), strict=True):
        yield _seconds(f"{count:,} actors", metric, list(values))


def _many_once(count: int) -> tuple[float, float, float]:
    with actorio.init(address="local"):
        answering, actors, _ = footprint.create(count)
        begun = time.perf_counter()
        actorio.get([actor.nothing.remote(1) for actor in actors])
        called = time.perf_counter()
        actorio.shutdown()
        return answering, called - begun, time.perf_counter() - called


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measures starts, then actors one batch at a time, then many together."""
    amounts = _AMOUNTS[plan.effort]
    yield from _measure_starts(plan, amounts.starts)
    with actorio.init(address="local"):
        yield _measure_rate(plan, amounts.actors, amounts.rounds)
    yield from _measure_many(plan, amounts.many, amounts.many_rounds)


SUITE = Suite(
    name="spawn",
    title="How long until a session runs, an actor answers, many answer, and all of them are gone?",
    about=(
        "`import actorio`, `init` and `shutdown` are timed in fresh interpreters, whose modules are compiled already. "
        "Actors a second: a batch is created and each is called once; the clock stops when the last has answered, and "
        "they are killed before the next round. Then many are alive together, as many as the table says: the seconds "
        "until all have answered, "
        "until all have answered a second call on the connections that are there, and the seconds that `shutdown` "
        "takes, after which none of their processes is left."
    ),
    measure=measure,
)
