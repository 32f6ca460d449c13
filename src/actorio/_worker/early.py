"""Calls that end early: nobody wants them any more, or their time is up.

A call that waits is answered at once and never begins. One that runs is asked to end, and its answer says that it has
ended; when that takes too long it is answered all the same, and what goes on is logged. Everything here but `expect`
and `answer` runs in the thread of the loop that reads the actor's mailbox.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import weakref
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from actorio._caller.waits import waited_for
from actorio._model.context import get_runtime_context
from actorio._model.errors import DeadlockError, GetTimeoutError, PendingCallsLimitExceeded, TaskCancelledError
from actorio._wire.messages import Ending, depth_of, encode
from actorio._wire.payload import dumps
from actorio._worker.delivered import Delivered

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorio._transport.serving import Connection
    from actorio._wire.messages import Cancel
    from actorio._worker.delivered import Reason
    from actorio._worker.executor import Executor

_logger = logging.getLogger("actorio")
_NEVER = float("inf")
# How much longer than it takes to look for calls whose time is up it is until they are looked for again.
_SHARE = 20.0
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
        # Those from which calls with a deadline have come, and the earliest deadline of those that are not over.
        self._connections: set[Connection] = set()
        self._next = _NEVER
        # Guards these two: threads that look out for calls expect them, too.
        self._lock = threading.Lock()
        self._alarm: asyncio.TimerHandle | None = None

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
            if reason == "expired":
                # The caller looks at the clock, too.
                call.connection.reply_now(encode(Ending(call.request.id, self._grace)), more_follow=True)
            if is_recursive:
                self._cancel_made_in(call)
            self._dispatcher.stop(call)
            # A timer outlasts most of these calls: it must not keep them.
            self._loop.call_later(self._grace, self._give_up, weakref.ref(call))

    def answer(self, call: Delivered, error: Exception | None = None) -> None:
        """Answers a call that is to end, if nobody has; or one that cannot begin, with an error."""
        frame = self._executor.refuse(call, error or asyncio.CancelledError())
        if frame:
            # With others that end in this moment.
            call.connection.reply_now(frame, more_follow=True)

    def _give_up(self, ref: weakref.ref[Delivered]) -> None:
        call = ref()
        if call is not None and call.is_owed():
            name = self._executor.name_of(call)
            call.words = f"{call.words or described(call, name)}; {self._grace:g} seconds later it still runs"
            _logger.warning("%s", call.words)
            self.answer(call)

    # --- deadlines ----------------------------------------------------------------------------------------------

    def expect(self, call: Delivered) -> None:
        """Ends a call when its time is up, if it has not ended by then. In any thread; it is owed an answer already."""
        with self._lock:
            self._connections.add(call.connection)
            if call.deadline >= self._next:
                return
            self._next = call.deadline
        self._loop.call_soon_threadsafe(self._set_alarm)

    def _set_alarm(self, pause: float = 0.0) -> None:
        """Rings when the next call has run out of time, and not before so many seconds have passed."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._next < _NEVER:
            self._alarm = self._loop.call_later(max(pause, self._next - monotonic()), self._ring)

    def _ring(self) -> None:
        """Ends what has run out of time, and comes back when the next call does."""
        began = monotonic()
        with self._lock:
            calls = self._with_deadlines()
        for call in calls:
            if call.deadline <= began:
                self._expire(call)
        with self._lock:
            self._connections = {each for each in self._connections if each.is_open() or each.peer.owed}
            self._next = min((call.deadline for call in self._with_deadlines() if call.reason is None), default=_NEVER)
        # Looking costs time for each call: it is to be a small part of it.
        self._set_alarm(_SHARE * (monotonic() - began))

    def _expire(self, call: Delivered) -> None:
        try:
            self.end(call, "expired", expiry(call, self._executor.name_of(call)))
        except Exception:
            # The others have their deadlines, too.
            _logger.exception("ending a call whose time is up failed")

    def _with_deadlines(self) -> list[Delivered]:
        return [
            call
            for connection in self._connections
            # A copy: threads answer meanwhile.
            for call in list(connection.peer.owed.values())
            if isinstance(call, Delivered) and call.deadline
        ]


def expiry(call: Delivered, name: str) -> str:
    """Says which call has run out of time, and how far it was."""
    waits = ", ".join(f"{result.call}()" for result in waited_for(call)[:_FEW_NAMES])
    state = "while it ran" + (waits and f" and waited for {waits}")
    state = state if call.has_begun else "before it began: it has not run"
    way = call.request.way
    chain = f", {depth_of(way.chain)} calls deep" if way is not None and way.chain else ""
    return f"the deadline of {name}() (pid {os.getpid()}{chain}) passed {state}"


def described(call: Delivered, name: str) -> str:
    """Says why a call is to end, in words."""
    if call.words:
        return call.words
    place = f"{name}() (pid {os.getpid()}, actor {get_runtime_context().actor_id})"
    if call.reason == "caller gone":
        return f"{place} was to end, since its caller has gone"
    return f"{place} was cancelled" + ("" if call.has_begun else " before it began: it has not run")


def error_of(call: Delivered, name: str) -> bytes:
    """Returns the pickled error that answers a call with a reason to end early."""
    words = described(call, name)
    if call.reason == "expired":
        return dumps(GetTimeoutError(words))
    if call.reason == "deadlock":
        return dumps(DeadlockError(words))
    if call.reason == "dropped":
        return dumps(PendingCallsLimitExceeded(words))
    # Without the place where it was cancelled: to tell it would cost more than all the rest.
    return dumps(TaskCancelledError(None, words))
