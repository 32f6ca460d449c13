"""Calls that would wait for themselves: found by asking along what waits for what, and refused.

An actor that runs one call at a time is stuck while that call waits for a call that waits behind it, through however
many actors. So when calls wait in the mailbox and the one that runs waits in its turn, a probe follows what that waits
for, from actor to actor. Should it come home, asking for a call that waits here, the circle is closed. A call whose
chain has come through this actor is suspected at once; others after a moment, and then less and less often.

Everything here runs in the thread of the loop that reads the mailbox.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from actorio._caller.waits import send_probe
from actorio._wire.messages import Probe
from actorio._worker.delivered import Delivered

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from actorio._transport.serving import Connection

# When it is asked again whether calls wait for themselves, in seconds after the time before.
_PAUSES = (0.002, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class DeadlockWatch:
    """Finds the calls of one actor that wait for themselves.

    Args:
        actor_id: the actor's.
        loop: the mailbox's.
        heads: returns the calls that run, in an actor that runs one at a time; nothing in another one.
        waits: does a call wait in the mailbox for those to end?
        name_of: what errors call a call.
        refuse: ends a call that waits for itself, with its story.
    """

    def __init__(  # noqa: PLR0917  # what it stands between
        self,
        actor_id: str,
        loop: asyncio.AbstractEventLoop,
        heads: Callable[[], list[Delivered]],
        waits: Callable[[Delivered], bool],
        name_of: Callable[[Delivered], str],
        refuse: Callable[[Delivered, str], None],
    ) -> None:
        self.actor_id = actor_id
        self._loop = loop
        self._heads = heads
        self._waits = waits
        self._name_of = name_of
        self._refuse = refuse
        self._timer: asyncio.TimerHandle | None = None
        self._round = 0

    def calls_wait(self, *, is_suspicious: bool) -> None:
        """A call has come that has to wait; ``is_suspicious``: its chain has come through this actor."""
        if is_suspicious:
            self._round = 0
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._loop.call_soon(self._probe)
        if self._timer is None:
            self._set_timer()

    def _set_timer(self) -> None:
        pause = _PAUSES[min(self._round, len(_PAUSES) - 1)]
        self._timer = self._loop.call_later(pause, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._probe():
            self._round += 1
            self._set_timer()
        else:
            self._round = 0

    def _probe(self) -> bool:
        """Asks what the running calls wait for; returns whether there is anything to watch."""
        heads = self._heads()
        for head in heads:
            if head.waits:
                send_probe(head, Probe(0, self.actor_id, head.request.id), self._place(head))
        return bool(heads)

    def on_probe(self, connection: Connection, probe: Probe) -> None:
        """Somebody waits for a call that this actor has got, and asks what that waits for."""
        call = connection.peer.owed.get(probe.id)
        if not isinstance(call, Delivered) or call.reason is not None:
            return
        if call.has_begun:
            send_probe(call, probe, self._place(call))
        elif self._waits(call):
            self._pass_on(call, probe)

    def _pass_on(self, call: Delivered, probe: Probe) -> None:
        if self.actor_id > probe.origin:
            # Of several actors in one circle one is to find it, and one call to be refused.
            self._probe()
            return
        for head in self._heads():
            if not head.waits:
                continue
            if probe.origin != self.actor_id:
                send_probe(head, probe, f"{self._place(call)}, which has to wait for {self._place(head)}")
            elif probe.head == head.request.id:
                self._refuse(call, self._story(call, head, probe))
                return

    def _story(self, call: Delivered, head: Delivered, probe: Probe) -> str:
        steps = "\n".join(f"  which waits for {step}" for step in probe.path[1:])
        name = self._name_of(call)
        return (
            f"{name}() would wait for itself and was not run:\n"
            f"  {self._place(head)} runs\n{steps}{steps and chr(10)}"
            f"  which waits for {self._place(call)}\n"
            f"  which cannot begin before {self._name_of(head)}() has ended, since the actor runs one call at a time.\n"
            f"Let the actor run more (max_concurrency=), mark {name} with @method(reentrant=True) if it may run while "
            "another call of its chain waits, or do not wait for it there"
        )

    def _place(self, call: Delivered) -> str:
        return f"{self._name_of(call)}() (pid {os.getpid()})"
