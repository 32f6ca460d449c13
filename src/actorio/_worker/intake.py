"""The way of a call into the mailbox and out of it: what the rules of the actor say of it, and of its deadline.

Whoever uses it from several threads holds a lock around each call, but for what the loop calls by itself.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from actorio._wire.messages import Cancel, Probe
from actorio._worker.deadlocks import DeadlockWatch
from actorio._worker.mailbox import STARTS, Mailbox

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Sequence

    from actorio._model.concurrency import Rules
    from actorio._transport.serving import Connection
    from actorio._wire.messages import Note
    from actorio._worker.delivered import Delivered
    from actorio._worker.early import EarlyEnds
    from actorio._worker.executor import Executor


class Intake:
    """The mailbox of one actor, with what stands around it.

    Args:
        rules: what may run at once.
        executor: knows the methods.
        early: ends calls whose time is up, and those that must not wait.
        loop: the mailbox's.
        start_all: starts calls, in the loop's thread.
    """

    def __init__(
        self,
        rules: Rules,
        executor: Executor,
        early: EarlyEnds,
        loop: asyncio.AbstractEventLoop,
        start_all: Callable[[Iterable[Delivered]], None],
    ) -> None:
        self.mailbox: Mailbox[Delivered] = Mailbox(rules)
        self._early = early
        self._loop = loop
        self._start_all = start_all
        self._is_rated = any(rule.rate for rule in rules.methods.values())
        # Of an actor that runs one call at a time: those that run, more than one when some rest or were let in.
        self._is_single = rules.limit == 1 and not rules.groups
        self._heads: list[Delivered] = []
        self._executor = executor
        self._watch = DeadlockWatch(
            executor.actor_id, loop, self._running_heads, self._waits_for_heads, executor.name_of, self._refuse
        )

    def offer(self, call: Delivered) -> bool:
        """Takes a call; returns True when it starts now. In the loop's thread."""
        request = call.request
        call.connection.peer.owed[request.id] = call
        way = request.way
        if way is None:
            outcome = self.mailbox.offer(call, request.method, now=self._now())
        else:
            if way.deadline:
                self._early.expect(call)
            outcome = self.mailbox.offer(call, request.method, way.group, way.priority, self._now())
        if self._is_single:
            return self._offer_single(call, is_started=outcome == STARTS)
        return outcome == STARTS

    def _offer_single(self, call: Delivered, *, is_started: bool) -> bool:
        """Looks after a call to an actor that runs one at a time; returns whether it starts now."""
        way = call.request.way
        is_own = way is not None and self._watch.actor_id in way.chain
        if not is_started and is_own and self._executor.is_reentrant(call.request.method):
            is_started = self.mailbox.let_in(call, self._now())
        if is_started:
            self._heads.append(call)
        else:
            self._watch.calls_wait(is_suspicious=is_own)
        return is_started

    def ended(self, call: Delivered) -> Sequence[Delivered]:
        """A call has ended, or lends its place to another; returns those that start now."""
        request = call.request
        way = request.way
        following = self.mailbox.finish(request.method, "" if way is None else way.group, self._now())
        if self._is_single:
            self._heads.remove(call)
            self._heads += following
        return following

    def resume(self, call: Delivered) -> None:
        """A call that had lent its place goes on."""
        request = call.request
        self.mailbox.resume(request.method, "" if request.way is None else request.way.group)
        if self._is_single:
            self._heads.append(call)

    # --- what callers say, in the loop's thread -----------------------------------------------------------------

    def on_note(self, connection: Connection, note: Note) -> None:
        """See `serving.Lacking`."""
        if isinstance(note, Cancel):
            self._early.on_cancel(connection, note)
        elif isinstance(note, Probe):
            self._watch.on_probe(connection, note)

    def on_lost(self, connection: Connection) -> None:
        """See `serving.Lacking`."""
        self._early.on_lost(connection)

    def _running_heads(self) -> list[Delivered]:
        return list(self._heads) if self._is_single and len(self.mailbox) else []

    def _waits_for_heads(self, call: Delivered) -> bool:
        return not call.has_begun and call not in self._heads

    def _refuse(self, call: Delivered, words: str) -> None:
        self._early.end(call, "deadlock", words)

    def _now(self) -> float:
        return monotonic() if self._is_rated else 0.0
