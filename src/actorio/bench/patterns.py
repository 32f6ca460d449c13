"""Four ways of calling, timed: the same code for whatever can make a call and wait for its answer.

- ``blocking``: one call at a time, waited for in the calling thread;
- ``batch``: 1,000 calls sent, then 1,000 answers read, in the calling thread;
- ``await``: one awaited call at a time, on an event loop;
- ``gather``: 1,000 calls at a time in `asyncio.gather`, on an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import uvloop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AbstractContextManager

Pattern = Literal["blocking", "batch", "await", "gather"]
PATTERNS: tuple[Pattern, ...] = ("blocking", "batch", "await", "gather")
ONE_AT_A_TIME: tuple[Pattern, ...] = ("blocking", "await")
BATCH_CALLS = 1000


@dataclass(frozen=True)
class Side:
    """One contestant: how it makes a call, and how it waits for one or many answers.

    Attributes:
        call: Makes a call with one small argument; what it returns can be awaited and passed to `get`.
        get: Waits for one answer in the calling thread.
        get_all: Waits for a list of answers in the calling thread.
        on_loop: Entered in a coroutine around awaited calls.
        run: Runs such a coroutine on a loop to its end, on uvloop as a rule.
    """

    call: Callable[[int], Awaitable[Any]]
    get: Callable[[Any], object]
    get_all: Callable[[list[Any]], object]
    on_loop: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
    run: Callable[[Coroutine[Any, Any, float]], float] = uvloop.run


@dataclass(frozen=True)
class Effort:
    """How much is timed at once.

    Attributes:
        calls: Calls per sample of ``blocking`` and ``await``.
        batches: Thousands of calls per sample of ``batch`` and ``gather``.
    """

    calls: int
    batches: int

    @property
    def warm_up(self) -> Effort:
        """What comes before the first sample, and is not counted."""
        return Effort(max(1, self.calls // 10), 1)


# Short samples and many rounds: the two of a round should meet with the same machine, which changes its mind often.
USUAL_EFFORT = Effort(calls=600, batches=4)
QUICK_EFFORT = Effort(calls=500, batches=3)
SMOKE_EFFORT = Effort(calls=20, batches=1)


def sample(side: Side, pattern: Pattern, effort: Effort) -> float:
    """Time one pattern on one side, once; returns calls per second.

    Runs in the calling thread, which must have no running loop.
    """
    if pattern == "blocking":
        return _sample_blocking(side, effort.calls)
    if pattern == "batch":
        return _sample_batch(side, effort.batches)
    if pattern == "await":
        return side.run(_sample_await(side, effort.calls))
    return side.run(_sample_gather(side, effort.batches))


def _sample_blocking(side: Side, calls: int) -> float:
    call, get = side.call, side.get
    start = time.perf_counter()
    for _ in range(calls):
        get(call(1))
    return calls / (time.perf_counter() - start)


def _sample_batch(side: Side, batches: int) -> float:
    call, get_all = side.call, side.get_all
    start = time.perf_counter()
    for _ in range(batches):
        get_all([call(1) for _ in range(BATCH_CALLS)])
    return batches * BATCH_CALLS / (time.perf_counter() - start)


async def _sample_await(side: Side, calls: int) -> float:
    call = side.call
    with side.on_loop():
        # The first call on a new loop may open a connection, which is not what is asked here.
        await call(1)
        start = time.perf_counter()
        for _ in range(calls):
            await call(1)
        return calls / (time.perf_counter() - start)


async def _sample_gather(side: Side, batches: int) -> float:
    call = side.call
    with side.on_loop():
        await call(1)
        start = time.perf_counter()
        for _ in range(batches):
            await asyncio.gather(*[call(1) for _ in range(BATCH_CALLS)])
        return batches * BATCH_CALLS / (time.perf_counter() - start)
