"""Who waits for whom in a session: the answers of its actors put together, and the circles in that.

Pure. A call that runs waits for all the calls that it has asked for; one that waits in a mailbox begins when few enough
of those that run have ended. A call is stuck when it cannot end, or begin, whatever else happens: the others are found
one after the other, beginning with those that nothing known holds up, as topological sorting does. The answers are of
different moments, but a call that is stuck remains so: unless somebody cancels it, what is said to be stuck is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from actorio._model.status import ActorStatus
    from actorio._worker.wait_report import CallReport, Wait, WaitReport

# The process that made a call, and its number there.
Key = tuple[int, int]


@dataclass(frozen=True)
class Call:
    """A call that an actor has got.

    Attributes:
        key: what it is known by.
        actor: whose call it is.
        told: what that says of it.
        is_running: it does not wait in the mailbox.
    """

    key: Key
    actor: ActorStatus
    told: CallReport
    is_running: bool


@dataclass(frozen=True)
class Part:
    """The calls of one actor."""

    actor: ActorStatus
    told: WaitReport
    running: list[Call]
    queued: list[Call]

    @property
    def queued_count(self) -> int:
        """How many calls wait in the mailbox."""
        return len(self.queued) + self.told.more_queued


class WaitGraph:
    """The calls of a session.

    Args:
        actors: all actors of the session.
        told: what they have answered, by their ids; those that are missing have not.

    Attributes:
        parts: the actors that have answered, with their calls.
        calls: all calls that are known.
        stuck: those that cannot go on.
    """

    def __init__(self, actors: Sequence[ActorStatus], told: Mapping[str, WaitReport]) -> None:
        self._at = {actor.address: actor for actor in actors}
        self.calls: dict[Key, Call] = {}
        self.parts = [self._part(actor, told[actor.actor_id]) for actor in actors if actor.actor_id in told]
        self._running = {part.actor.actor_id: part.running for part in self.parts}
        self.stuck = frozenset(self.calls) - self._find_free()

    def _part(self, actor: ActorStatus, told: WaitReport) -> Part:
        running = [self._add(actor, call, is_running=True) for call in told.running]
        return Part(actor, told, running, [self._add(actor, call, is_running=False) for call in told.queued])

    def _add(self, actor: ActorStatus, told: CallReport, *, is_running: bool) -> Call:
        # Numbers on the wire are not negative: nothing refers to a call whose maker is not known.
        key = (told.maker, told.number) if told.maker else (0, -1 - len(self.calls))
        self.calls[key] = call = Call(key, actor, told, is_running)
        return call

    def target(self, wait: Wait) -> Call | None:
        """Returns the call that is waited for, None when no actor has told of it."""
        return self.calls.get((wait.maker, wait.number))

    def actor_of(self, wait: Wait) -> ActorStatus | None:
        """Returns the actor that has the call that is waited for, or is to get it; None when that is not known."""
        call = self.target(wait)
        return self._at.get(wait.address) if call is None else call.actor

    # --- what is stuck ------------------------------------------------------------------------------------------

    def _find_free(self) -> set[Key]:
        """Returns the calls that may end, or begin, by themselves or after others that may."""
        wanted = {call.key: self._wants(call, part.told.limit) for part in self.parts for call in _calls(part)}
        followers: dict[Key, list[Key]] = defaultdict(list)
        for call in self.calls.values():
            for before in self.befores(call):
                followers[before.key].append(call.key)
        left = [key for key, count in wanted.items() if count <= 0]
        free = set(left)
        while left:
            for key in followers[left.pop()]:
                wanted[key] -= 1
                if wanted[key] <= 0 and key not in free:
                    free.add(key)
                    left.append(key)
        return free

    def _wants(self, call: Call, limit: int) -> int:
        """Returns how many of the calls before it must end before a call may end, or begin."""
        count = len(self.befores(call))
        if call.is_running:
            return count
        # What holds a call of a worker is not known: calls that wait for others lend their places there.
        return 0 if not limit or call.actor.is_worker else count - limit + 1

    def befores(self, call: Call) -> list[Call]:
        """Returns the calls that are known to have to end before this one does, or begins: all of them, or some."""
        if not call.is_running:
            return self._running[call.actor.actor_id]
        found = {target.key: target for wait in call.told.waits if (target := self.target(wait)) is not None}
        return list(found.values())

    # --- circles ------------------------------------------------------------------------------------------------

    def circles(self) -> list[list[Call]]:
        """Returns circles of calls each of which waits for the next one, and the last for the first.

        No call is in two of them, and every call that is stuck waits for one, directly or not.
        """
        found: list[list[Call]] = []
        seen: set[Key] = set()
        for key in [key for key in self.calls if key in self.stuck]:
            path: dict[Key, Call] = {}
            call = self.calls[key]
            while call.key not in seen:
                seen.add(call.key)
                path[call.key] = call
                call = next(before for before in self.befores(call) if before.key in self.stuck)
            if call.key in path:
                found.append(_from_running(list(path.values())[list(path).index(call.key) :]))
        return found

    # --- what is the same of many -------------------------------------------------------------------------------

    def waits_of(self, part: Part) -> list[tuple[str, list[Wait], int, int]]:
        """Returns what the running calls of an actor wait for: name, waits, how many more waits, of how many calls.

        Calls of the same name that wait for calls of the same names, at the same actors, are counted as one.
        """
        counts: Counter[tuple[object, ...]] = Counter()
        examples: dict[tuple[object, ...], CallReport] = {}
        for call in part.running:
            if call.told.waits:
                actors = (self.actor_of(wait) for wait in call.told.waits)
                names = (wait.name for wait in call.told.waits)
                ids = (None if actor is None else actor.actor_id for actor in actors)
                key = (call.told.name, call.told.more, *zip(names, ids, strict=True))
                counts[key] += 1
                examples.setdefault(key, call.told)
        return [(told.name, list(told.waits), told.more, counts[key]) for key, told in examples.items()]


def _calls(part: Part) -> Iterator[Call]:
    yield from part.running
    yield from part.queued


def _from_running(circle: list[Call]) -> list[Call]:
    """Returns the circle from its first running call on: there is one, since others wait for running ones only."""
    first = next(index for index, call in enumerate(circle) if call.is_running)
    return circle[first:] + circle[:first]
