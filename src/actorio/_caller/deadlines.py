"""The caller's watch over deadlines: the actor ends calls whose time is up, unless it cannot, or has not got them."""

from __future__ import annotations

import logging
import threading
import weakref
from time import monotonic
from typing import TYPE_CHECKING

from actorio._caller.pending import HERE, PENDING
from actorio._model.errors import GetTimeoutError
from actorio._transport.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actorio._caller.pending import PendingResult

_logger = logging.getLogger("actorio")
_NEVER = float("inf")
# How long after the deadline the actor's own word may come, in seconds: it knows which call it was.
_SLACK = 0.25
# How often it is looked for calls whose time is up, at most, in seconds.
_PAUSE = 0.05


class Deadlines:
    """The calls of this process that have a deadline. A thread of its own looks at the clock, while there are any.

    Args:
        open_calls: returns the results of all calls that have been made and not been answered.
    """

    def __init__(self, open_calls: Callable[[], Iterable[PendingResult]]) -> None:
        self._open_calls = open_calls
        # Those that are nowhere yet: tasks may wait for their arguments, or for their turn.
        self._tasks: weakref.WeakSet[PendingResult] = weakref.WeakSet()
        # When it has to be looked next.
        self._next = _NEVER
        # How many calls were watched over, and how many of them when it was looked last.
        self._count = self._counted = 0
        self._changed = threading.Condition()
        self._is_running = self._is_closed = False

    def watch(self, result: PendingResult, *, is_task: bool) -> None:
        """Ends a call when its time is up, should nobody else have done so. Costs next to nothing."""
        if is_task:
            with self._changed:
                self._tasks.add(result)
        self._count += 1
        if result.way is not None and result.way.deadline < self._next:
            self._wake_at(result.way.deadline)

    def _wake_at(self, time: float) -> None:
        with self._changed:
            self._next = min(self._next, time)
            begins = not self._is_running and not self._is_closed
            self._is_running = self._is_running or begins
            self._changed.notify()
        if begins and start_thread(self._run, "actorio-deadlines") is None:
            self._is_running = False

    def _run(self) -> None:
        while self._wait():
            now = monotonic()
            following = [self._safely_see_to(result, now) for result in self._with_deadlines()]
            if self._count != self._counted:
                # One of the new ones may not have been on its way yet.
                self._counted = self._count
                following.append(now + _SLACK)
            with self._changed:
                self._next = min([self._next, *(max(time, now + _PAUSE) for time in following)])

    def _wait(self) -> bool:
        """Waits until it has to be looked; returns False when there is nothing to wait for."""
        with self._changed:
            while not self._is_closed and self._next < _NEVER:
                left = self._next - monotonic()
                if left <= 0:
                    self._next = _NEVER
                    return True
                self._changed.wait(left)
            self._is_running = False
            return False

    def _with_deadlines(self) -> list[PendingResult]:
        with self._changed:
            tasks = list(self._tasks)
        results = {id(result): result for result in (*self._open_calls(), *tasks)}
        return [
            result
            for result in results.values()
            if result.state == PENDING and result.way is not None and result.way.deadline
        ]

    def _safely_see_to(self, result: PendingResult, now: float) -> float:
        try:
            return self._see_to(result, now)
        except Exception:
            # The others have their deadlines, too.
            _logger.exception("ending %s(), whose time is up, failed", result.call)
            return _NEVER

    def _see_to(self, result: PendingResult, now: float) -> float:
        """Ends a call whose time is up; returns when to look at it again."""
        way, lane = result.way, result.lane
        deadline = _NEVER if way is None else way.deadline
        is_sent = lane is not None and lane.is_sent(result)
        patience = _SLACK + lane.grace_of(result) if lane is not None and is_sent else 0.0
        if now < deadline + patience:
            return deadline if now < deadline else deadline + patience
        fate = "it has not run"
        if is_sent:
            fate = "its actor has not answered (is it starting, held up, stopped?); it was cancelled, and may have run"
        text = f"the deadline of {result.call}() passed: {fate}"
        HERE.cancel(result, make_error=lambda: GetTimeoutError(text))
        return _NEVER

    def close(self) -> None:
        """Watches no more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
