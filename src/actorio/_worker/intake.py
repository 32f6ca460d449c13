"""The way of a call into the mailbox and out of it: what the rules of the actor say of it, and of its deadline.

Whoever uses it from several threads holds a lock around each call, but for what the loop calls by itself.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from actorio._wire.messages import LINK, Cancel, Limit, Probe
from actorio._wire.payload import NONE, dumps
from actorio._worker.brake import Brake
from actorio._worker.deadlocks import DeadlockWatch
from actorio._worker.mailbox import REFUSED, STARTS, Mailbox
from actorio._worker.wait_report import WaitReport, report

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from actorio._model.concurrency import Rules
    from actorio._transport.serving import Connection
    from actorio._wire.messages import Note, Room, Way
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
        start_all: starts calls, in the loop's thread; takes the lock itself.
        lock: held around each call of a method here by threads other than the loop's.
    """

    def __init__(  # noqa: PLR0917  # what it stands between
        self,
        rules: Rules,
        executor: Executor,
        early: EarlyEnds,
        loop: asyncio.AbstractEventLoop,
        start_all: Callable[[Iterable[Delivered]], None],
        lock: AbstractContextManager[Any],
    ) -> None:
        self.mailbox: Mailbox[Delivered] = Mailbox(rules)
        self._early = early
        self._loop = loop
        self._start_all = start_all
        self._rules = rules
        self._lock = lock
        self._is_rated = any(rule.rate for rule in rules.methods.values())
        # Whatever waits does so for the end of any call that runs.
        self._is_one_line = not (rules.groups or any(rule.limit or rule.rate for rule in rules.methods.values()))
        self._due: asyncio.TimerHandle | None = None
        self._brake = Brake(rules.bound) if rules.bound and rules.policy == "wait" else None
        # Of an actor that runs one call at a time: those that run, more than one when some rest or were let in.
        self._is_single = rules.limit == 1 and not rules.groups
        self._heads: list[Delivered] = []
        self._executor = executor
        self._link = executor.actor_id[:LINK]
        self._watch = DeadlockWatch(
            executor.actor_id, loop, self._running_heads, self._waits_for_heads, executor.name_of, self._refuse
        )

    def offer(self, call: Delivered) -> bool:
        """Takes a call; returns True when it starts now.

        In the loop's thread; in another one only a call for which the mailbox has simply room.
        """
        request = call.request
        call.connection.peer.owed[request.id] = call
        way = request.way
        if way is None:
            outcome = self.mailbox.offer(call, request.method, now=self._now())
        elif self._has_group(call, way.group):
            outcome = self._offer_its_way(call, way)
        else:
            return False
        if outcome != STARTS:
            self._turned_away(call, outcome)
        elif self._is_single:
            self._heads.append(call)
        return outcome == STARTS

    def _offer_its_way(self, call: Delivered, way: Way) -> int:
        method = call.request.method
        if way.deadline:
            self._early.expect(call)
        if self._link in way.chain and self._executor.is_reentrant(method):
            # Whatever else runs, and though the mailbox may be full: it does not wait there.
            self.mailbox.let_in(method, way.group, self._now())
            return STARTS
        return self.mailbox.offer(call, method, way.group, way.priority, self._now())

    def _has_group(self, call: Delivered, group: str) -> bool:
        """Is a call's group there? If not, its caller, who knows another class of this name, is told so."""
        try:
            self._rules.check_group(group)
        except ValueError as error:
            self._early.answer(call, error)
            return False
        return True

    def _turned_away(self, call: Delivered, outcome: int) -> None:
        """A call has not begun: it waits, perhaps for a rate, or in a full mailbox; or it or another one is dropped."""
        if self._is_rated:
            self._loop.call_soon(self._see_to_rates)
        if outcome == REFUSED:
            self._drop(call)
        while self.mailbox.displaced:
            self._drop(self.mailbox.displaced.pop())
        if self._brake is not None and self.mailbox.is_full():
            self._brake.pull(call.connection)
        if self._is_single:
            way = call.request.way
            self._watch.calls_wait(is_suspicious=way is not None and self._link in way.chain)

    def _drop(self, call: Delivered) -> None:
        name, bound = self._executor.name_of(call), self._rules.bound
        call.reason = "dropped"
        call.words = (
            f"{name}() was not run: {bound} calls wait in the mailbox of the actor, which are as many as mailbox_size "
            f"allows, and mailbox_policy is {self._rules.policy!r}"
        )
        self._early.answer(call)
        call.payload = b""

    def ended(self, call: Delivered) -> Sequence[Delivered]:
        """A call has ended, or lends its place to another; returns those that start now."""
        request = call.request
        way = request.way
        now = monotonic() if self._is_rated else 0.0
        following = self.mailbox.finish(request.method, "" if way is None else way.group, now)
        if self._is_single:
            self._heads.remove(call)
            self._heads += following
        if self._brake is not None:
            self._make_room()
        if self._is_rated:
            self._loop.call_soon_threadsafe(self._see_to_rates)
        return following

    def _make_room(self) -> None:
        """Fewer calls wait or run, perhaps: callers may go on."""
        if self._brake is not None:
            self._brake.release(len(self.mailbox), is_idle=not self.mailbox.running)

    def resume(self, call: Delivered) -> None:
        """A call that had lent its place goes on."""
        request = call.request
        self.mailbox.resume(request.method, "" if request.way is None else request.way.group)
        if self._is_single:
            self._heads.append(call)

    def clear(self) -> None:
        """Forgets the calls that wait."""
        self.mailbox.clear()

    # --- in the loop's thread -----------------------------------------------------------------------------------

    def revoke(self, call: Delivered) -> bool:
        """Forgets a call that waits; returns False when it does not wait."""
        with self._lock:
            was_waiting = self.mailbox.cancel(call)
            if was_waiting:
                self._make_room()
        return was_waiting

    def answer(self, connection: Connection, request: Room | Limit) -> None:
        """Answers a caller who wants to know when there is room, or wants another number of calls to run."""
        if isinstance(request, Limit):
            self._set_limit(connection, request)
            return
        with self._lock:
            if self._brake is None:
                connection.reply_now(connection.peer.result(request.id, NONE))
            else:
                self._brake.ask(connection, request.id)
                self._make_room()

    def waits(self, connection: Connection) -> WaitReport:
        """Returns who waits for whom here; ``connection`` is that of whoever asks."""
        with self._lock:
            limit = self.mailbox.limit if self._is_one_line else 0
            return report(connection.beside(), self.mailbox.waiting(), limit, self._executor.name_of)

    def _set_limit(self, connection: Connection, request: Limit) -> None:
        try:
            with self._lock:
                started = self.mailbox.set_limit(request.limit, request.group, self._now())
                if not request.group and request.limit > 1:
                    # Of several that run none is the one that the others wait for.
                    self._is_single = False
                    self._heads.clear()
                if started:
                    self._make_room()
        except ValueError as error:
            connection.reply_now(connection.peer.failure(request.id, dumps(error), is_pickled_error=True))
        else:
            connection.reply_now(connection.peer.result(request.id, NONE))
            self._start_all(started)
            if self._is_rated:
                # Calls may wait for their rate alone that have waited for room, too.
                self._loop.call_soon(self._see_to_rates)

    def _see_to_rates(self) -> None:
        """Starts what has waited for its rate alone, and comes back when the next one may start."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        with self._lock:
            started = self.mailbox.due(monotonic())
            if self._is_single:
                self._heads += started
            if started:
                self._make_room()
            due = self.mailbox.next_due()
        if due is not None:
            self._due = self._loop.call_later(max(0.0, due - monotonic()), self._see_to_rates)
        self._start_all(started)

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
