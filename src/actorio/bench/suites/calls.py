"""How many calls a second, next to bare sockets, and next to what a person would use instead?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import actorio
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
from actorio.bench.results import Measurement, Skipped
from actorio.bench.rivals import NAMES
from actorio.bench.rivals.exchange import Job
from actorio.bench.rivals.process import Rival, RivalError, running
from actorio.bench.suite import Plan, Suite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
    """How much is measured: how often, and how much at once."""

    rounds: int
    effort: Effort


AMOUNTS = {
    "smoke": Amount(1, SMOKE_EFFORT),
    "quick": Amount(5, QUICK_EFFORT),
    "full": Amount(41, USUAL_EFFORT),
}


def new_actor(kind: str) -> Any:
    """Creates an actor of one kind, and waits until it answers."""
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
    """Measures all of it."""
    amount = AMOUNTS[plan.effort]
    with running(plan, NAME) as rivals, actorio.init(address="local"):
        for kind in KINDS:
            actor = new_actor(kind)
            ours = {"": side_of(actor), WITH_DEADLINE: side_with_deadline(actor)}
            for pattern in PATTERNS:
                plan.advance(f"{pattern}, {kind}")
                yield from measure_cell(plan, amount, pattern, kind, ours, rivals)
            actorio.kill(actor)


def measure_cell(
    plan: Plan, amount: Amount, pattern: Pattern, kind: str, ours: dict[str, Side], rivals: Sequence[Rival]
) -> Iterator[Measurement]:
    """Measures one pattern on one kind of actor, plain and with deadlines, in turns with all rivals that know it."""
    turns: dict[tuple[str, str], Callable[[Effort], float]] = {
        ("actorio", variant): partial(sample, side, pattern) for variant, side in ours.items()
    }
    for rival in rivals:
        for job in sorted(job for job in rival.jobs if job.case == pattern and job.kind == kind):
            turns[job.contender, ""] = partial(rival.sample, job)
    for (contender, variant), values in _take_turns(plan, turns, amount).items():
        # What rivals do has no deadlines; ours with deadlines is held against the same numbers.
        for each in [variant] if contender == "actorio" else ours:
            yield Measurement(
                suite=NAME,
                case=f"{pattern}{each}",
                kind=kind,
                contender=contender,
                metric="calls",
                unit="1/s",
                better="more",
                values=values,
            )


def _take_turns(
    plan: Plan, turns: dict[tuple[str, str], Callable[[Effort], float]], amount: Amount
) -> dict[tuple[str, str], list[float]]:
    """Lets all have their turn in each round; a rival that fails is out of it."""
    found: dict[tuple[str, str], list[float]] = {who: [] for who in turns}
    for number in range(-1, amount.rounds):
        for who, turn in list(turns.items()):
            try:
                rate = turn(amount.effort if number >= 0 else amount.effort.warm_up)
            except RivalError as error:
                plan.skip(Skipped(NAME, who[0], str(error)))
                del turns[who], found[who]
                continue
            if number >= 0:
                found[who].append(rate)
    return found


SUITE = Suite(
    NAME,
    "How many calls a second?",
    "",
    measure,
    NAMES,
)
