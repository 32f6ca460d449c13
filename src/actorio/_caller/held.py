"""Calls that wait for their arguments, and for their turn.

In an ordered queue a call that waits holds back those behind it. A call stays in the queue until it has been sent, so
that whoever makes the next one sees that it must queue up, too.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actorio._caller.pending import PendingResult


class HeldCall:
    """A call that waits for its arguments: sent by ``send`` when ``missing`` is empty."""

    __slots__ = ("missing", "result", "send")

    def __init__(self, result: PendingResult, missing: set[PendingResult], send: Callable[[], None]) -> None:
        self.result = result
        self.missing = missing
        self.send = send


class HeldCalls:
    """The held calls of one lane; arguments arrive in any thread.

    Attributes:
        calls: what is held or being sent, in the order of making. To be looked at only: every call looks whether
            it is empty, which `bool` of this object answers more slowly.
    """

    def __init__(self, *, is_ordered: bool) -> None:
        self._is_ordered = is_ordered
        self.calls: deque[HeldCall] = deque()
        # Held by the one thread that sends.
        self._turn = threading.Lock()

    def __bool__(self) -> bool:
        """Is a call held, or being sent?"""
        return bool(self.calls)

    def missing(self) -> Iterator[PendingResult]:
        """Returns the arguments that are waited for."""
        return (one for call in list(self.calls) for one in list(call.missing))

    def add(self, call: HeldCall) -> None:
        """Keeps a call until its arguments are there, and in its place."""
        self.calls.append(call)
        for dependency in list(call.missing):
            dependency.add_callback(lambda done, call=call: self._arrived(call, done))  # type: ignore[misc]
        self._send_ready()

    def _arrived(self, call: HeldCall, dependency: PendingResult) -> None:
        call.missing.discard(dependency)
        if not call.missing:
            self._send_ready()

    def _send_ready(self) -> None:
        # Whoever holds the turn looks again after giving it back, and so misses nothing that became ready meanwhile.
        while (call := self._next()) is not None and self._turn.acquire(blocking=False):
            try:
                while (call := self._next()) is not None:
                    call.send()
                    with suppress(ValueError):
                        # Gone when sending it found the lane lost, and gave up all that was held.
                        self.calls.remove(call)
            finally:
                self._turn.release()

    def _next(self) -> HeldCall | None:
        calls = list(self.calls)[:1] if self._is_ordered else list(self.calls)
        return next((call for call in calls if not call.missing), None)

    def missing_for(self, result: PendingResult) -> list[PendingResult]:
        """Returns the arguments that the call with this result waits for; none when it is not held."""
        return next((list(call.missing) for call in list(self.calls) if call.result is result), [])

    def withdraw(self, result: PendingResult) -> bool:
        """Forgets the call with this result; returns whether it was held. Those behind it go on."""
        call = next((call for call in list(self.calls) if call.result is result), None)
        if call is None or not call.missing:
            return False
        with suppress(ValueError):
            self.calls.remove(call)
            self._send_ready()
            return True
        return False

    def clear(self) -> list[PendingResult]:
        """Gives up every held call; returns their results."""
        results = [call.result for call in self.calls]
        self.calls.clear()
        return results
