"""What does control cost: deadlines, chains and context carried by calls, cancelling, and polling?"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import time
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import actorio
from actorio._model.context import CURRENT_CALL
from actorio._wire.messages import Call, Way
from actorio._worker.delivered import Delivered
from actorio.bench import polling
from actorio.bench.patterns import PATTERNS, QUICK_EFFORT, USUAL_EFFORT, Effort, Side, sample
from actorio.bench.results import Measurement
from actorio.bench.suite import Plan, Suite
from actorio.bench.turns import take_turns
from actorio.exceptions import DeadlockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Long enough for no call of this suite to meet it, in seconds.
_TIMEOUT = 3600.0

_USER: contextvars.ContextVar[str] = contextvars.ContextVar("user")


class _Amounts(NamedTuple):
    """How many calls at a time, in how many rounds; what is cancelled, and how long circles are, how often.

    Attributes:
        polling: How many seconds each question about polling takes, how often it is asked, and beside how many
            processes for each processor calls are made.
    """

    effort: Effort
    rounds: int
    waiting: int
    running: int
    depths: tuple[int, ...]
    few: int
    polling: tuple[float, int, tuple[int, ...]]


_AMOUNTS = {
    "smoke": _Amounts(Effort(10, 1), 1, 200, 50, (2,), 1, (0.05, 1, (1,))),
    "quick": _Amounts(QUICK_EFFORT, 5, 10_000, 1_000, (2, 5, 20), 3, (2.0, 2, (0, 1, 2))),
    "full": _Amounts(USUAL_EFFORT, 31, 10_000, 1_000, (2, 5, 20), 9, (4.0, 5, (0, 1, 2))),
}


class Plain:
    """An actor whose methods run in a thread."""

    def nothing(self, _value: int) -> None:
        """Answers a call and does no more."""

    def hold(self, seconds: float) -> None:
        """Keeps others waiting."""
        time.sleep(seconds)

    def link(self, following: Any) -> None:
        """Learns whom to ask."""
        self.following = following

    def walk(self, steps: int) -> int:
        """Asks the next one, which asks the next one."""
        return 0 if not steps else int(actorio.get(self.following.walk.remote(steps - 1)))


class Coroutine:
    """An actor whose methods run on its event loop."""

    async def nothing(self, _value: int) -> None:
        """Answers a call and does no more."""

    async def hold(self) -> None:
        """Waits to be cancelled."""
        await asyncio.Event().wait()


def _carrying(call: Callable[[int], Any]) -> Callable[[int], Any]:
    """The same call, made as if by a call of an actor that has a deadline and a chain."""
    way = Way(time.monotonic() + _TIMEOUT, "ab" * 8 + "cd" * 8)
    parent: Any = Delivered(SimpleNamespace(), Call(1, "caller", way=way), b"")  # type: ignore[arg-type]  # no socket
    parent.onward = way
    return _within(parent, call)


def _within(parent: Any, call: Callable[[int], Any]) -> Callable[[int], Any]:
    """The same call, made by another one, or with as many steps around it by none."""

    def call_within(value: int) -> Any:
        token = CURRENT_CALL.set(parent)
        try:
            return call(value)
        finally:
            CURRENT_CALL.reset(token)

    return call_within


@contextlib.contextmanager
def _marked() -> Iterator[None]:
    """With a variable that travels along."""
    actorio.util.propagate(_USER)
    token = _USER.set("somebody with a name")
    try:
        yield
    finally:
        _USER.reset(token)


def _measure_carried(plan: Plan, amounts: _Amounts) -> Iterator[Measurement]:
    """Calls that carry something, in turns with calls that carry nothing."""
    plain: Any = actorio.remote(Plain)
    coroutine: Any = actorio.remote(Coroutine)
    actors = {"single-threaded": plain.remote(), "async": coroutine.remote()}
    yield from _measure_carrying(plan, amounts, actors, "deadline and chain")
    with _marked():
        yield from _measure_carrying(plan, amounts, actors, "deadline, chain and variable")


def _measure_carrying(plan: Plan, amounts: _Amounts, actors: dict[str, Any], what: str) -> Iterator[Measurement]:
    for kind, actor in actors.items():
        call = actor.nothing.remote
        calls = {"bare": _within(None, call), "actorio": _carrying(call)}
        sides = {contender: Side(each, actorio.get, actorio.get) for contender, each in calls.items()}
        for pattern in PATTERNS:
            plan.advance(f"{pattern} with {what}, {kind}")
            turns = {contender: partial(sample, side, pattern, amounts.effort) for contender, side in sides.items()}
            for contender, rates in take_turns(turns, amounts.rounds).items():
                yield Measurement(
                    suite="control",
                    case=f"{pattern}, {what}",
                    contender=contender,
                    kind=kind,
                    metric="calls",
                    unit="1/s",
                    better="more",
                    values=rates,
                )


def _cancel(refs: Sequence[Any]) -> float:
    """Cancels calls; returns the seconds until every one of them has ended."""
    began = time.perf_counter()
    for ref in refs:
        actorio.cancel(ref)
    actorio.wait(list(refs), num_returns=len(refs))
    return time.perf_counter() - began


def _cancel_waiting(count: int) -> float:
    """Cancels calls that wait in the mailbox of a busy actor."""
    actor_class: Any = actorio.remote(Plain)
    actor = actor_class.remote()
    held = actor.hold.remote(_TIMEOUT)
    refs = [actor.nothing.remote(number) for number in range(count)]
    while actorio.get(actorio.util.statistics(actor)).queued < count:
        time.sleep(0.01)
    took = _cancel(refs)
    actorio.kill(actor)
    actorio.wait([held])
    return took


def _cancel_running(count: int) -> float:
    """Cancels coroutines that run."""
    actor_class: Any = actorio.remote(Coroutine)
    actor = actor_class.options(max_concurrency=count).remote()
    refs = [actor.hold.remote() for _ in range(count)]
    while actorio.get(actorio.util.statistics(actor)).running < count:
        time.sleep(0.01)
    return _cancel(refs)


def _find_circle(depth: int, rounds: int) -> list[float]:
    """Returns the seconds until a circle of so many actors is refused, round by round."""
    actor_class: Any = actorio.remote(Plain)
    links = [actor_class.remote() for _ in range(depth)]
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


def _measure_ends(plan: Plan, amounts: _Amounts) -> Iterator[Measurement]:
    """Calls that are cancelled, and circles that are refused."""
    waiting, running = f"cancel {amounts.waiting:,} that wait", f"cancel {amounts.running:,} that run"
    plan.advance(waiting)
    yield _milliseconds(waiting, [_cancel_waiting(amounts.waiting) for _ in range(amounts.few)])
    plan.advance(running)
    yield _milliseconds(running, [_cancel_running(amounts.running) for _ in range(amounts.few)])
    for depth in amounts.depths:
        plan.advance(f"a circle of {depth} actors")
        yield _milliseconds("circle refused", _find_circle(depth, 3 * amounts.few), depth=depth)


def _milliseconds(case: str, seconds: list[float], *, depth: int | None = None) -> Measurement:
    return Measurement(
        suite="control",
        case=case,
        contender="actorio",
        metric="time",
        unit="ms",
        better="less",
        values=[1e3 * each for each in seconds],
        at=depth,
        along="" if depth is None else "actors",
    )


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measures what calls carry, then how calls end, then what polling costs others."""
    amounts = _AMOUNTS[plan.effort]
    with actorio.init(address="local"):
        yield from _measure_carried(plan, amounts)
        yield from _measure_ends(plan, amounts)
    yield from polling.measure(plan, *amounts.polling)


SUITE = Suite(
    name="control",
    title="What does control cost: deadlines, chains and context carried by calls, cancelling, and polling?",
    about=(
        "Calls that carry a deadline and a chain of callers, as calls made by actors do, take turns with the same "
        "calls that carry nothing (`bare`), in the four patterns; then with a context variable that travels along, "
        "too. The ratio should be near 1: what is carried is a tenth of a call's cost. *Cancel* gives the time from "
        "the first `cancel` until the last reference has ended, for 10,000 calls that wait in the mailbox of a busy "
        "actor and 1,000 coroutines that run. *Circle refused* is the time from a call that will end up waiting for "
        "itself, by way of so many single-threaded actors, until its `DeadlockError` is here; the calls around the "
        "circle are in it. *Polling* holds programs that poll before they fall asleep (`actorio`) against the same "
        "with `ACTORIO_SPIN=0` (`asleep`): the CPU time of driver and actors that were busy and are idle; how late a "
        "task wakes that sleeps a millisecond at a time, and how often one has its turn that never sleeps, while "
        "another task awaits calls; calls one at a time beside processes that compute, and how many processors those "
        "have meanwhile."
    ),
    measure=measure,
)
