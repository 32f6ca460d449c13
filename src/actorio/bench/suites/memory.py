"""What does it cost to keep an actor, a reference, a call that waits?"""

from __future__ import annotations

import gc
import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import actorio
from actorio.bench import footprint
from actorio.bench.idle import Idle
from actorio.bench.results import Measurement, Skipped
from actorio.bench.suite import Plan, Suite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from actorio.bench.suite import Effort

_BYTES_PER_MIB = 1 << 20
_BATCH = 1000
_IDLE_ACTORS = 10


class _Amounts(NamedTuple):
    """How many actors, for how many seconds they are left alone, how many calls, and how many actors together."""

    actors: int
    idle_seconds: float
    calls: int
    many: int


_AMOUNTS: dict[Effort, _Amounts] = {
    "smoke": _Amounts(5, 0.2, 2_000, 20),
    "quick": _Amounts(50, 3.0, 20_000, 200),
    "full": _Amounts(200, 10.0, 100_000, 1000),
}


class Holder(Idle):
    """An actor that can keep its callers waiting; it has a second thread, to be let go by."""

    def __init__(self) -> None:
        self._is_over = threading.Event()

    @actorio.method(concurrency_group="holding")
    def hold(self) -> None:
        """Returns after `let_go`."""
        self._is_over.wait()

    @actorio.method(concurrency_group="holding")
    def nothing(self, _value: int) -> None:
        """Answers a call and does no more."""

    def let_go(self) -> None:
        """Ends `hold`."""
        self._is_over.set()


def _row(case: str, metric: str, unit: str, values: list[float], **more: Any) -> Measurement:
    return Measurement(
        suite="memory", case=case, contender="actorio", metric=metric, unit=unit, better="less", values=values, **more
    )


def _measure_idle(plan: Plan, amounts: _Amounts) -> Iterator[Measurement]:
    """What one more actor costs that does nothing: one value for each."""
    plan.advance(f"memory of {amounts.actors} idle actors")
    _, actors, pids = footprint.create(amounts.actors)
    yield _row("idle actor", "memory", "MiB", [footprint.private_mib(pid) for pid in pids])
    footprint.end(actors)
    plan.advance(f"CPU time of {_IDLE_ACTORS} idle actors")
    used = footprint.idle_seconds(_IDLE_ACTORS, amounts.idle_seconds)
    yield _row(f"{_IDLE_ACTORS} idle actors, {amounts.idle_seconds:g} s", "CPU time", "ms", [1e3 * used])


def _memory_of(processes: Mapping[str, int]) -> dict[str, float]:
    """The memory of each process, in MiB."""
    gc.collect()
    return {name: footprint.private_mib(pid) for name, pid in processes.items()}


def _measure_calls(plan: Plan, processes: Mapping[str, int], actor: Any, count: int) -> Iterator[Measurement]:
    """What is left after many calls whose results nobody keeps."""
    actorio.get([actor.nothing.remote(1) for _ in range(_BATCH)])
    for done in (0, count):
        plan.advance(f"memory after {done:,} calls")
        for _ in range(done // _BATCH):
            actorio.get([actor.nothing.remote(1) for _ in range(_BATCH)])
        for name, mebibytes in _memory_of(processes).items():
            yield _row("calls made", "memory", "MiB", [mebibytes], kind=name, at=done, along="calls")


def _measure_kept(plan: Plan, processes: Mapping[str, int], actor: Any, count: int) -> Iterator[Measurement]:
    """What a reference costs whose result is there, and what a call costs that waits, at both ends."""
    plan.advance(f"memory of {count:,} references")
    before = _memory_of(processes)
    kept = []
    for _ in range(count // _BATCH):
        kept += [actor.nothing.remote(1) for _ in range(_BATCH)]
        actorio.get(kept[-_BATCH:])
    yield _each("reference kept", "driver", before, _memory_of(processes), count)
    kept.clear()
    plan.advance(f"memory of {count:,} calls that wait")
    before = _memory_of(processes)
    kept = [actor.hold.remote(), *[actor.nothing.remote(1) for _ in range(count)]]
    while actorio.get(actorio.util.statistics(actor)).queued < count:
        threading.Event().wait(0.01)
    after = _memory_of(processes)
    for name in ("driver", "actor"):
        yield _each("call that waits", name, before, after, count)
    actorio.get([actor.let_go.remote(), *kept])


def _each(case: str, name: str, before: Mapping[str, float], after: Mapping[str, float], count: int) -> Measurement:
    grown = (after[name] - before[name]) * _BYTES_PER_MIB / count
    return _row(case, "memory", "B", [grown], kind=name)


def _measure_many(plan: Plan, processes: Mapping[str, int], count: int) -> Iterator[Measurement]:
    """What many actors have together, with the processes that every session has."""
    plan.advance(f"memory of {count:,} actors together")
    _, _actors, pids = footprint.create(count)
    of_session = [processes["node"], processes["zygote"]]
    yield _row(f"{count:,} actors", "memory", "MiB", [sum(map(footprint.private_mib, pids))], kind="private")
    yield _row(f"{count:,} actors", "memory", "MiB", [sum(map(footprint.pss_mib, [*of_session, *pids]))], kind="in all")


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measures in one session what is left of calls, then in another what actors have."""
    if not footprint.HAS_PROC:
        plan.skip(Skipped("memory", "actorio", footprint.NO_PROC))
        return
    amounts = _AMOUNTS[plan.effort]
    for measure_some in (_measure_session, _measure_actors):
        with actorio.init(address="local") as context:
            yield from measure_some(plan, context.address_info["node_pid"], amounts)


def _measure_session(plan: Plan, node: int, amounts: _Amounts) -> Iterator[Measurement]:
    actor_class: Any = actorio.remote(Holder)
    actor = actor_class.options(concurrency_groups={"holding": 1}).remote()
    processes = {"driver": os.getpid(), "node": node, "actor": actorio.get(actor.pid.remote())}
    yield from _measure_calls(plan, processes, actor, amounts.calls)
    yield from _measure_kept(plan, processes, actor, amounts.calls)


def _measure_actors(plan: Plan, node: int, amounts: _Amounts) -> Iterator[Measurement]:
    _, [first], [pid] = footprint.create(1)
    processes = {"node": node, "zygote": footprint.parent(pid)}
    footprint.end([first])
    yield from _measure_idle(plan, amounts)
    yield from _measure_many(plan, processes, amounts.many)


SUITE = Suite(
    name="memory",
    title="What does it cost to keep an actor, a reference, a call that waits?",
    about=(
        "The memory of a process is what it shares with no other (`Private_*` in `/proc/<pid>/smaps_rollup`): what one "
        "more of it costs. *Idle actor* has one value for each of 200 that have answered a call; pages that they share "
        "with the process they were all forked from are not in it. *Calls made* looks at driver, node and actor "
        "before and after 100,000 calls whose results are dropped: they should not differ. *Reference kept* and "
        "*call that waits* are bytes for each of 100,000, the latter in the process that made it and in the actor. "
        "*1,000 actors* gives the sum of what is private, and in all: with their parts of what they share, and with "
        "the node and the process that they are forked from. CPU time is that of ten actors together over ten seconds "
        "in which nobody calls them; it should be 0."
    ),
    measure=measure,
)
