"""What waits at an actor that has rules: which call is next, which goes for another, which is found and taken out.

Pure: no loop, no thread, no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from actorio._worker.lines import Group, Line, Method, Ranking, first_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from actorio._model.concurrency import Rules
    from actorio._worker.lines import Entry

C = TypeVar("C")


class Backlog(Generic[C]):
    """The lines of all groups of an actor, and what waits in them.

    Args:
        rules: what the mailbox goes by.

    Attributes:
        groups: all groups.
        entries: where each call waits.
    """

    __slots__ = ("_groups", "_homes", "_lines", "_lowest", "_methods", "_number", "_rules", "entries", "groups")

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._groups: dict[str, Group[C]] = {name: Group(limit) for name, limit in rules.groups.items()}
        self._groups[""] = Group(rules.limit)
        self.groups = tuple(self._groups.values())
        # Those without limit and rate stand together under "".
        limited = {name: Method(rule) for name, rule in rules.methods.items() if rule.limit or rule.rate}
        self._methods = {"": Method()} | limited
        self._lines: dict[tuple[str, str], Line[C]] = {}
        self.entries: dict[C, Entry[C]] = {}
        self._number = 0
        # Those of lowest priority first, if they may be displaced.
        self._lowest: Ranking[C] | None = Ranking() if rules.bound and rules.policy == "drop_oldest" else None
        # The lines of calls whose group is that of their method.
        self._homes = {"": self._line("", "")}
        self._homes |= {name: self._line(name, rule.group) for name, rule in rules.methods.items()}

    def find_group(self, name: str) -> Group[C]:
        """Returns a group.

        Raises:
            ValueError: It is not there.
        """
        self._rules.check_group(name)
        return self._groups[name]

    def find_line(self, method: str, group: str) -> Line[C]:
        """Returns the line in which a call waits if it has to; ``""`` stands for the method's own group.

        Raises:
            ValueError: There is no such group.
        """
        if group:
            return self._line(method, group)
        homes = self._homes
        return homes[method] if method in homes else homes[""]

    def _line(self, method: str, group: str) -> Line[C]:
        key = (method if method in self._methods else "", group)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line(self.find_group(group), self._methods[key[0]])
        return line

    def waiting(self) -> list[C]:
        """Returns the calls that wait, in order."""
        return sorted(self.entries, key=self.entries.__getitem__)

    def add(self, call: C, line: Line[C], priority: int) -> None:
        """Takes a call into a line."""
        self._number = number = self._number + 1
        self.entries[call] = entry = (-priority, number, line)
        line.add(entry, call)
        if self._lowest is not None:
            self._lowest.add((priority, number, line), call)

    def begin_with(self, calls: Collection[C], running: int) -> None:
        """Takes many calls into the line of those that have no rules, when no call waits in any and no other runs."""
        line = self._homes[""]
        line.group.running = line.method.running = running
        first = self._number + 1
        self._number += len(calls)
        entries = [(0, number, line) for number in range(first, first + len(calls))]
        self.entries.update(zip(calls, entries, strict=True))
        line.begin_with(entries, calls)

    def take(self, call: C) -> Line[C] | None:
        """Takes a call out of its line; returns this, None if it does not wait."""
        entry = self.entries.pop(call, None)
        if entry is None:
            return None
        _, number, line = entry
        line.remove(number)
        if self._lowest is not None:
            self._lowest.remove(number)
        return line

    def start(self, groups: Iterable[Group[C]], now: float) -> list[C]:
        """Starts all calls that may start in some groups, and returns them."""
        started: list[C] = []
        while (first := first_of(groups, now)) is not None:
            _, number, line = first
            call = line.calls[number]
            self.take(call)
            line.start(now)
            started.append(call)
        return started

    def displace(self, priority: int) -> C | None:
        """Takes out the oldest call of lowest priority, and returns it; None if all are of a higher one than is given.

        Only for rules that say so.
        """
        first = None if self._lowest is None else self._lowest.first()
        if self._lowest is None or first is None or first[0] > priority:
            return None
        call = self._lowest.calls[first[1]]
        self.take(call)
        return call

    def next_due(self) -> float | None:
        """Returns when the first call may start that waits for a rate alone; None if none does."""
        times = [line.due() for line in self._lines.values() if line.method.starts is not None]
        return min((time for time in times if time is not None), default=None)

    def clear(self) -> None:
        """Forgets all calls that wait."""
        self.entries.clear()
        for line in self._lines.values():
            line.clear()
        if self._lowest is not None:
            self._lowest.clear()
