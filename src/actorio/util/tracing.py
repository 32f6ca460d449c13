"""`trace_calls`: spans of OpenTelemetry for calls."""

from __future__ import annotations

from actorio._model.propagation import CARRIED


def trace_calls() -> None:
    """Has the calls of this process traced with OpenTelemetry, from now on.

    Each call gets a span here (from ``.remote()`` until its answer has been read), which is a child of the current span
    and travels in the call's header. An actor in which OpenTelemetry has been imported adds two: how long the call
    waited there, and how long it ran, during which that span is the current one. Such an actor traces the calls that
    it makes for others by itself; it need not call this unless it begins traces of its own.

    Set up a ``TracerProvider`` as always, before or after this, in each process that is to have spans. Tracing that
    fails is logged, and no call fails with it. Calling this again does nothing.

    Raises:
        ImportError: OpenTelemetry is not installed.
    """
    if CARRIED.tracer is not None:
        return
    try:
        from actorio._caller.tracing import CallTracer
    except ImportError as error:
        raise ImportError(
            "trace_calls() needs OpenTelemetry, which is not installed here: pip install 'actorio-node[tracing]'"
        ) from error
    CARRIED.tracer = CallTracer()
    CARRIED.is_on = True
