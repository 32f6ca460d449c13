"""Watching an actor: events from the node's connection, handed to a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from actorio._caller.pending import VALUE
from actorio._caller.wakers import Inbox
from actorio._model.event import ActorEvent
from actorio._wire.payload import dumps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from actorio._caller.node import NodeClient
    from actorio._caller.pending import PendingResult
    from actorio._model.certificate import DeathCertificate
    from actorio._wire.messages import Event


async def watch(node: NodeClient, actor_id: str) -> AsyncIterator[ActorEvent]:
    """Yields what happens to an actor, from its present state on, until it is dead or the session has ended."""
    # Filled in the thread that reads from the node.
    events: Inbox[ActorEvent | None] = Inbox()
    number = node.watch(actor_id, lambda event, certificate: events.put(_public(event, certificate)))
    try:
        while (happened := await events.take()) is not None:
            yield happened
            if happened.kind == "died":
                return
    finally:
        node.unwatch(number)


def complete_at_end(result: PendingResult, node: NodeClient, actor_id: str) -> None:
    """Completes ``result``, with None, when an actor is dead for good or the session has ended."""

    def hear(event: Event | None, _certificate: DeathCertificate | None) -> None:
        if event is None or event.kind == "died":
            result.complete(VALUE, dumps(None))

    number = node.watch(actor_id, hear)
    result.add_callback(lambda _: node.unwatch(number))


def _public(event: Event | None, certificate: DeathCertificate | None) -> ActorEvent | None:
    if event is None:
        return None
    return ActorEvent(cast("Any", event.kind), event.pid, event.restarts, certificate)
