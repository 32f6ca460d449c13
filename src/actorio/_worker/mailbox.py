"""The mailbox: calls wait here until the actor's concurrency allows them to run.

Pure: no loop, no thread, no clock. Whoever uses it from several threads holds a lock around each call.

Promises, held by a test against a model: at most ``limit`` calls run, but for those that have resumed; calls start in
the order in which they were offered; every call that was offered starts once, provided each start is followed by one
`finish`.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

C = TypeVar("C")


class Mailbox(Generic[C]):
    """The waiting calls of one actor, and how many run.

    Args:
        limit: how many calls may run at once, at least 1.
    """

    __slots__ = ("_limit", "_waiting", "running")

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a mailbox lets at least one call run, not {limit}")
        self._limit = limit
        self._waiting: deque[C] = deque()
        self.running = 0

    def __len__(self) -> int:
        """How many calls wait."""
        return len(self._waiting)

    def offer(self, call: C) -> bool:
        """Takes a call; returns True when it starts now, False when it waits."""
        if self.running < self._limit:
            self.running += 1
            return True
        self._waiting.append(call)
        return False

    def clear(self) -> None:
        """Forgets the calls that wait: none of them will start."""
        self._waiting.clear()

    def finish(self) -> C | None:
        """Says that a running call has ended; returns the one that starts in its place, if any waits."""
        if self.running < 1:
            raise ValueError("no call is running")
        if self._waiting and self.running <= self._limit:
            return self._waiting.popleft()
        self.running -= 1
        return None

    def resume(self) -> None:
        """A call goes on that has given its place to another by `finish`; while both run, they are one too many."""
        self.running += 1
