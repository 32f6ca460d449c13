"""The mailbox: calls wait here until the actor's rules allow them to run.

Pure: no loop, no thread, no clock; times are arguments, in seconds of one clock that does not go back. Whoever uses it
from several threads holds a lock around each call.

Promises, held by a test against a model:

- No limit of a group or a method and no rate is exceeded, but by `resume` and `let_in`.
- Calls start by priority, and in the order in which they were offered among equals. Only calls that cannot start are
  passed over: those of a group that is full, or of a method that is at its own limit or rate. So in one group, calls of
  the same method and priority start in the order in which they were offered.
- No call waits that could start, provided `due` is called when `next_due` says so.
- Each call that was offered starts, or is refused, displaced, cancelled or cleared, once.

Most actors have none of these rules but a limit. Their mailbox is a queue (`_is_plain`), until a call that waits has a
priority or is looked for; then it sorts what waits into lines, and is a queue again when nobody waits any more.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from actorio._worker.backlog import Backlog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from actorio._model.concurrency import Rules
    from actorio._worker.lines import Group, Line

C = TypeVar("C")

# What becomes of a call that is offered.
WAITS: Final = 0
STARTS: Final = 1
REFUSED: Final = 2


class Mailbox(Generic[C]):
    """The waiting calls of one actor, and how many run.

    Args:
        rules: what it goes by.

    Attributes:
        running: how many calls run, those that rest not counted.
        limit: how many calls of the default group may run.
        displaced: calls that waited and have gone for others (policy ``drop_oldest``). Whoever offers empties it.

    Calls are told apart by their hash and equality, which should be those of identity.
    """

    __slots__ = ("_backlog", "_is_plain", "_may_be_plain", "_queue", "_rules", "displaced", "limit", "running")

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.limit = rules.limit
        self.running = 0
        self.displaced: list[C] = []
        self._is_plain = self._may_be_plain = not (rules.groups or rules.methods or rules.bound)
        # What waits while it is plain, and while it is not.
        self._queue: deque[C] = deque()
        self._backlog: Backlog[C] = Backlog(rules)

    def __len__(self) -> int:
        """How many calls wait."""
        return len(self._queue) + len(self._backlog.entries)

    def waiting(self) -> Iterator[C]:
        """Iterates over the calls that wait now, in the order in which they start if only room is wanting."""
        return iter(list(self._queue) or self._backlog.waiting())

    def has_simply_room(self) -> bool:
        """Would a call start now, if it has no priority and no group of its own, by no other rule than the limit?"""
        return self._is_plain and self.running < self.limit

    def is_full(self) -> bool:
        """Do as many calls wait as may?"""
        return 0 < self._rules.bound <= len(self)

    def offer(self, call: C, method: str = "", group: str = "", priority: int = 0, now: float = 0.0) -> int:
        """Takes a call.

        Args:
            call: what waits, or starts.
            method: its method.
            group: its concurrency group; ``""`` for that of its method.
            priority: calls of higher priority start first.
            now: the time.

        Returns:
            `STARTS`: it starts now. `WAITS`: it waits, also when too many do and the policy is ``wait``. `REFUSED`: too
            many wait and the policy says that it goes; so it does with ``drop_oldest`` if all of them are of higher
            priority. A call that may start is never refused.

        Raises:
            ValueError: There is no such group.
        """
        if self._is_plain and not (group or priority):
            running = self.running
            if running < self.limit:
                self.running = running + 1
                return STARTS
            self._queue.append(call)
            return WAITS
        line = self._backlog.find_line(method, group)
        if self._is_plain:
            self._sort()
        if line.has_room(now) and not line.is_before(priority):
            line.start(now)
            self.running += 1
            return STARTS
        if self.is_full() and not self._make_room(priority):
            return REFUSED
        self._backlog.add(call, line, priority)
        return WAITS

    def finish(self, method: str = "", group: str = "", now: float = 0.0) -> Sequence[C]:
        """Says that a running call has ended.

        Args:
            method: its method, as it was offered.
            group: its group, as it was offered.
            now: the time.

        Returns:
            The calls that start in consequence; they count as running.

        Raises:
            ValueError: No such call is running, or there is no such group.
        """
        if self._is_plain and not group:
            running = self.running
            if running < 1:
                raise ValueError("no call is running")
            if self._queue and running <= self.limit:
                return (self._queue.popleft(),)
            self.running = running - 1
            return ()
        line = self._backlog.find_line(method, group)
        line.end()
        self.running -= 1
        if not self._backlog.entries:
            self._is_plain = self._may_be_plain
            return ()
        # A method's limit may have held up its calls in other groups.
        return self._fill(self._backlog.groups if line.method.limit else (line.group,), now)

    def rest(self, method: str = "", group: str = "", now: float = 0.0) -> Sequence[C]:
        """Says that a running call waits for others and lends its place, until `resume`. Otherwise like `finish`."""
        return self.finish(method, group, now)

    def resume(self, method: str = "", group: str = "") -> None:
        """A call goes on that has lent its place; while both run, they are one too many.

        Raises:
            ValueError: There is no such group.
        """
        if not self._is_plain:
            self._backlog.find_line(method, group).resume()
        self.running += 1

    def cancel(self, call: C) -> bool:
        """Forgets a call if it waits; returns whether it did."""
        return self._take(call) is not None

    def let_in(self, method: str = "", group: str = "", now: float = 0.0) -> None:
        """Starts a call that has not been offered, whether or not there is room for it.

        It counts for the rate of its method, and holds up later ones. For the arguments see `offer`.

        Raises:
            ValueError: There is no such group.
        """
        if not self._is_plain:
            self._backlog.find_line(method, group).start(now)
        self.running += 1

    def set_limit(self, limit: int, group: str = "", now: float = 0.0) -> Sequence[C]:
        """Changes how many calls of a group may run; returns those that start in consequence.

        Those that run go on, also if they are now too many.

        Raises:
            ValueError: The limit is less than 1, or there is no such group.
        """
        if limit < 1:
            raise ValueError(f"a mailbox lets at least one call run, not {limit}")
        chosen = self._backlog.find_group(group)
        if self._is_plain:
            self._sort()
        chosen.limit = limit
        if not group:
            self.limit = limit
        return self._fill((chosen,), now)

    def due(self, now: float) -> Sequence[C]:
        """Returns the calls that have only waited for their method's rate and start now."""
        return () if self._is_plain else self._fill(self._backlog.groups, now)

    def next_due(self) -> float | None:
        """Returns when `due` is to be called; None when no call waits for a rate alone.

        Any other method that changes something may change this, too.
        """
        return self._backlog.next_due() if self._backlog.entries else None

    def clear(self) -> list[C]:
        """Forgets the calls that wait: none of them will start. Returns them in the order of `waiting`."""
        cleared = list(self.waiting())
        self._queue.clear()
        self._backlog.clear()
        self._is_plain = self._may_be_plain
        return cleared

    def _take(self, call: C) -> Line[C] | None:
        """Takes a call out of its line; returns this, None if it does not wait."""
        if self._queue:
            self._sort()
        return self._backlog.take(call)

    def _make_room(self, priority: int) -> bool:
        """When too many wait: may another one? The one that goes for it is put into `displaced`."""
        if self._rules.policy != "drop_oldest":
            return self._rules.policy == "wait"
        call = self._backlog.displace(priority)
        if call is None:
            return False
        self.displaced.append(call)
        return True

    def _fill(self, groups: Iterable[Group[C]], now: float) -> Sequence[C]:
        started = self._backlog.start(groups, now)
        self.running += len(started)
        return started

    def _sort(self) -> None:
        """Is plain no more, and makes a line of what waits in the queue."""
        self._is_plain = False
        self._backlog.begin_with(self._queue, self.running)
        self._queue.clear()
