"""The parts of a backlog: groups and methods, each with what runs of it, and lines of calls that wait.

A line is what waits in one group of one method that has a limit or a rate, or of all methods that have none. So
either the first call of a line may start, or none: a method that is at its limit is passed over in one step, however
many of its calls wait. There are as many lines as the class has such methods and groups, not as there are calls.

Pure: no loop, no thread, no clock.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from actorio._worker.rates import Starts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actorio._model.concurrency import MethodRule

C = TypeVar("C")
# Where a call waits: its key, its number, its line. The smallest is first. No two numbers are the same, so lines are
# not compared.
Entry: TypeAlias = "tuple[int, int, Line[C]]"

# So many entries of calls that have left may lie in a heap of few calls.
_SLACK = 16


class Ranking(Generic[C]):
    """Calls in the order of their entries: by a key, those of the same key by their numbers, which are all different.

    Calls that leave from the middle leave their entry behind until it comes up or half of all are such: each call costs
    its share of that once. Nothing of the call itself is in it.
    """

    __slots__ = ("_heap", "calls")

    def __init__(self) -> None:
        self.calls: dict[int, C] = {}
        self._heap: list[Entry[C]] = []

    def add(self, entry: Entry[C], call: C) -> None:
        """Takes a call."""
        self.calls[entry[1]] = call
        heappush(self._heap, entry)

    def begin_with(self, entries: list[Entry[C]], calls: Iterable[C]) -> None:
        """Takes many calls at once, when there are none. Their entries are in order."""
        self.calls.update(zip((number for _, number, _ in entries), calls, strict=True))
        self._heap = entries

    def first(self) -> Entry[C] | None:
        """Returns the entry of the first call, None if there is none."""
        heap, calls = self._heap, self.calls
        if not calls:
            heap.clear()
            return None
        while heap[0][1] not in calls:
            heappop(heap)
        return heap[0]

    def remove(self, number: int) -> C:
        """Takes a call out, wherever it is."""
        call = self.calls.pop(number)
        if len(self._heap) > 2 * len(self.calls) + _SLACK:
            self._heap = [entry for entry in self._heap if entry[1] in self.calls]
            heapify(self._heap)
        return call

    def clear(self) -> None:
        """Forgets all calls."""
        self.calls.clear()
        self._heap.clear()


class Group(Generic[C]):
    """A concurrency group: how many may run, how many run, and the lines that have formed in it."""

    __slots__ = ("limit", "lines", "running")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.running = 0
        self.lines: list[Line[C]] = []


class Method:
    """A method, with what runs of it in all groups. One without limit and rate stands for all such methods."""

    __slots__ = ("limit", "running", "starts")

    def __init__(self, rule: MethodRule | None = None) -> None:
        self.limit = 0 if rule is None else rule.limit
        self.running = 0
        self.starts = None if rule is None or rule.rate is None else Starts(rule.rate)

    def is_at_limit(self) -> bool:
        """Do as many run as may?"""
        return 0 < self.limit <= self.running

    def may_start(self, now: float) -> bool:
        """May another one start, as far as the method is concerned?"""
        return not 0 < self.limit <= self.running and (self.starts is None or self.starts.may_start(now))


class Line(Ranking[C]):
    """The waiting calls of one method (or of all that have no rules) in one group. The keys are negative priorities."""

    __slots__ = ("group", "method")

    def __init__(self, group: Group[C], method: Method) -> None:
        super().__init__()
        self.group = group
        self.method = method
        group.lines.append(self)

    def has_room(self, now: float) -> bool:
        """May its first call start?"""
        return self.group.running < self.group.limit and self.method.may_start(now)

    def is_before(self, priority: int) -> bool:
        """Does a call wait that starts before a new one of some priority?"""
        first = self.first()
        return first is not None and first[0] <= -priority

    def start(self, now: float) -> None:
        """One of its calls starts, whether or not there is room."""
        method = self.method
        self.group.running += 1
        method.running += 1
        if method.starts is not None:
            method.starts.note(now)

    def resume(self) -> None:
        """One of its calls runs again."""
        self.group.running += 1
        self.method.running += 1

    def end(self) -> None:
        """One of its calls runs no more.

        Raises:
            ValueError: None of its method or group runs.
        """
        if self.group.running < 1 or self.method.running < 1:
            raise ValueError("no call is running")
        self.group.running -= 1
        self.method.running -= 1

    def due(self) -> float | None:
        """Returns when its first call may start; None if it waits for something other than the rate."""
        starts, group = self.method.starts, self.group
        if starts is None or not self.calls or group.running >= group.limit or self.method.is_at_limit():
            return None
        return starts.free_at()


def first_of(groups: Iterable[Group[C]], now: float) -> Entry[C] | None:
    """Returns the entry of the first call that may start in some groups; None if none may."""
    best: Entry[C] | None = None
    for group in groups:
        if group.running < group.limit:
            for line in group.lines:
                first = line.first()
                if first is not None and (best is None or first < best) and line.method.may_start(now):
                    best = first
    return best
