"""How fast do items flow, and does a slow taker hold the maker?"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import actorio
from actorio.bench import feeder, footprint
from actorio.bench.results import Measurement, Skipped
from actorio.bench.suite import Plan, Suite
from actorio.bench.turns import take_turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from actorio.bench.suite import Effort

_MESSAGE = b"m" * (64 << 10)
_MIB = 1 << 20
# A long stream is looked at so many times on its way.
_TENTHS = 10


class _Amounts(NamedTuple):
    """How many items of each make, and how often."""

    small: int
    messages: int
    long: int
    rounds: int


_AMOUNTS: dict[Effort, _Amounts] = {
    "smoke": _Amounts(2_000, 50, 5_000, 1),
    "quick": _Amounts(100_000, 3_000, 100_000, 3),
    "full": _Amounts(300_000, 10_000, 3_000_000, 9),
}


class Threaded:
    """Streams from a thread."""

    def numbers(self, count: int) -> Iterator[int]:
        """Counts."""
        yield from range(count)

    def messages(self, count: int) -> Iterator[bytes]:
        """Repeats a message."""
        for _ in range(count):
            yield _MESSAGE

    def private_mib(self) -> float:
        """Says how much memory is this process's own."""
        return footprint.private_mib(os.getpid())


class Coroutine:
    """Streams from a loop."""

    async def numbers(self, count: int) -> AsyncIterator[int]:
        """Counts."""
        for number in range(count):
            yield number

    async def messages(self, count: int) -> AsyncIterator[bytes]:
        """Repeats a message."""
        for _ in range(count):
            yield _MESSAGE


class _Items(NamedTuple):
    """One make of items.

    Attributes:
        scale: What one of them is in the unit of the rate.
    """

    case: str
    method: str
    number: int
    size: int
    metric: str
    unit: str
    scale: float


def _makes(amounts: _Amounts) -> list[_Items]:
    size = len(_MESSAGE)
    return [
        _Items("small items", "numbers", amounts.small, 0, "items", "1/s", 1.0),
        _Items("items of 64 KiB", "messages", amounts.messages, size, "throughput", "MiB/s", size / _MIB),
    ]


def _take(stream: Any) -> None:
    for _ in stream:
        pass


async def _await(stream: Any) -> None:
    async for _ in stream:
        pass


_WAYS: dict[str, Callable[[Any], None]] = {"for": _take, "async for": lambda stream: asyncio.run(_await(stream))}


def _measure_items(
    plan: Plan, items: _Items, actors: dict[str, Any], bare: Callable[[int, int], float], rounds: int
) -> Iterator[Measurement]:
    """Each kind of actor and each way to take from it, in turns with the floor."""
    for kind, actor in actors.items():
        for way, take in _WAYS.items():
            plan.advance(f"{items.case}, {kind}, {way}")
            stream = getattr(actor, items.method).stream

            def ours(stream: Any = stream, take: Callable[[Any], None] = take) -> float:
                begun = time.perf_counter()
                take(stream(items.number))
                return time.perf_counter() - begun

            found = take_turns({"floor": lambda: bare(items.number, items.size), "actorio": ours}, rounds, warm_up=0)
            for contender, seconds in found.items():
                yield _rates(items, way, contender, kind, seconds)


def _rates(items: _Items, way: str, contender: str, kind: str, seconds: list[float]) -> Measurement:
    return Measurement(
        suite="streams",
        case=f"{items.case}, {way}",
        contender=contender,
        kind=kind,
        metric=items.metric,
        unit=items.unit,
        better="more",
        values=[items.number * items.scale / each for each in seconds],
    )


def _measure_memory(plan: Plan, count: int) -> Iterator[Measurement]:
    """Takes a long stream, after a moment in which nobody takes, and looks at both sides on the way."""
    actor_class: Any = actorio.remote(Threaded)
    maker = actor_class.options(max_concurrency=2).remote()
    stream = maker.numbers.stream(count)
    for tenth in range(_TENTHS + 1):
        plan.advance(f"memory after {tenth * count // _TENTHS:,} items")
        gc.collect()
        yield _memory("taker", tenth * count // _TENTHS, footprint.private_mib(os.getpid()))
        yield _memory("maker", tenth * count // _TENTHS, actorio.get(maker.private_mib.remote()))
        if not tenth:
            # The maker waits for this.
            time.sleep(0.1 if plan.effort == "smoke" else 1.0)
        for _ in range(count // _TENTHS if tenth < _TENTHS else 0):
            next(stream)


def _memory(kind: str, taken: int, mebibytes: float) -> Measurement:
    return Measurement(
        suite="streams",
        case="a long stream",
        contender="actorio",
        kind=kind,
        metric="memory",
        unit="MiB",
        better="less",
        values=[mebibytes],
        at=taken,
        along="items",
    )


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measures both makes of items, then the memory of a long stream."""
    amounts = _AMOUNTS[plan.effort]
    with feeder.running() as bare, actorio.init(address="local"):
        threaded: Any = actorio.remote(Threaded)
        coroutine: Any = actorio.remote(Coroutine)
        actors = {"single-threaded": threaded.remote(), "async": coroutine.remote()}
        for items in _makes(amounts):
            yield from _measure_items(plan, items, actors, bare, amounts.rounds)
        if footprint.HAS_PROC:
            yield from _measure_memory(plan, amounts.long)
        else:
            plan.skip(Skipped("streams", "actorio", footprint.NO_PROC))


SUITE = Suite(
    name="streams",
    title="How fast do items flow, and does a slow taker hold the maker?",
    about=(
        "A generator method streams small numbers, and messages of 64 KiB; they are taken with `for` in a script and "
        "with `async for` on a loop. Each takes turns with the floor: a bare process that writes pickles, each behind "
        "its length, into a socket as fast as it can, and a bare loop that reads them. The ratio says what names, "
        "windows and errors cost; the floor never waits for its taker to ask for more. Memory is that of both sides "
        "while a long stream is taken, after a moment in which nobody takes: if the maker did not wait, or the taker "
        "kept what it has had, it would grow along the curve."
    ),
    measure=measure,
)
