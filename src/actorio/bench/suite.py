"""What a suite is, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actorio.bench.results import Measurement, Skipped

# "smoke" shows that everything runs, in seconds; "quick" is for a look; "full" for a claim.
Effort = Literal["smoke", "quick", "full"]


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes:
        effort: How much.
        against: The names of the rivals that were asked for.
        advance: Called with a few words each time something begins to be measured.
        skip: Called with what is not measured.
        calls: How many calls the suite "soak" makes; None leaves it to the effort.
    """

    effort: Effort
    against: tuple[str, ...] = ()
    advance: Callable[[str], None] = field(default=lambda _: None)
    skip: Callable[[Skipped], None] = field(default=lambda _: None)
    calls: int | None = None


@dataclass(frozen=True)
class Suite:
    """One question, and how to answer it.

    Attributes:
        name: As on the command line.
        title: The question in a line.
        about: A paragraph on what is done and how to read it, for the report.
        measure: Measures, and yields what it has found as soon as it knows. It begins and ends its own session; it
            runs in the main thread of a process in which no loop runs.
        rivals: Those that it knows.
    """

    name: str
    title: str
    about: str
    measure: Callable[[Plan], Iterator[Measurement]]
    rivals: tuple[str, ...] = ()
