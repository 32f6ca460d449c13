"""What calls take along of the context that they are made in: marked context variables, and trace headers.

This is where both are marked and kept. The caller's side packs them into a call's header, the actor's side unpacks
them; as long as a process has marked nothing, its calls ask ``CARRIED.is_on`` and no more.
"""

from __future__ import annotations

import contextvars
import copyreg
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from actorio._model.context import CURRENT_CALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Headers = tuple[str, str]

T = TypeVar("T")

NO_TRACE = ("", "")
TRACE: contextvars.ContextVar[Headers] = contextvars.ContextVar("actorio_trace", default=NO_TRACE)
"""The headers ``traceparent`` and ``tracestate`` that calls made here take along."""
UNSET: Any = object()

_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
# The longest `tracestate` that everybody hands on, in characters.
_LONGEST_STATE = 512


class Tracer(Protocol):
    """Makes spans of calls, where OpenTelemetry is in use."""

    def begin(self, result: Any, headers: Headers) -> Headers:
        """Begins the span of a call; returns the headers that the call takes along."""

    def headers(self) -> Headers:
        """Returns those of the span that is current here; empty ones if none is."""


class _Carried:
    """What calls of this process take along.

    Attributes:
        is_on: False as long as nothing was marked.
        variables: the marked ones, by the names under which they travel.
        homes: the modules that have marked them.
        tracer: what makes spans; None when nobody wants any.
        on_mark: in an actor, told of each variable that is marked: the call that runs may have brought its value.
    """

    def __init__(self) -> None:
        self.is_on = False
        self.variables: dict[str, contextvars.ContextVar[Any]] = {}
        self.homes: dict[str, str] = {}
        self.tracer: Tracer | None = None
        self.on_mark: Callable[[str, contextvars.ContextVar[Any]], object] | None = None


CARRIED = _Carried()


def propagate(variable: contextvars.ContextVar[T], name: str | None = None) -> contextvars.ContextVar[T]:
    """Marks a context variable: calls take its value along to the actor, and so do the calls made there in turn.

    A call takes the value that is set at the moment of ``.remote()``, in the calling task or thread, and its method
    sees it, in the task or thread that runs it. A variable that is not set does not travel. In a process where nobody
    has marked the name (the module that does so is not imported there), the value is handed on unopened.

    Values are pickled. Actor handles and references are not carried: pass them as arguments. Constructors of actors
    run without.

    Args:
        variable: marked in this process; mark it in the module that defines it, which every process imports. One that
            is defined in ``__main__`` travels with the classes and functions there that use it.
        name: the name under which its value travels; by default the variable's own. It must be the same everywhere.

    Returns:
        The variable: ``user = propagate(ContextVar("user"))``.

    Raises:
        TypeError: that is no context variable.
        ValueError: another module has marked another variable under this name.
    """
    if not isinstance(variable, contextvars.ContextVar):
        kind = type(variable).__name__
        raise TypeError(f"propagate() takes a contextvars.ContextVar, not {kind}: a variable travels, not its value")
    _mark(variable, name or variable.name, str(sys._getframe(1).f_globals.get("__name__", "")))  # noqa: SLF001  # documented
    return variable


def _mark(variable: contextvars.ContextVar[Any], name: str, home: str) -> None:
    other = CARRIED.variables.get(name)
    # The same module again: it was reloaded, or is a notebook.
    if other is not None and other is not variable and CARRIED.homes[name] != home:
        raise ValueError(
            f"{home} marks a context variable {name!r}, and {CARRIED.homes[name]} has marked another one of that name; "
            'say propagate(variable, name="...") in one of them, with a name of its own'
        )
    # A copy: other threads may be going through the old one.
    CARRIED.variables = {**CARRIED.variables, name: variable}
    CARRIED.homes[name] = home
    CARRIED.is_on = True
    copyreg.pickle(contextvars.ContextVar, _reduce)
    if other is not variable and CARRIED.on_mark is not None:
        CARRIED.on_mark(name, variable)


def _reduce(variable: contextvars.ContextVar[Any]) -> tuple[Any, ...]:
    """Pickles a marked variable by its name: functions and classes that travel by value may use one."""
    for name, marked in CARRIED.variables.items():
        if marked is variable:
            return _marked, (name, variable.name, CARRIED.homes[name], _default_of(variable))
    raise TypeError(f"cannot pickle the context variable {variable.name!r}: mark it with actorio.util.propagate()")


def _default_of(variable: contextvars.ContextVar[Any]) -> tuple[Any, ...]:
    # In an empty context.
    try:
        return (contextvars.Context().run(variable.get),)
    except LookupError:
        return ()


def _marked(name: str, own_name: str, home: str, default: tuple[Any, ...]) -> contextvars.ContextVar[Any]:
    found = CARRIED.variables.get(name)
    if found is None:
        found = contextvars.ContextVar(own_name, default=default[0]) if default else contextvars.ContextVar(own_name)
        _mark(found, name, home)
    return found


@contextmanager
def trace_context(traceparent: str | None, tracestate: str | None = None) -> Iterator[None]:
    """Has the calls that are made within it take W3C Trace Context headers along, as a request has brought them.

    Needs no OpenTelemetry: the actor reads them with `get_runtime_context().get_trace_headers()`, and the calls that it
    makes take them along. Where OpenTelemetry has a current span, calls take that one.

    Args:
        traceparent: the header's value. With None, or one that the standard does not allow, nothing changes, since
            headers come from outside.
        tracestate: the value of the other one, if there is one.
    """
    if traceparent is None or _PARENT.fullmatch(traceparent) is None:
        yield
        return
    state = tracestate or ""
    CARRIED.is_on = True
    token = TRACE.set((traceparent, state if len(state) <= _LONGEST_STATE and state.isascii() else ""))
    try:
        yield
    finally:
        TRACE.reset(token)


def trace_here() -> Headers:
    """Returns the headers that a call made here takes along."""
    if CARRIED.tracer is not None and (headers := CARRIED.tracer.headers())[0]:
        return headers
    call = CURRENT_CALL.get()
    way = None if call is None else call.request.way
    return TRACE.get() if way is None or TRACE.get()[0] else way.trace
