"""Spans of OpenTelemetry in the actor. Loaded when a call brings a trace and the actor has imported OpenTelemetry."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from actorio._caller.tracing import CallTracer, attributes_of, context_of, end_with_error, name_of, tracer
from actorio._model.context import id_of
from actorio._model.propagation import CARRIED

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from actorio._worker.delivered import Delivered

_logger = logging.getLogger("actorio")


class RunSpan:
    """The span of a call that runs, from its start until it has been answered."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._has_ended = False

    def end(self, error: BaseException | None) -> None:
        """Ends it, the first time. Raises nothing."""
        if self._has_ended:
            return
        self._has_ended = True
        try:
            if error is None:
                self._span.end()
            else:
                self._span.record_exception(error)
                end_with_error(self._span, type(error).__qualname__, str(error))
        except Exception:
            # The exception, or an exporter: it ends as it is.
            _logger.exception("the span of a call says less than it should")
            with suppress(Exception):
                self._span.end()


def begin_run(call: Delivered, service: str | None, method: str) -> RunSpan | None:
    """Notes how long a call has waited, and makes the span of its run the current one in the running context.

    Both are children of the caller's span. The calls that it makes are traced from now on.
    """
    try:
        if CARRIED.tracer is None:
            CARRIED.tracer, CARRIED.is_on = CallTracer(), True
        request = call.request
        name, attributes = name_of(service, method), attributes_of(service, method)
        parent = context_of(request.way.trace) if request.way is not None else None
        attributes["actorio.call_id"] = id_of(call)
        queue = tracer().start_span(f"{name} queue", parent, attributes=attributes, start_time=call.arrived)
        queue.end()
        run = tracer().start_span(name, parent, SpanKind.SERVER, attributes)
        # The context is the call's own: nobody need detach.
        otel_context.attach(trace.set_span_in_context(run, parent))
        return RunSpan(run)
    except Exception:
        _logger.exception("a call of %s() is not traced", name_of(service, method))
        return None
