"""A call as it arrived in the actor, and how far it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from actorio._worker.arriving import continue_trace

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from actorio._transport.serving import Connection
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Call, Way
    from actorio._worker.tracing import RunSpan

Reason = Literal["cancelled", "expired", "caller gone", "deadlock", "dropped"]
"""Why a call is to end early: somebody wants it to, or its time is up, or nobody is left who called it; or it would
wait for itself; or the mailbox is full."""


class Delivered:
    """A call as it arrived.

    Attributes:
        connection: where its answer goes.
        request: its header.
        payload: its arguments.
        has_begun: its method runs, or has run.
        has_ended: see `RunningCall`.
        reason: why it is to end early; None as long as it is not.
        words: the story of that, for whoever called.
        task: what runs it, on the loop of an async actor.
        runner: see `RunningCall`.
        on_cancel: see `RunningCall`.
        arrived: when it arrived, in nanoseconds since 1970; 0 for one that brings no trace.
        span: of the method that runs, where OpenTelemetry is in use.
        is_interruption_due: it is to be interrupted when it waits for others next.
        was_interrupted: it has been.
        title: see `RunningCall`.
        onward: see `RunningCall`.
        waits: see `RunningCall`.
    """

    # Most calls need none of these: as long as nobody sets them, they cost nothing.
    has_begun = False
    has_ended = False
    reason: Reason | None = None
    words = ""
    runner = 0
    is_interruption_due = False
    was_interrupted = False
    task: asyncio.Task[Any] | None = None
    on_cancel: Callable[[], object] | None = None
    onward: Way | None = None
    waits: dict[object, Any] | None = None
    title = ""
    span: RunSpan | None = None
    arrived = 0

    def __init__(self, connection: Connection, request: Call, payload: Payload) -> None:
        self.connection = connection
        self.request = request
        self.payload = payload
        way = request.way
        if way is not None and way.trace[0]:
            self.arrived = time.time_ns()

    @property
    def deadline(self) -> float:
        """When its time is up, on the monotonic clock; 0: never."""
        way = self.request.way
        return 0.0 if way is None else way.deadline

    def entitle(self, title: str) -> None:
        """Says what it runs, where its method does not: called when the function of a task is there."""
        self.title = title
        way = self.request.way
        if way is not None and way.trace[0]:
            continue_trace(self, None, title)

    def is_owed(self) -> bool:
        """Has nobody answered it yet?"""
        return self.connection.peer.owed.get(self.request.id) is self
