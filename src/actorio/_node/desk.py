"""Where processes ask the node for resources: the messages about leases, and the clock of those who wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from actorio._model.resources import CPU, UNIT, in_words
from actorio._node.instructions import CheckLater, Queue
from actorio._node.leases import Leases
from actorio._wire import messages as m

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from actorio._node.admission import Admission, Key
    from actorio._node.client import Client
    from actorio._node.instructions import Instruction, Retire
    from actorio._node.registry import Registry
    from actorio._node.spec import Spec
    from actorio._wire.frames import Payload

# How long somebody waits for resources before his driver is told, in seconds.
_LONG = 10.0
# How many workers a program with its actors and tasks may have, before several tasks share one.
_WORKERS_FOR_EACH_CPU, _FEW_WORKERS = 4, 8


class Desk:
    """Hands out leases, and says who waits for long.

    Args:
        perform: does what the leases and the registry return.
        warn: tells a driver; called with it, a label, a process id and a text.
        client_of: returns the connection of an actor, None when it has none.
        idle_timeout: how long a worker without tasks lives, in seconds.
    """

    def __init__(  # noqa: PLR0917  # what it works for
        self,
        loop: asyncio.AbstractEventLoop,
        admission: Admission,
        registry: Registry,
        perform: Callable[[Iterable[Instruction]], None],
        warn: Callable[[str, str, int, str], None],
        client_of: Callable[[str], Client | None],
        idle_timeout: float,
    ) -> None:
        most_workers = max(_FEW_WORKERS, _WORKERS_FOR_EACH_CPU * admission.totals.get(CPU, 0) // UNIT)
        self.leases = Leases(admission, idle_timeout, most_workers)
        self._loop = loop
        self._admission = admission
        self._registry = registry
        self._perform = perform
        self._warn = warn
        self._client_of = client_of

    # --- what processes say -------------------------------------------------------------------------------------

    def lease(self, client: Client, family: str, driver: str, message: m.Lease) -> None:
        """A process of a family wants to run tasks; its driver is told when it waits for long."""
        self._perform(self.leases.ask(client, family, message))
        key = (client.peer, message.id)
        if key in self._admission.waiting:
            self._loop.call_later(_LONG, self._complain, key, driver, message.label)

    def release(self, client: Client, message: m.Release, _payload: Payload) -> None:
        """A process has run its tasks."""
        self._perform(self.leases.release(client.peer, message.id, time.monotonic()))

    def rest(self, client: Client, message: m.Rest, _payload: Payload) -> None:
        """Tasks of a worker wait for others, or do so no more."""
        self.leases.rest(client.actor_id, message.count)
        self._perform(())

    # --- what the node does -------------------------------------------------------------------------------------

    def admit(self) -> list[Instruction]:
        """Returns what to do for those who have now what they have waited for."""
        return [
            each
            for key in self._admission.take_granted()
            for each in (self._registry.admitted(key) if isinstance(key, str) else self.leases.granted(key))
        ]

    def worker_made(self, spec: Spec) -> None:
        """There is a worker."""
        self._perform(self.leases.worker_made(spec, time.monotonic()))

    def peer_gone(self, peer: str) -> None:
        """A process has ended."""
        self._perform(self.leases.peer_gone(peer, time.monotonic()))

    def do(self, each: Queue | CheckLater | Retire) -> None:
        """Does what the leases and the registry have returned."""
        if isinstance(each, CheckLater):
            self._loop.call_later(each.delay, self._check, each.worker_id)
        elif isinstance(each, Queue):
            self._queue(each)
        else:
            self._retire(each.worker_id)

    def _queue(self, queued: Queue) -> None:
        queued.asker.send(m.Queued(queued.number))
        spec = self._registry.living[queued.actor_id].spec
        self._loop.call_later(_LONG, self._complain, spec.actor_id, spec.driver, spec.label)
        self._perform(self.leases.want(queued.actor_id))

    def _check(self, worker_id: str) -> None:
        client = self._client_of(worker_id)
        is_needed = client is not None and self._registry.has_children(client.peer)
        self._perform(self.leases.check(worker_id, time.monotonic(), is_needed=is_needed))

    def _retire(self, worker_id: str) -> None:
        client = self._client_of(worker_id)
        if client is not None:
            client.send(m.Retire())
        else:
            self._perform(self._registry.end(worker_id, "stopped", "", time.monotonic()))

    # --- those who wait -----------------------------------------------------------------------------------------

    def _complain(self, key: Key, driver: str, label: str) -> None:
        """Says who has what somebody has waited for too long."""
        if key not in self._admission.waiting or self._has_others(key):
            return
        amounts = self._admission.waiting[key]
        holders = ", ".join(self._describe(other) for other in self._admission.in_the_way_of(key))
        free = in_words({name: self._admission.free.get(name, 0) for name in amounts})
        total = in_words({name: self._admission.totals.get(name, 0) for name in amounts})
        text = f"has waited {_LONG:g} s for {in_words(amounts)}: of {total}, {free} is free; the others are {holders}"
        self._warn(driver, label, 0, text)

    def _has_others(self, key: Key) -> bool:
        """Does the process that waits run such tasks already, and has many of them?"""
        return isinstance(key, tuple) and any(other[0] == key[0] for other in self._admission.claims if other != key)

    def _describe(self, key: Key) -> str:
        amounts = in_words({name: amount for name, amount in self._admission.claims[key].amounts.items() if amount})
        return f"{self.leases.label(key) if isinstance(key, tuple) else self._registry.label(key)} ({amounts})"
