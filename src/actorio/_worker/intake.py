"""The way of a call into the mailbox and out of it: what the rules of the actor say of it, and of its deadline.

Whoever uses it from several threads holds a lock around each call, but for what the loop calls by itself.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from actorio._worker.mailbox import STARTS, Mailbox

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Sequence

    from actorio._model.concurrency import Rules
    from actorio._worker.delivered import Delivered
    from actorio._worker.early import EarlyEnds


class Intake:
    """The mailbox of one actor, with what stands around it.

    Args:
        rules: what may run at once.
        early: ends calls whose time is up.
        loop: the mailbox's.
        start_all: starts calls, in the loop's thread.
    """

    def __init__(
        self,
        rules: Rules,
        early: EarlyEnds,
        loop: asyncio.AbstractEventLoop,
        start_all: Callable[[Iterable[Delivered]], None],
    ) -> None:
        self.mailbox: Mailbox[Delivered] = Mailbox(rules)
        self._early = early
        self._loop = loop
        self._start_all = start_all
        self._is_rated = any(rule.rate for rule in rules.methods.values())

    def offer(self, call: Delivered) -> bool:
        """Takes a call; returns True when it starts now. In the loop's thread."""
        request = call.request
        call.connection.peer.owed[request.id] = call
        way = request.way
        if way is None:
            return self.mailbox.offer(call, request.method, now=self._now()) == STARTS
        if way.deadline:
            self._early.expect(call)
        return self.mailbox.offer(call, request.method, way.group, way.priority, self._now()) == STARTS

    def ended(self, call: Delivered) -> Sequence[Delivered]:
        """A call has ended, or lends its place to another; returns those that start now."""
        request = call.request
        way = request.way
        return self.mailbox.finish(request.method, "" if way is None else way.group, self._now())

    def resume(self, call: Delivered) -> None:
        """A call that had lent its place goes on."""
        request = call.request
        self.mailbox.resume(request.method, "" if request.way is None else request.way.group)

    def _now(self) -> float:
        return monotonic() if self._is_rated else 0.0
