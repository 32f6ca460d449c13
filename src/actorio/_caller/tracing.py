"""Spans of OpenTelemetry in the calling process, and the way between spans and headers. Loaded where it is in use."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from actorio._caller.pending import FAILURE, VALUE, Aside
from actorio._model.failure import TaskFailure
from actorio._model.propagation import NO_TRACE

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from actorio._caller.pending import PendingResult
    from actorio._model.propagation import Headers

SYSTEM = "actorio"

_logger = logging.getLogger("actorio")
_propagator = TraceContextTextMapPropagator()


class CallTracer:
    """Makes a span for each call of this process; see `propagation.Tracer`."""

    def begin(self, result: PendingResult, headers: Headers) -> Headers:
        """See `propagation.Tracer`. ``headers`` are what the call would take along without a span."""
        try:
            what = result.what
            service, method = (None, what) if isinstance(what, str) else (what.owner, what.name)
            span = tracer().start_span(
                name_of(service, method),
                None if _is_valid(trace.get_current_span()) else context_of(headers),
                SpanKind.CLIENT,
                attributes_of(service, method),
            )
            if span.is_recording():
                result.add_callback(Aside(functools.partial(_end, span)))
            return _headers_of(span) if _is_valid(span) else headers
        except Exception:
            _logger.exception("a call of %s() is not traced", result.call)
            return headers

    def headers(self) -> Headers:
        """See `propagation.Tracer`."""
        span = trace.get_current_span()
        return _headers_of(span) if _is_valid(span) else NO_TRACE


def tracer() -> trace.Tracer:
    """Returns what makes spans, of the provider that is set up by now."""
    return trace.get_tracer(SYSTEM)


def context_of(headers: Headers) -> Context:
    """Returns the running context, with the span that is in the headers as the current one."""
    carrier = dict(zip(("traceparent", "tracestate"), headers, strict=True))
    return _propagator.extract({name: value for name, value in carrier.items() if value})


def name_of(service: str | None, method: str) -> str:
    """Returns what the span of a call is called."""
    return method if service is None else f"{service}/{method}"


def attributes_of(service: str | None, method: str) -> dict[str, str]:
    """Returns what the semantic conventions for remote calls say of one."""
    attributes = {"rpc.system": SYSTEM, "rpc.method": method}
    if service is not None:
        attributes["rpc.service"] = service
    return attributes


def end_with_error(span: Span, type_name: str, text: str) -> None:
    """Ends the span of a call that has failed."""
    span.set_attribute("error.type", type_name)
    span.set_status(Status(StatusCode.ERROR, text))
    span.end()


def _headers_of(span: Span) -> Headers:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(span))
    return carrier.get("traceparent", ""), carrier.get("tracestate", "")


def _is_valid(span: Span) -> bool:
    return bool(span.get_span_context().is_valid)


def _end(span: Span, result: PendingResult) -> None:
    """The call has ended. In whichever thread has read that; errors are logged there."""
    if result.state == VALUE:
        span.end()
    elif result.state == FAILURE:
        failure = TaskFailure.decode(bytes(result.payload))
        end_with_error(span, failure.type_name, failure.message)
    else:
        error: Any = result.make_error()
        end_with_error(span, type(error).__name__, str(error))
