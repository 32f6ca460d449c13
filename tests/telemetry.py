"""A program's set-up of OpenTelemetry, as the modules of actors import it; spans stay in the process that made them."""

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

EXPORTER = InMemorySpanExporter()
PROVIDER = TracerProvider()
PROVIDER.add_span_processor(SimpleSpanProcessor(EXPORTER))
trace.set_tracer_provider(PROVIDER)


def spans():
    """Return the spans that have ended in this process, as data, and forget them."""
    found = [
        {
            "name": span.name,
            "kind": span.kind.name,
            "trace": span.context.trace_id,
            "id": span.context.span_id,
            "parent": None if span.parent is None else span.parent.span_id,
            "status": span.status.status_code.name,
            "text": span.status.description,
            "attributes": dict(span.attributes),
            "events": [event.name for event in span.events],
            "start": span.start_time,
            "end": span.end_time,
        }
        for span in EXPORTER.get_finished_spans()
    ]
    EXPORTER.clear()
    return found
