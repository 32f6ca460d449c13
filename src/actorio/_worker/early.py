"""Calls that end early: nobody wants them any more, or their time is up.

A call that waits is answered at once and never begins. One that runs is asked to end, and its answer says that it has
ended; when that takes too long it is answered all the same, and what goes on is logged. Everything here runs in the
thread of the loop that reads the actor's mailbox.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import os
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from actorio._caller.waits import waited_for
from actorio._model.context import get_runtime_context
from actorio._model.errors import DeadlockError, GetTimeoutError, PendingCallsLimitExceeded
from actorio._wire.payload import dumps
from actorio._worker.delivered import Delivered

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorio._transport.serving import Connection
    from actorio._wire.messages import Cancel
    from actorio._worker.delivered import Reason
    from actorio._worker.executor import Executor

_logger = logging.getLogger("actorio")
# How many ended calls with a deadline are remembered at least before they are looked for.
_FEW = 1024
# How many of the calls that a call waits for are named.
_FEW_NAMES = 5


class Dispatcher(Protocol):
    """Where calls wait and run."""

    def revoke(self, call: Delivered) -> bool:
        """Forgets a call that waits; returns False when it does not wait (any more)."""

    def stop(self, call: Delivered) -> None:
        """Has the method of a call that runs end, as far as that is possible."""


class EarlyEnds:
    """Ends calls early.

    Args:
        loop: the mailbox's loop.
        executor: makes answers.
        grace: how long a method that is to end may take for it, in seconds.
        cancel_made_in: cancels what a call has called in its turn.
        dispatcher: where the calls are.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        executor: Executor,
        grace: float,
        cancel_made_in: Callable[[object], None],
        dispatcher: Dispatcher,
    ) -> None:
        self._loop = loop
        self._executor = executor
        self._dispatcher = dispatcher
        self._grace = grace
        self._cancel_made_in = cancel_made_in
        # Calls with a deadline, the earliest first; those that have ended are among them for a while.
        self._deadlines: list[tuple[float, int, Delivered]] = []
        self._order = itertools.count()
        self._alarm: asyncio.TimerHandle | None = None
        self._many = _FEW

    def on_cancel(self, connection: Connection, note: Cancel) -> None:
        """A caller says that it does not want an answer."""
        call = connection.peer.owed.get(note.id)
        if isinstance(call, Delivered):
            self.end(call, "cancelled", is_recursive=note.is_recursive)

    def on_lost(self, connection: Connection) -> None:
        """A caller has gone without a farewell."""
        for call in list(connection.peer.owed.values()):
            if isinstance(call, Delivered):
                self.end(call, "caller gone")

    def end(self, call: Delivered, reason: Reason, words: str = "", *, is_recursive: bool = True) -> None:
        """Has a call end."""
        if call.reason is not None or not call.is_owed():
            return
        call.reason, call.words = reason, words
        if self._dispatcher.revoke(call):
            self.answer(call)
            # What it brought: its deadline may keep the call itself for long.
            call.payload = b""
        elif call.has_begun:
            if is_recursive:
                self._cancel_made_in(call)
            self._dispatcher.stop(call)
            self._loop.call_later(self._grace, self._give_up, call)

    def answer(self, call: Delivered, error: Exception | None = None) -> None:
        """Answers a call that is to end, if nobody has; or one that cannot begin, with an error."""
        frame = self._executor.refuse(call, error or asyncio.CancelledError())
        if frame:
            call.connection.reply_now(frame)

    def _give_up(self, call: Delivered) -> None:
        if call.is_owed():
            name = self._executor.name_of(call)
            call.words = f"{call.words or described(call, name)}; {self._grace:g} seconds later it still runs"
            _logger.warning("%s", call.words)
            self.answer(call)

    # --- deadlines ----------------------------------------------------------------------------------------------

    def expect(self, call: Delivered) -> None:
        """Ends a call when its time is up, if it has not ended by then."""
        deadlines = self._deadlines
        heapq.heappush(deadlines, (call.deadline, next(self._order), call))
        if deadlines[0][2] is call:
            self._set_alarm()
        if len(deadlines) > self._many:
            deadlines[:] = [each for each in deadlines if each[2].is_owed()]
            heapq.heapify(deadlines)
            self._many = max(_FEW, 2 * len(deadlines))

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        deadlines = self._deadlines
        while deadlines and not deadlines[0][2].is_owed():
            heapq.heappop(deadlines)
        self._alarm = self._loop.call_later(max(0.0, deadlines[0][0] - monotonic()), self._ring) if deadlines else None

    def _ring(self) -> None:
        self._alarm = None
        now = monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            call = heapq.heappop(self._deadlines)[2]
            if call.is_owed():
                self.end(call, "expired", expiry(call, self._executor.name_of(call)))
        self._set_alarm()


def expiry(call: Delivered, name: str) -> str:
    """Says which call has run out of time, and how far it was."""
    waits = ", ".join(f"{result.call}()" for result in waited_for(call)[:_FEW_NAMES])
    state = "while it ran" + (waits and f" and waited for {waits}")
    state = state if call.has_begun else "before it began: it has not run"
    way = call.request.way
    chain = f", called by {len(way.chain)} other calls in a row" if way is not None and way.chain else ""
    return f"the deadline of {name}() (pid {os.getpid()}{chain}) passed {state}"


def described(call: Delivered, name: str) -> str:
    """Says why a call is to end, in words."""
    if call.words:
        return call.words
    place = f"{name}() (pid {os.getpid()}, actor {get_runtime_context().actor_id})"
    if call.reason == "caller gone":
        return f"{place} was to end, since its caller has gone"
    return f"{place} was cancelled" + ("" if call.has_begun else " before it began: it has not run")


def error_of(call: Delivered, name: str) -> bytes | None:
    """Returns the pickled error that answers a call with a reason of its own; None for one that was cancelled."""
    words = described(call, name)
    if call.reason == "expired":
        return dumps(GetTimeoutError(words))
    if call.reason == "deadlock":
        return dumps(DeadlockError(words))
    if call.reason == "dropped":
        return dumps(PendingCallsLimitExceeded(words))
    return None
