"""What the harness and an adapter say to each other: a line of JSON each, over the adapter's stdin and stdout.

The adapter begins with `Ready` or `Failure`. Then each `Ask` is answered with a `Sample` or a `Failure`. It ends when
its stdin does.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from actorio.bench.patterns import Effort, Pattern, Side, sample

if TYPE_CHECKING:
    from collections.abc import Callable


class Job(NamedTuple):
    """Something that an adapter can time.

    Attributes:
        contender: Who does it: an adapter may stand for several.
        case: A pattern of calls.
        kind: The kind of actor, by the name that it has with us.
    """

    contender: str
    case: Pattern
    kind: str


class Ready(msgspec.Struct, tag="ready"):
    """The adapter has begun; these it can do."""

    jobs: list[Job]


class Ask(msgspec.Struct, tag="ask"):
    """One sample is wanted, of about so much."""

    job: Job
    calls: int
    batches: int


class Sample(msgspec.Struct, tag="sample"):
    """Calls per second."""

    value: float


class Failure(msgspec.Struct, tag="failure"):
    """It does not go, and why."""

    reason: str


Line = Ready | Sample | Failure


def serve(open_sides: Callable[[ExitStack], dict[Job, Side]], slowness: int = 1) -> None:
    """The main program of an adapter.

    Args:
        open_sides: Starts the rival, and returns how each job is done; what has to be ended goes into the stack.
        slowness: By how much samples are to be smaller than those of others, so that they take about as long.
    """
    # Whatever prints does not come between the lines.
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    with ExitStack() as stack:
        try:
            sides = open_sides(stack)
        except Exception as error:
            output.write(_line(Failure(f"{type(error).__name__}: {error}")))
            return
        output.write(_line(Ready(list(sides))))
        for line in sys.stdin.buffer:
            output.write(_line(_answer(sides, msgspec.json.decode(line, type=Ask), slowness)))


def _answer(sides: dict[Job, Side], ask: Ask, slowness: int) -> Line:
    effort = Effort(max(1, ask.calls // slowness), max(1, ask.batches // slowness))
    try:
        return Sample(sample(sides[ask.job], ask.job.case, effort))
    except Exception as error:
        return Failure(f"{type(error).__name__}: {error}")


def _line(message: Line) -> bytes:
    return msgspec.json.encode(message) + b"\n"
