"""What does control cost: deadlines, chains and context carried by calls, and cancelling?

Calls that carry all of it take turns with the same calls without: the answer is the ratio of the times. Then 10,000
calls that wait, and 1,000 coroutines that run, are cancelled, and circles of single-threaded actors are found.

    python benchmarks/control.py            about a minute
    python benchmarks/control.py --quick    a look
"""

import argparse
import asyncio
import contextvars
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from patterns import PATTERNS, QUICK_EFFORT, USUAL_EFFORT, Effort, Pattern, Side, samples

import actorio
from actorio._model.context import CURRENT_CALL
from actorio._wire.messages import Call, Way
from actorio._worker.delivered import Delivered
from actorio.exceptions import DeadlockError
from actorio.util import propagate

WAITING, RUNNING, DEPTHS = 10_000, 1_000, (2, 5, 20)
# Long enough for no call of this program to meet it, in seconds.
TIMEOUT = 3600.0

USER: contextvars.ContextVar[str] = contextvars.ContextVar("user")


class Plain:
    """An actor whose methods run in a thread."""

    def nothing(self, _value: int) -> None:
        """Answer a call and do no more."""

    def hold(self, seconds: float) -> None:
        """Keep others waiting."""
        time.sleep(seconds)

    def link(self, following: Any) -> None:
        """Learn whom to ask."""
        self.following = following

    def walk(self, steps: int) -> int:
        """Ask the next one, which asks the next one."""
        return 0 if not steps else int(actorio.get(self.following.walk.remote(steps - 1)))


class Coroutine:
    """An actor whose methods run on its event loop."""

    async def nothing(self, _value: int) -> None:
        """Answer a call and do no more."""

    async def hold(self) -> None:
        """Wait to be cancelled."""
        await asyncio.Event().wait()


def carrying(call: Callable[[int], Any]) -> Callable[[int], Any]:
    """Return the same call, made as if by a call of an actor that has a deadline, a chain and a marked variable."""
    way = Way(time.monotonic() + TIMEOUT, "ab" * 8 + "cd" * 8)
    parent: Any = Delivered(SimpleNamespace(), Call(1, "caller", way=way), b"")  # type: ignore[arg-type]  # no socket
    parent.onward = way

    def call_carrying(value: int) -> Any:
        token = CURRENT_CALL.set(parent)
        try:
            return call(value)
        finally:
            CURRENT_CALL.reset(token)

    return call_carrying


def bare(call: Callable[[int], Any]) -> Callable[[int], Any]:
    """Return the same call with as many steps around it, none of which makes it carry anything."""

    def call_bare(value: int) -> Any:
        token = CURRENT_CALL.set(None)
        try:
            return call(value)
        finally:
            CURRENT_CALL.reset(token)

    return call_bare


def cost(actor: Any, pattern: Pattern, effort: Effort, rounds: int, *, is_marked: bool) -> list[float]:
    """Return, round by round, how much longer calls take that carry everything."""
    call = actor.nothing.remote
    sides = [Side(carrying(call), actorio.get, actorio.get), Side(bare(call), actorio.get, actorio.get)]
    if is_marked:
        USER.set("somebody with a name")
    carried, plain = samples(sides, pattern, effort, rounds)
    return [without / with_ for with_, without in zip(carried, plain, strict=True)]


def cancelled(refs: Sequence[Any]) -> float:
    """Cancel calls; return the seconds until every one of them has ended."""
    began = time.perf_counter()
    for ref in refs:
        actorio.cancel(ref)
    actorio.wait(list(refs), num_returns=len(refs))
    return time.perf_counter() - began


def cancel_waiting(count: int) -> float:
    """Cancel calls that wait in the mailbox of a busy actor."""
    actor = actorio.remote(Plain).remote()
    held = actor.hold.remote(TIMEOUT)
    refs = [actor.nothing.remote(number) for number in range(count)]
    while actorio.get(actorio.util.statistics(actor)).queued < count:
        time.sleep(0.01)
    took = cancelled(refs)
    actorio.kill(actor)
    actorio.wait([held])
    return took


def cancel_running(count: int) -> float:
    """Cancel coroutines that run."""
    actor = actorio.remote(Coroutine).options(max_concurrency=count).remote()
    refs = [actor.hold.remote() for _ in range(count)]
    while actorio.get(actorio.util.statistics(actor)).running < count:
        time.sleep(0.01)
    return cancelled(refs)


def find_circle(depth: int, rounds: int) -> list[float]:
    """Return the seconds until a circle of so many actors is refused, round by round."""
    links = [actorio.remote(Plain).remote() for _ in range(depth)]
    actorio.get([one.link.remote(other) for one, other in zip(links, links[1:] + links[:1], strict=True)])
    # Everybody is connected to his neighbour.
    actorio.get([one.walk.remote(1) for one in links[::2]])
    actorio.get([one.walk.remote(1) for one in links[1::2]])
    return [_walk_in_a_circle(links[0], depth) for _ in range(rounds)]


def _walk_in_a_circle(first: Any, depth: int) -> float:
    began = time.perf_counter()
    try:
        actorio.get(first.walk.remote(depth))
    except DeadlockError:
        return time.perf_counter() - began
    raise AssertionError("the circle was not found")


def line(name: str, values: Sequence[float], unit: str, scale: float = 1.0) -> None:
    """Print a median between its quartiles."""
    scaled = sorted(value * scale for value in values)
    low, _, high = statistics.quantiles(scaled, n=4) if len(scaled) > 1 else (scaled[0],) * 3
    print(f"{name:<52}{statistics.median(scaled):9.2f} {unit:<6} ({low:.2f}-{high:.2f})", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer samples: for a look, not for a claim")
    options = parser.parse_args()
    effort, rounds = (QUICK_EFFORT, 5) if options.quick else (USUAL_EFFORT, 31)
    few = 3 if options.quick else 7
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    with actorio.init(address="local"):
        kinds = {"threaded": actorio.remote(Plain).remote(), "async": actorio.remote(Coroutine).remote()}
        for what in ("a deadline and a chain", "a deadline, a chain and a variable"):
            if "variable" in what:
                propagate(USER)
            for kind, actor in kinds.items():
                for pattern in PATTERNS:
                    ratios = cost(actor, pattern, effort, rounds, is_marked="variable" in what)
                    line(f"{what}: {kind}, {pattern}", ratios, "times")
        line(f"cancel {WAITING:,} calls that wait", [cancel_waiting(WAITING) for _ in range(few)], "ms", 1000)
        line(f"cancel {RUNNING:,} coroutines that run", [cancel_running(RUNNING) for _ in range(few)], "ms", 1000)
        for depth in DEPTHS:
            line(f"a circle of {depth} actors", find_circle(depth, 3 * few), "ms", 1000)


if __name__ == "__main__":
    main()
