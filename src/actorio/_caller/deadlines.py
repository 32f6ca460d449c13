"""The caller's watch over deadlines: the actor ends calls whose time is up, unless it cannot, or has not got them."""

from __future__ import annotations

import heapq
import itertools
import threading
import weakref
from time import monotonic
from typing import TYPE_CHECKING

from actorio._caller.pending import HERE, PENDING
from actorio._model.errors import GetTimeoutError
from actorio._transport.threads import start_thread

if TYPE_CHECKING:
    from actorio._caller.pending import PendingResult

# How long after the deadline the actor's own word may come, in seconds: it knows which call it was.
_SLACK = 0.25
# How many entries are kept at least before those of ended calls are looked for.
_FEW = 1024


class Deadlines:
    """The calls of this process that have a deadline. A thread of its own looks at the clock, while there are any."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, weakref.ref[PendingResult]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._is_running = self._is_closed = False
        self._many = _FEW

    def watch(self, result: PendingResult) -> None:
        """Ends a call when its time is up, should nobody else have done so."""
        if result.way is not None:
            self._add(result.way.deadline, result)

    def _add(self, time: float, result: PendingResult) -> None:
        entry = (time, next(self._numbers), weakref.ref(result))
        with self._changed:
            heapq.heappush(self._entries, entry)
            if len(self._entries) > self._many:
                self._sweep()
            begins = not self._is_running and not self._is_closed
            self._is_running = self._is_running or begins
            if self._entries[0] is entry:
                self._changed.notify()
        if begins and start_thread(self._run, "actorio-deadlines") is None:
            self._is_running = False

    def _sweep(self) -> None:
        self._entries = [entry for entry in self._entries if _is_pending(entry[2]())]
        heapq.heapify(self._entries)
        self._many = max(_FEW, 2 * len(self._entries))

    def _run(self) -> None:
        while True:
            with self._changed:
                due = self._wait()
                if due is None:
                    self._is_running = False
                    return
            for result in due:
                self._expire(result)

    def _wait(self) -> list[PendingResult] | None:
        """Waits for the first that is due; returns None when there is nothing to wait for."""
        while self._entries and not self._is_closed:
            left = self._entries[0][0] - monotonic()
            if left <= 0:
                result = heapq.heappop(self._entries)[2]()
                return [result] if result is not None and result.state == PENDING else []
            self._changed.wait(left)
        return None

    def _expire(self, result: PendingResult) -> None:
        way, lane = result.way, result.lane
        late = 0.0 if way is None else monotonic() - way.deadline
        if late < _SLACK and lane is not None and lane.is_sent(result):
            self._add(monotonic() + _SLACK, result)
            return
        was_sent = lane is not None and lane.is_sent(result)
        fate = "it was cancelled, and may have run" if was_sent else "it has not run"
        text = f"the deadline of {result.call}() passed without an answer; {fate}"
        HERE.cancel(result, lambda: GetTimeoutError(text))

    def close(self) -> None:
        """Watches no more."""
        with self._changed:
            self._is_closed = True
            self._entries.clear()
            self._changed.notify()


def _is_pending(result: PendingResult | None) -> bool:
    return result is not None and result.state == PENDING
