"""Watching an actor: events from the node's connection, handed to an event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from actorio._model.event import ActorEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from actorio._caller.node import NodeClient
    from actorio._model.certificate import DeathCertificate
    from actorio._wire.messages import Event


async def watch(node: NodeClient, actor_id: str) -> AsyncIterator[ActorEvent]:
    """Yields what happens to an actor, from its present state on, until it is dead or the session has ended."""
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[ActorEvent | None] = asyncio.Queue()

    def on_event(event: Event | None, certificate: DeathCertificate | None) -> None:
        # In the thread that reads from the node. A loop that has closed listens no more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(events.put_nowait, _public(event, certificate))

    number = node.watch(actor_id, on_event)
    try:
        while (happened := await events.get()) is not None:
            yield happened
            if happened.kind == "died":
                return
    finally:
        node.unwatch(number)


def _public(event: Event | None, certificate: DeathCertificate | None) -> ActorEvent | None:
    if event is None:
        return None
    return ActorEvent(cast("Any", event.kind), event.pid, event.restarts, certificate)
