"""Unpacking the context that a call has brought, in the task or thread that runs it.

Whoever runs calls one after the other in one thread runs those that `bring_context` in a copy of the thread's
context, so that nothing of theirs is left for the next.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from actorio._caller.carrying import unpickled
from actorio._model.context import CURRENT_CALL
from actorio._model.errors import RaySystemError
from actorio._model.propagation import CARRIED, TRACE

if TYPE_CHECKING:
    import contextvars

    from actorio._wire.messages import Way
    from actorio._worker.delivered import Delivered

_OPENTELEMETRY = "opentelemetry.trace"


def brings_context(call: Delivered) -> bool:
    """Does a call need a context of its own? Any call does where variables are marked: it may set them."""
    way = call.request.way
    return bool(CARRIED.variables) or (way is not None and bool(way.context or way.trace[0]))


def unpack(call: Delivered, way: Way, service: str | None) -> None:
    """Sets the marked variables in the running context, and continues the trace.

    Args:
        call: it is about to run.
        way: what its header says of it.
        service: the name of the actor's class; None for a task, whose trace goes on when it has its name.

    Raises:
        RaySystemError: a value cannot be unpickled here; the text names the variable.
    """
    if way.context and CARRIED.variables:
        for name, variable in CARRIED.variables.items():
            _set(name, variable, way)
    if way.trace[0]:
        TRACE.set(way.trace)
        if service is not None:
            continue_trace(call, service, call.request.method)


def continue_trace(call: Delivered, service: str | None, method: str) -> None:
    """Begins the span of a call that brings a trace and is about to run, if OpenTelemetry is in use here."""
    if _OPENTELEMETRY in sys.modules:
        # Only then: what it imports, this process has imported already.
        from actorio._worker.tracing import begin_run

        call.span = begin_run(call, service, method)


def _set(name: str, variable: contextvars.ContextVar[Any], way: Way) -> None:
    data = way.context.get(name)
    if data is None:
        return
    try:
        value = unpickled(name, data)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        text = f"the value of the context variable {name!r} cannot be read in the actor: {what}"
        raise RaySystemError(text) from error
    variable.set(value)


def _on_mark(name: str, variable: contextvars.ContextVar[Any]) -> None:
    """A variable has been marked while a call runs, whose function has only now been imported, perhaps."""
    call = CURRENT_CALL.get()
    if call is not None and call.request.way is not None:
        _set(name, variable, call.request.way)


CARRIED.on_mark = _on_mark
