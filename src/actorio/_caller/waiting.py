"""Waiting in a thread: for all of some results, for a number of them, with an end."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from actorio._caller.pending import PENDING, VALUE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorio._caller.lane import Lane
    from actorio._caller.pending import PendingResult
    from actorio._caller.pump import Pump


class Waiter:
    """A thread that waits until enough of its results are done.

    Args:
        needed: how many must be done.
        fails_fast: satisfied by the first that ends with an error.
    """

    __slots__ = ("_arrived", "_fails_fast", "_needed", "_nudges", "_pump", "_thread", "is_satisfied", "leads")

    # See `PendingResult`.
    only_wakes = True

    def __init__(self, pump: Pump, needed: int, *, fails_fast: bool) -> None:
        self.leads = False
        self.is_satisfied = False
        self._pump = pump
        self._needed = needed
        self._fails_fast = fails_fast
        self._thread = threading.get_ident()
        # Both are appended to by any thread: appending is atomic, counting would not be.
        self._arrived: list[PendingResult] = []
        self._nudges: queue.SimpleQueue[None] = queue.SimpleQueue()

    def __call__(self, result: PendingResult) -> None:
        """Notes that a result is done; called in the thread that completed it."""
        arrived = self._arrived
        arrived.append(result)
        if len(arrived) >= self._needed or (self._fails_fast and result.state > VALUE):
            self.is_satisfied = True
            if threading.get_ident() != self._thread:
                self.nudge()

    def nudge(self) -> None:
        """Wakes the thread, wherever it sleeps, so that it looks again."""
        self._nudges.put(None)
        if self.leads:
            self._pump.wake()

    def sleep(self, timeout: float | None) -> None:
        """Sleeps until nudged, for at most ``timeout`` seconds."""
        try:
            self._nudges.get(timeout=timeout)
        except queue.Empty:
            return


def wait_until_done(
    pump: Pump, results: Sequence[PendingResult], needed: int, timeout: float | None, *, fails_fast: bool
) -> None:
    """Blocks until ``needed`` of the results are done, one has failed if that is enough, or the time is up."""
    if timeout is None and len(results) == 1 and _is_of_threads(results[0]) and pump.wait_for_one(results[0]):
        return
    undone = [result for result in results if result.state == PENDING]
    needed -= len(results) - len(undone)
    if needed <= 0:
        return
    waiter = Waiter(pump, needed, fails_fast=fails_fast)
    for result in undone:
        result.add_callback(waiter)
    try:
        lanes = _lanes_of_loops(undone)
        if lanes:
            with pump.borrowing(lanes):
                pump.wait(waiter, timeout)
        else:
            pump.wait(waiter, timeout)
    finally:
        for result in undone:
            if result.state == PENDING:
                result.discard_callback(waiter)


def _is_of_threads(result: PendingResult) -> bool:
    lane = result.lane
    return lane is not None and lane.loop is None and not lane.held


def _lanes_of_loops(results: Sequence[PendingResult]) -> set[Lane]:
    """Returns the lanes that belong to event loops, those of arguments that the results wait for among them.

    The pump reads them, too, while this thread blocks: their loop may be this thread's own, may not run at all, or
    may be blocked in another thread.
    """
    lanes = {result.lane for result in results}
    if not any(lane is not None and (lane.loop is not None or lane.held) for lane in lanes):
        # A script has no loop, and this runs for each of its calls.
        return set()
    return _lanes_waited_for(results)


def _lanes_waited_for(results: Sequence[PendingResult]) -> set[Lane]:
    lanes: set[Lane] = set()
    waiting = list(results)
    while waiting:
        lane = waiting.pop().lane
        if lane is not None and lane not in lanes:
            lanes.add(lane)
            waiting.extend(lane.held.missing())
    for lane in lanes:
        if lane.loop is not None and lane.loop.is_closed():
            lane.adopt()
    return {lane for lane in lanes if lane.loop is not None}
