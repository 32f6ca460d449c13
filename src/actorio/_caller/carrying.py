"""Packing what a call takes along of its context into the call's header. In the thread that makes the call."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from actorio._model.propagation import CARRIED, TRACE, UNSET
from actorio._model.travel import NOTED, take_notes
from actorio._wire import payload as wire
from actorio._wire.messages import Way

if TYPE_CHECKING:
    from actorio._caller.pending import PendingResult

# What cannot change: the pickle of such a value holds as long as it is the same object.
_FIXED = frozenset(
    {bool, int, float, complex, str, bytes, type(None), uuid.UUID, decimal.Decimal}
    | {dt.date, dt.datetime, dt.time, dt.timedelta}
)
# The last such value of each variable, and its pickle.
_LAST: dict[str, tuple[Any, bytes]] = {}
_NOTHING = Way()

# How many bytes the value of one variable may take: it goes with every call.
_LARGEST = 1 << 20


def take_along(result: PendingResult) -> None:
    """Notes in a call's header what it takes along: values of marked variables, and the headers of a trace.

    Raises:
        UnpicklableError: a value cannot be pickled; the text names the variable.
    """
    own = result.way
    way = own or _NOTHING
    context = _context(way.context, result) if CARRIED.variables else way.context
    trace = TRACE.get()
    if not trace[0]:
        trace = way.trace
    if CARRIED.tracer is not None:
        trace = CARRIED.tracer.begin(result, trace)
    if own is None:
        if context or trace[0]:
            result.way = Way(context=context, trace=trace)
    elif context != own.context or trace != own.trace:
        result.way = replace(own, context=context, trace=trace)


def _context(brought: dict[str, bytes], result: PendingResult) -> dict[str, bytes]:
    """Returns the values of marked variables, and what the running call has brought that nobody here knows."""
    variables = CARRIED.variables
    context = {name: data for name, data in brought.items() if name not in variables} if brought else {}
    for name, variable in variables.items():
        value = variable.get(UNSET)
        if value is not UNSET:
            last = _LAST.get(name)
            context[name] = last[1] if last is not None and last[0] is value else _pickled(name, value, result)
    return context


def _pickled(name: str, value: Any, result: PendingResult) -> bytes:
    noted, NOTED.actors = NOTED.actors, None
    root = f"the value of the context variable {name!r}"
    try:
        data = wire.dumps(value)
    except Exception as error:
        take_notes()
        raise wire.UnpicklableError(wire.explain(value, root, result.call)) from error
    if take_notes():
        raise wire.UnpicklableError(
            f"{result.call}() was not called: {root} holds a handle or a reference, which a context does not carry; "
            "pass it as an argument"
        )
    if len(data) > _LARGEST:
        raise ValueError(
            f"{result.call}() was not called: {root} takes {len(data):,} bytes, and a context carries {_LARGEST:,}; "
            "pass it as an argument"
        )
    NOTED.actors = noted
    _keep(name, value, data)
    return data


def unpickled(name: str, data: bytes) -> Any:
    """Returns a value that a call has brought; one that cannot change is unpickled once.

    Raises:
        Exception: whatever unpickling raises.
    """
    last = _LAST.get(name)
    if last is not None and last[1] == data:
        return last[0]
    value = wire.loads(data)
    _keep(name, value, data)
    return value


def _keep(name: str, value: Any, data: bytes) -> None:
    if type(value) in _FIXED:
        _LAST[name] = (value, data)
