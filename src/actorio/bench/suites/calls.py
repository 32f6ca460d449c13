"""How many calls a second, next to bare sockets, and next to what a person would use instead?"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import actorio
from actorio.bench.crowds import SIZES as CROWD_SIZES
from actorio.bench.crowds import crowd, total_rate
from actorio.bench.patterns import (
    PATTERNS,
    QUICK_EFFORT,
    SMOKE_EFFORT,
    USUAL_EFFORT,
    Effort,
    Pattern,
    Side,
    sample,
)
from actorio.bench.payloads import MARGIN, THRESHOLDS, Payloads, all_sizes, calls_of, ways
from actorio.bench.payloads import SIZES as PAYLOAD_SIZES
from actorio.bench.results import BYTES, Measurement, Skipped
from actorio.bench.rivals import NAMES
from actorio.bench.rivals.process import RivalError, running
from actorio.bench.suite import Plan, Suite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from actorio.bench.rivals.process import Rival

NAME = "calls"
KINDS = ("single-threaded", "threaded(4)", "async")
WITH_DEADLINE = ", with deadline"
# Long enough for no call to meet it, in seconds.
_TIMEOUT = 600.0


class Plain:
    """An actor whose methods run in threads."""

    def nothing(self, _value: int) -> None:
        """Answers a call and does no more."""


class Coroutine:
    """An actor whose methods run on its event loop."""

    async def nothing(self, _value: int) -> None:
        """Answers a call and does no more."""


@dataclass(frozen=True)
class Amount:
    """How much is measured.

    Attributes:
        rounds: How often each contender has its turn.
        effort: How much is done in a turn.
        crowd: How many calls a crowd of callers makes in a turn.
        payload: How many calls with a small payload are made in a turn.
    """

    rounds: int
    effort: Effort
    crowd: int
    payload: int


AMOUNTS = {
    "smoke": Amount(1, SMOKE_EFFORT, crowd=80, payload=3),
    "quick": Amount(5, QUICK_EFFORT, crowd=8_000, payload=100),
    "full": Amount(41, USUAL_EFFORT, crowd=8_000, payload=200),
}


def new_actor(kind: str) -> Any:
    """Creates an actor of one kind, and waits until it answers."""
    actor: Any
    if kind == "async":
        actor = actorio.remote(Coroutine).remote()
    else:
        actor = actorio.remote(Plain).options(max_concurrency=1 if kind == "single-threaded" else 4).remote()
    actorio.get(actor.nothing.remote(1))
    return actor


def side_of(actor: Any) -> Side:
    """Returns how an actor is called."""

    def call(value: int) -> Any:
        # The method is looked up for every call, as a user's program does.
        return actor.nothing.remote(value)

    return Side(call, actorio.get, actorio.get)


def side_with_deadline(actor: Any) -> Side:
    """Returns how an actor is called when each call has a deadline."""
    return Side(actor.nothing.options(timeout=_TIMEOUT).remote, actorio.get, actorio.get)


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measures all of it, in a session of its own with everything at its default."""
    amount = AMOUNTS[plan.effort]
    with running(plan, NAME) as rivals, actorio.init(address="local"):
        yield from measure_patterns(plan, rivals)
        yield from measure_crowds(plan, amount)
        yield from measure_payloads(plan, amount)


# --- patterns -------------------------------------------------------------------------------------------------------


def measure_patterns(
    plan: Plan, rivals: Sequence[Rival], patterns: Sequence[Pattern] = PATTERNS, *, has_deadlines: bool = True
) -> Iterator[Measurement]:
    """Measures patterns of calls on each kind of actor, in a session that has begun."""
    for kind in KINDS:
        actor = new_actor(kind)
        ours = {"": side_of(actor)}
        if has_deadlines:
            ours[WITH_DEADLINE] = side_with_deadline(actor)
        for pattern in patterns:
            plan.advance(f"{pattern}, {kind}")
            turns = turns_of(pattern, kind, ours, rivals)
            for turn, values in take_turns(plan, turns, AMOUNTS[plan.effort]).items():
                yield from (measured(case, kind, turn.contender, values) for case in turn.cases)
        actorio.kill(actor)


@dataclass(frozen=True)
class Turn:
    """Somebody who takes turns.

    Attributes:
        contender: Who it is.
        cases: What the numbers stand for. What rivals do has no deadlines: ours with deadlines is held against the same
            numbers as ours without.
        sample: Does it once, and returns calls per second.
    """

    contender: str
    cases: tuple[str, ...]
    sample: Callable[[Effort], float]


def turns_of(pattern: Pattern, kind: str, ours: dict[str, Side], rivals: Sequence[Rival]) -> list[Turn]:
    """Finds who takes turns at one pattern on one kind of actor."""
    cases = tuple(f"{pattern}{variant}" for variant in ours)
    sides = zip(cases, ours.values(), strict=True)
    turns = [Turn("actorio", (case,), partial(sample, side, pattern)) for case, side in sides]
    for rival in rivals:
        jobs = sorted(job for job in rival.jobs if job.case == pattern and job.kind == kind)
        turns += [Turn(job.contender, cases, partial(rival.sample, job)) for job in jobs]
    return turns


def take_turns(plan: Plan, turns: Sequence[Turn], amount: Amount) -> dict[Turn, list[float]]:
    """Lets all have their turn in each round, after one that warms up. A rival that fails is out of it."""
    found: dict[Turn, list[float]] = {turn: [] for turn in turns}
    for effort in [amount.effort.warm_up] + amount.rounds * [amount.effort]:
        for turn in list(found):
            try:
                found[turn].append(turn.sample(effort))
            except RivalError as error:
                plan.skip(Skipped(NAME, turn.contender, f"{turn.cases[0]}: {error}"))
                del found[turn]
    return {turn: values[1:] for turn, values in found.items()}


def measured(case: str, kind: str, contender: str, values: list[float], *, crowd: int | None = None) -> Measurement:
    """Returns a measurement of calls per second, alone or of a crowd of so many."""
    return Measurement(
        suite=NAME,
        case=case,
        kind=kind,
        contender=contender,
        metric="calls",
        unit="1/s",
        better="more",
        values=values,
        at=crowd,
        along="" if crowd is None else "callers and actors",
    )


# --- callers and sizes ----------------------------------------------------------------------------------------------

# How the callers of each case call, and how many of the calls they make: one at a time takes longer.
CROWDS = {"n callers x n actors, blocking": ("one_at_a_time", 0.2), "n callers x n actors, batch": ("in_batches", 1.0)}


def measure_crowds(plan: Plan, amount: Amount) -> Iterator[Measurement]:
    """Measures crowds of callers; the sizes take turns."""
    with ExitStack() as stack:
        crowds = {size: stack.enter_context(crowd(size)) for size in CROWD_SIZES}
        for case, (method, share) in CROWDS.items():
            plan.advance(case)
            calls = int(amount.crowd * share)
            rounds = [
                [total_rate(callers, method, calls) for callers in crowds.values()] for _ in range(amount.rounds + 1)
            ]
            for size, values in zip(crowds, zip(*rounds[1:], strict=True), strict=True):
                yield measured(case, "single-threaded", "actorio", list(values), crowd=size)


def measure_payloads(plan: Plan, amount: Amount) -> Iterator[Measurement]:
    """Measures calls with payloads; the sizes take turns."""
    actor = actorio.remote(Payloads).remote()
    for case, seconds in ways(actor).items():
        plan.advance(case)
        rounds = [
            {size: seconds(size, calls_of(size, amount.payload)) for size in all_sizes()}
            for _ in range(amount.rounds + 1)
        ][1:]
        for size in PAYLOAD_SIZES:
            yield _of_payload(case, "time per call", "s", size, [found[size] for found in rounds])
        for threshold in THRESHOLDS:
            steps = [found[threshold + MARGIN] / found[threshold - MARGIN] for found in rounds]
            yield _of_payload(case, "step", "", threshold, steps)
    actorio.kill(actor)


def _of_payload(case: str, metric: str, unit: str, at: int, values: list[float]) -> Measurement:
    return Measurement(
        suite=NAME,
        case=case,
        kind="single-threaded",
        contender="actorio",
        metric=metric,
        unit=unit,
        better="less",
        values=values,
        at=at,
        along=BYTES,
    )


SUITE = Suite(
    name=NAME,
    title="How many calls a second, next to bare sockets and to what else there is?",
    about=(
        "A method that does nothing is called in four patterns: blocking (one call at a time in a thread), batch "
        "(1,000 calls, then all results), await and gather (the same on an event loop), plain and with a deadline. "
        "The floor is bare Python that exchanges pickles over one Unix socket. A call at a time is mostly falling "
        "asleep and waking up, so those are also held against a floor that spins for 60 microseconds before it "
        "sleeps. All take turns in each round. Then n actors call one other actor each, and calls carry bytes: a "
        "step is how many times longer a call takes with 1 KiB more than a size from which values go another way, "
        "than with 1 KiB less."
    ),
    measure=measure,
    rivals=NAMES,
)
