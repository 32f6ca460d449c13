"""What is done in a soak, in turns: calls of all kinds, each of which is seen to end as it should."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import uvloop

import actorio
from actorio.bench.histogram import Histogram
from actorio.bench.soak_actors import Blob, Coroutine, Plain, Refusal, double
from actorio.exceptions import ActorUnavailableError, GetTimeoutError, TaskCancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TOGETHER = 1000
_LARGE_BYTES = 1 << 20
_NAME = "soak-named"
# So long may a call take that is to meet its deadline, and one that is not to; in seconds.
_SHORT, _LONG = 0.005, 600.0


@dataclass
class Crew:
    """Those who live as long as the soak, and what they are called with."""

    single: Any
    threaded: Any
    coroutine: Any
    named: Any
    mortal: Any
    task: Any
    runner: asyncio.Runner
    blocking: Histogram = field(default_factory=Histogram)
    awaited: Histogram = field(default_factory=Histogram)
    large: Blob = field(default_factory=lambda: Blob(bytes(_LARGE_BYTES)))
    deaths: int = 0


def hire(runner: asyncio.Runner) -> Crew:
    """Creates the actors, in the session that there is."""
    plain: Any = actorio.remote(Plain)
    coroutine: Any = actorio.remote(Coroutine)
    return Crew(
        single=plain.remote(),
        threaded=plain.options(max_concurrency=4).remote(),
        coroutine=coroutine.remote(),
        named=coroutine.options(name=_NAME).remote(),
        # It comes back at once, however often it dies.
        mortal=plain.options(restart_policy=actorio.RestartPolicy(max_delay=0.0), max_restarts=-1).remote(),
        task=actorio.remote(double),
        runner=runner,
    )


def _check(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"a call ended in {found!r}, not in {expected!r}")


def _check_kinds(found: Sequence[object], *allowed: type) -> None:
    for each in found:
        if not isinstance(each, allowed):
            raise AssertionError(f"a call ended in {each!r}, not in any of {allowed}")  # noqa: TRY004  # the soak failed


def _outcome(ref: Any) -> object:
    """What became of a call, errors as values."""
    try:
        return actorio.get(ref)
    except Exception as error:
        return error


async def _gathered(refs: list[Any]) -> list[Any]:
    return await asyncio.gather(*refs, return_exceptions=True)


def _batch(method: Any, count: int) -> None:
    for first in range(0, count, _TOGETHER):
        values = range(first, min(first + _TOGETHER, count))
        _check(actorio.get([method.remote(value) for value in values]), list(values))


def _gather(crew: Crew, method: Any, count: int) -> None:
    async def gather() -> None:
        for first in range(0, count, _TOGETHER):
            values = range(first, min(first + _TOGETHER, count))
            _check(await asyncio.gather(*[method.remote(value) for value in values]), list(values))

    crew.runner.run(gather())


def _blocking(crew: Crew, count: int) -> None:
    for value in range(count):
        begun = time.perf_counter()
        actorio.get(crew.single.echo.remote(value))
        crew.blocking.note(time.perf_counter() - begun)


def _awaited(crew: Crew, count: int) -> None:
    async def call() -> None:
        for value in range(count):
            begun = time.perf_counter()
            await crew.coroutine.echo.remote(value)
            crew.awaited.note(time.perf_counter() - begun)

    crew.runner.run(call())


def _on_a_new_loop(crew: Crew, count: int) -> None:
    uvloop.run(_gathered([crew.coroutine.echo.remote(value) for value in range(count)]))


def _from_threads(crew: Crew, count: int) -> None:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda value: actorio.get(crew.threaded.echo.remote(value)), range(count))
        _check(list(found), list(range(count)))


def _futures(crew: Crew, count: int) -> None:
    futures = [crew.threaded.echo.remote(value).future() for value in range(count)]
    _check(sum(future.result() for future in concurrent.futures.as_completed(futures)), sum(range(count)))


def _streams(crew: Crew, count: int) -> None:
    async def take() -> int:
        return sum([value async for value in crew.coroutine.count.stream(count // 2)])

    _check(sum(crew.threaded.count.stream(count // 2)), sum(range(count // 2)))
    _check(crew.runner.run(take()), sum(range(count // 2)))
    # One that nobody takes to its end.
    with crew.threaded.count.stream(count) as stream:
        next(stream)


def _tasks(crew: Crew, count: int) -> None:
    _check(actorio.get([crew.task.remote(value) for value in range(count)]), [2 * value for value in range(count)])


def _errors(crew: Crew, count: int) -> None:
    refs = [crew.single.refuse.remote(value) for value in range(count // 2)]
    _check_kinds([_outcome(ref) for ref in refs], Refusal)
    refs = [crew.coroutine.refuse.remote(value) for value in range(count - count // 2)]
    _check_kinds(crew.runner.run(_gathered(refs)), Refusal)


def _cancelled(crew: Crew, count: int) -> None:
    crew.single.rest.remote(_SHORT)
    refs = [crew.coroutine.hold.remote() for _ in range(count // 2)]
    waiting = [crew.single.echo.remote(value) for value in range(count // 2)]
    for ref in refs + waiting:
        actorio.cancel(ref)
    _check_kinds([_outcome(ref) for ref in refs], TaskCancelledError)
    # The first of these may have begun when the word came.
    _check_kinds([_outcome(ref) for ref in waiting], TaskCancelledError, int)


def _abandoned(crew: Crew, count: int) -> None:
    async def give_up() -> None:
        try:
            async with asyncio.timeout(_SHORT):
                await crew.coroutine.hold.remote()
        except TimeoutError:
            return
        raise AssertionError("a call that only ends when it is cancelled has ended")

    async def give_all_up() -> None:
        await asyncio.gather(*[give_up() for _ in range(count)])

    crew.runner.run(give_all_up())


def _deadlines(crew: Crew, count: int) -> None:
    late = [crew.coroutine.hold.options(timeout=_SHORT).remote() for _ in range(count // 2)]
    _batch(crew.single.echo.options(timeout=_LONG), count - count // 2)
    _check_kinds(crew.runner.run(_gathered(late)), GetTimeoutError)


def _large(crew: Crew, count: int) -> None:
    kept = actorio.put(crew.large)
    for number in range(count):
        value = crew.large if number % 2 else kept
        _check(len(actorio.get(crew.threaded.echo.remote(value)).content), _LARGE_BYTES)
        # A result that is handed on without being looked at.
        _check(len(actorio.get(crew.coroutine.echo.remote(crew.single.echo.remote(value))).content), _LARGE_BYTES)


def _puts(crew: Crew, count: int) -> None:
    refs = [actorio.put(value) for value in range(count)]
    _check(actorio.get([crew.single.echo.remote(ref) for ref in refs]), list(range(count)))
    _check(actorio.get(crew.threaded.total.remote(refs)), sum(range(count)))


def _handles(crew: Crew, count: int) -> None:
    named = actorio.get_actor(_NAME)
    refs = [crew.threaded.ask.remote([named], value) for value in range(count)]
    refs += [crew.coroutine.ask.remote([crew.single], value) for value in range(count)]
    refs += [crew.coroutine.ask_for.remote(_NAME, value) for value in range(count)]
    _check(actorio.get(refs), 3 * list(range(count)))


def _short_lives(_crew: Crew, count: int) -> None:
    for actor_class in (Plain, Coroutine):
        remote: Any = actorio.remote(actor_class)
        # Both end when nobody has a handle any more, with the call that they have just had.
        _check(actorio.get([remote.remote().echo.remote(value) for value in range(count)]), list(range(count)))


def _death(crew: Crew, _count: int) -> None:
    crew.deaths += 1
    if crew.deaths % 2:
        _check_kinds([_outcome(crew.mortal.crash.remote())], ActorUnavailableError)
    else:
        actorio.kill(crew.mortal, no_restart=False)
    # The end of the process may come between these, or after them.
    _batch(crew.mortal.echo.options(max_task_retries=-1), 10)


@dataclass(frozen=True)
class Job:
    """One kind of work.

    Attributes:
        share: What part of all calls it makes, roughly.
        fewest: How many it makes in each round at least.
    """

    name: str
    share: float
    run: Callable[[Crew, int], None]
    fewest: int = 4


JOBS = (
    Job("batch, single-threaded", 0.3, lambda crew, count: _batch(crew.single.echo, count)),
    Job("batch, threaded", 0.25, lambda crew, count: _batch(crew.threaded.echo, count)),
    Job("batch, async", 0.25, lambda crew, count: _batch(crew.coroutine.later, count)),
    Job("gather, single-threaded", 0.05, lambda crew, count: _gather(crew, crew.single.echo, count)),
    Job("gather, async", 0.1, lambda crew, count: _gather(crew, crew.coroutine.echo, count)),
    Job("blocking", 0.005, _blocking),
    Job("await", 0.005, _awaited),
    Job("on a new loop", 0.005, _on_a_new_loop),
    Job("from threads", 0.002, _from_threads),
    Job("futures", 0.002, _futures),
    Job("streams", 0.005, _streams),
    Job("tasks", 0.002, _tasks),
    Job("errors", 0.002, _errors),
    Job("cancelled", 0.002, _cancelled),
    Job("abandoned", 0.002, _abandoned),
    Job("deadlines", 0.002, _deadlines),
    Job("large values", 0.0001, _large, fewest=2),
    Job("puts", 0.002, _puts),
    Job("handles", 0.0005, _handles),
    Job("short lives", 0.00002, _short_lives, fewest=1),
    Job("death", 0.0, _death),
)


def run_round(crew: Crew, calls: int) -> None:
    """Makes about so many calls: some of each kind."""
    for job in JOBS:
        job.run(crew, max(job.fewest, int(calls * job.share)))
