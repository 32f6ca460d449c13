"""Tasks that wait for their turn, and the leases that their process has: which runs where, and when. Pure.

Tasks that need the same stand in one line. A lease lets one of them run at a time, in one worker; where they need
nothing, many. Methods return what is to be done (`Todo`); whoever has said that something is done calls again.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from actorio._model.resources import GPU

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorio._model.handle import ActorIdentity
    from actorio._model.resources import Needs

# How many tasks that need nothing run in one worker at once.
_MANY = 1000
# How many leases a line has at most.
_MOST_LEASES = 4096


class Lease:
    """The right to run tasks of one line in one worker.

    Attributes:
        worker: None as long as the lease has not been granted, or its worker is still to be made.
        is_granted: the node has given it.
        is_wanted: others wait for it: it is given back after the task that runs.
        running: how many tasks run on it.
        begun: how many have begun.
        idle_since: when the last one ended, in seconds of a monotonic clock.
    """

    __slots__ = ("begun", "idle_since", "is_granted", "is_wanted", "line", "number", "running", "worker")

    def __init__(self, number: int, line: Line) -> None:
        self.number = number
        self.line = line
        self.worker: ActorIdentity | None = None
        self.is_granted = self.is_wanted = False
        self.running = self.begun = 0
        self.idle_since = 0.0

    def has_room(self) -> bool:
        """May another task begin on it now?"""
        line = self.line
        may_begin = not line.max_calls or self.begun < line.max_calls
        return self.worker is not None and may_begin and not self.is_wanted and self.running < line.capacity


@dataclass(slots=True)
class Todo:
    """What follows: tasks to run, leases to ask for, to make a worker for, and to give back."""

    run: list[tuple[Lease, Any]] = field(default_factory=list)
    ask: list[Lease] = field(default_factory=list)
    make: list[Lease] = field(default_factory=list)
    release: list[Lease] = field(default_factory=list)


class Line:
    """The tasks of one kind that this process wants to be run, in order.

    Args:
        needs: what each of them needs.
        label: the name of the first one's function.
        numbers: of leases and lines.
        most: how many leases are worth to be asked for at once.
    """

    def __init__(self, needs: Needs, label: str, numbers: Iterator[int], most: int) -> None:
        self.amounts = dict(needs.amounts)
        self.max_calls = needs.max_calls
        self.label = label
        self.capacity = 1 if self.amounts else _MANY
        self.waiting: deque[Any] = deque()
        self.leases: dict[int, Lease] = {}
        self.number = next(numbers)
        self._numbers = numbers
        self._most = most

    @property
    def is_private(self) -> bool:
        """Is a worker for this line alone, and ends with its lease?"""
        return bool(self.max_calls or self.amounts.get(GPU))

    # --- tasks --------------------------------------------------------------------------------------------------

    def add(self, task: Any, *, is_first: bool = False) -> Todo:
        """A task is to run; ``is_first``: it has stood in the line before."""
        (self.waiting.appendleft if is_first else self.waiting.append)(task)
        return self._go_on(Todo())

    def ended(self, lease: Lease, now: float, *, is_dead: bool) -> Todo:
        """A task has ended, perhaps with its worker."""
        lease.running -= 1
        lease.idle_since = now
        if is_dead:
            lease.is_wanted = True
        return self._go_on(self._give_back(lease, Todo()))

    def withdraw(self, task: Any) -> None:
        """A task is not to run, if it waits still."""
        with suppress(ValueError):
            self.waiting.remove(task)

    def drop(self) -> list[Any]:
        """Nobody runs any more tasks; returns those that have not begun."""
        tasks = list(self.waiting)
        self.waiting.clear()
        return tasks

    # --- leases -------------------------------------------------------------------------------------------------

    def granted(self, lease: Lease, worker: ActorIdentity | None, now: float, *, is_wanted: bool) -> Todo:
        """The node has given a lease; without a worker, one is to be made, if anybody needs it still."""
        lease.is_granted, lease.worker, lease.idle_since = True, worker, now
        todo = Todo()
        if worker is None and self.waiting:
            todo.make.append(lease)
        elif not self.waiting:
            lease.is_wanted = lease.is_wanted or is_wanted or worker is None
            self._give_back(lease, todo)
        self._go_on(todo)
        # After the first task, that is.
        lease.is_wanted = lease.is_wanted or is_wanted
        return todo

    def made(self, lease: Lease, worker: ActorIdentity | None, now: float) -> Todo:
        """The worker of a lease has been made; None: it could not be."""
        lease.worker, lease.idle_since = worker, now
        is_wanted, lease.is_wanted = lease.is_wanted, worker is None
        todo = self._go_on(self._give_back(lease, Todo()))
        lease.is_wanted = is_wanted or worker is None
        return todo

    def wanted(self, lease: Lease) -> Todo:
        """Others wait for what a lease has."""
        lease.is_wanted = True
        return self._go_on(self._give_back(lease, Todo()))

    def tidy(self, before: float) -> Todo:
        """Gives back what has been idle since before a time."""
        todo = Todo()
        for lease in list(self.leases.values()):
            if lease.worker is not None and not lease.running and lease.idle_since <= before:
                lease.is_wanted = True
                self._give_back(lease, todo)
        return todo

    def _give_back(self, lease: Lease, todo: Todo) -> Todo:
        """Gives a lease back that serves nobody any more."""
        is_spent = lease.is_wanted or (self.max_calls and lease.begun >= self.max_calls)
        is_being_made = lease.worker is None and lease in todo.make
        is_free = lease.is_granted and not lease.running and lease.number in self.leases
        if is_spent and is_free and not is_being_made:
            del self.leases[lease.number]
            todo.release.append(lease)
        return todo

    def _go_on(self, todo: Todo) -> Todo:
        """Begins what can begin, and asks for what is missing."""
        while self.waiting and (lease := self._choose()) is not None:
            lease.running += 1
            lease.begun += 1
            todo.run.append((lease, self.waiting.popleft()))
        coming = sum(lease.worker is None for lease in self.leases.values())
        # Beyond these, leases would only come to be because tasks wait that were begun on others.
        most = _MOST_LEASES if self.amounts else self._most
        while coming < min(len(self.waiting), self._most) and len(self.leases) < most:
            lease = Lease(next(self._numbers), self)
            self.leases[lease.number] = lease
            todo.ask.append(lease)
            coming += 1
        return todo

    def _choose(self) -> Lease | None:
        """Returns the lease with the fewest tasks, None when another one is to be had soon."""
        free = [lease for lease in self.leases.values() if lease.has_room()]
        chosen = min(free, key=lambda lease: lease.running, default=None)
        if chosen is None or not chosen.running or len(self.leases) >= self._most:
            return chosen
        return None
