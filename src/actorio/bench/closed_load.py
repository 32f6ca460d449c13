"""A closed load: always the same number of calls in flight, the next one made when one is answered.

It is what callers make who each wait for their answer. With as many in flight as an actor runs at a time, no call
waits in the mailbox, so a latency is the method's own time, the way there and back, and what the calls that run
beside it cost this one.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@dataclass
class Sample:
    """What a load has met with.

    Attributes:
        seconds: Between the answer that filled the line and the last that counts.
        latencies: Of the calls that were answered in this time, in seconds, in the order of their answers.
        calls: All that were made, those before and after this time, too.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    calls: int = 0

    @property
    def throughput(self) -> float:
        """Calls a second."""
        return len(self.latencies) / self.seconds


class ClosedLoad:
    """Keeps calls in flight.

    The first answers, one for each place, do not count: their calls met with an empty actor. The places stay filled
    until the last that counts has been answered; what is then under way is waited for and does not count either.

    Args:
        call: Makes one call.
        in_flight: How many there are at any time.
        counted: How many count.
        at_the_end: Called when the last that counts has been answered, while the others are under way.
    """

    def __init__(
        self,
        call: Callable[[], Awaitable[object]],
        in_flight: int,
        counted: int,
        at_the_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._call = call
        self._in_flight = in_flight
        self._last = in_flight + counted
        self._at_the_end = at_the_end
        self._answered = 0
        self._began = 0.0
        self._sample = Sample()

    async def run(self) -> Sample:
        """Makes the calls. Once, on any event loop of asyncio. When it is cancelled, so are its calls.

        Raises:
            ExceptionGroup: calls have failed; no more were made then.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(self._in_flight):
                group.create_task(self._keep_calling())
        return self._sample

    async def _keep_calling(self) -> None:
        while self._answered < self._last:
            began = time.perf_counter()
            self._sample.calls += 1
            await self._call()
            self._note(began, time.perf_counter())

    def _note(self, began: float, now: float) -> None:
        self._answered += 1
        if self._answered == self._in_flight:
            self._began = now
        elif self._in_flight < self._answered <= self._last:
            self._sample.latencies.append(now - began)
            if self._answered == self._last:
                self._sample.seconds = now - self._began
                self._at_the_end()
