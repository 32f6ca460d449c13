"""n callers, each an actor itself, and n actors, each called by one of them: what is the total?"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import actorio
from actorio.bench.patterns import BATCH_CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = (1, 2, 4, 8)


class Called:
    """Is called."""

    def nothing(self, _value: int) -> None:
        """Answers a call and does no more."""


class Caller:
    """Calls."""

    def __init__(self, called: Any) -> None:
        self.called = called

    def one_at_a_time(self, calls: int) -> None:
        """Makes calls and waits for each."""
        for _ in range(calls):
            actorio.get(self.called.nothing.remote(1))

    def in_batches(self, calls: int) -> None:
        """Makes calls a thousand at a time, or as many as there are to be, and waits for all of them."""
        for start in range(0, calls, BATCH_CALLS):
            actorio.get([self.called.nothing.remote(1) for _ in range(min(BATCH_CALLS, calls - start))])


@contextmanager
def crowd(size: int) -> Iterator[list[Any]]:
    """Has so many callers, each with an actor of its own, for the length of a ``with`` block."""
    called = [actorio.remote(Called).remote() for _ in range(size)]
    callers = [actorio.remote(Caller).remote(each) for each in called]
    try:
        actorio.get([caller.one_at_a_time.remote(1) for caller in callers])
        yield callers
    finally:
        for actor in callers + called:
            actorio.kill(actor)


def total_rate(callers: list[Any], method: str, calls: int) -> float:
    """Has all callers call at once; returns the calls a second of all of them together.

    Args:
        callers: Of one crowd.
        method: How they call.
        calls: How many calls all of them make together.
    """
    each = calls // len(callers)
    begun = time.perf_counter()
    actorio.get([getattr(caller, method).remote(each) for caller in callers])
    return each * len(callers) / (time.perf_counter() - begun)
