"""Spans of OpenTelemetry: one at the caller, two in the actor, in one trace, whatever becomes of the call."""

import asyncio
import subprocess
import sys
import threading

import pytest

import actorio
from actorio._model import propagation
from actorio.exceptions import ActorDiedError
from actorio.util import trace_calls, trace_context

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry import trace
from tests import telemetry

# Whether an actor has OpenTelemetry is what is tested: it is in none before its class is.
SESSION_OPTIONS = {"preload": []}

PARENT = f"00-{'1' * 32}-{'2' * 16}-01"


class Threaded:
    """Its module imports the set-up, in the actor, too."""

    def add(self, a, b):
        with trace.get_tracer("test").start_as_current_span("inside"):
            return a + b

    def fail(self):
        raise ValueError("no")

    def ask(self, other):
        return actorio.get(other.add.remote(1, 2))

    def count(self, n):
        yield from range(n)

    def headers(self):
        return actorio.get_runtime_context().get_trace_headers()

    def spans(self):
        return telemetry.spans()

    def die(self):
        import os

        os._exit(1)


class Asynchronous(Threaded):
    def __init__(self):
        self.gate = asyncio.Event()

    async def wait(self):
        await self.gate.wait()
        return trace.get_current_span().get_span_context().span_id

    async def open(self):
        self.gate.set()

    async def ask(self, other):
        return await other.add.remote(1, 2)


def one(spans, name, kind):
    """Return the one span of a name and kind."""
    found = [span for span in spans if (span["name"], span["kind"]) == (name, kind)]
    assert len(found) == 1, spans
    return found[0]


@pytest.fixture(autouse=True)
def traced(monkeypatch):
    """Trace the calls of a test, and only of tests here."""
    monkeypatch.setattr(propagation.CARRIED, "tracer", None)
    trace_calls()
    telemetry.spans()


@pytest.fixture(params=[Threaded, Asynchronous])
def actor(request, session):
    return actorio.remote(request.param).remote()


@pytest.fixture
def root():
    with trace.get_tracer("test").start_as_current_span("root") as span:
        yield span.get_span_context()


def untraced(method, *args):
    """Make a call outside of any trace; return its value."""
    tracer, propagation.CARRIED.tracer = propagation.CARRIED.tracer, None
    try:
        return actorio.get(method.remote(*args))
    finally:
        propagation.CARRIED.tracer = tracer


def test_a_call_has_three_spans_in_the_callers_trace(actor, root):
    assert actorio.get(actor.add.remote(1, 2)) == 3
    here, there = telemetry.spans(), untraced(actor.spans)
    name = untraced(actor.__ray_call__, lambda self: type(self).__name__)
    caller = one(here, f"{name}/add", "CLIENT")
    queue, run = one(there, f"{name}/add queue", "INTERNAL"), one(there, f"{name}/add", "SERVER")
    inside = one(there, "inside", "INTERNAL")
    assert {span["trace"] for span in (caller, queue, run, inside)} == {root.trace_id}
    assert caller["parent"] == root.span_id
    assert queue["parent"] == run["parent"] == caller["id"]
    assert inside["parent"] == run["id"]
    assert caller["start"] <= queue["start"] <= queue["end"] <= run["start"] <= run["end"]
    standard = {"rpc.system": "actorio", "rpc.service": name, "rpc.method": "add"}
    assert caller["attributes"] == standard
    assert run["attributes"].pop("actorio.call_id")
    assert run["attributes"] == standard
    assert {span["status"] for span in (caller, queue, run)} == {"UNSET"}


def test_a_call_that_fails_says_so_on_both_sides(actor, root):
    with pytest.raises(ValueError, match="no"):
        actorio.get(actor.fail.remote())
    (caller,) = telemetry.spans()
    run = next(span for span in untraced(actor.spans) if span["kind"] == "SERVER")
    for span in (caller, run):
        assert (span["status"], span["text"]) == ("ERROR", "no")
        assert span["attributes"]["error.type"] == "ValueError"
    assert run["events"] == ["exception"]


def test_a_call_whose_actor_dies_ends_its_span(root, session):
    mortal = actorio.remote(Threaded).remote()
    with pytest.raises(ActorDiedError):
        actorio.get(mortal.die.remote())
    (caller,) = telemetry.spans()
    assert (caller["status"], caller["attributes"]["error.type"]) == ("ERROR", "ActorDiedError")


def test_calls_that_a_method_makes_are_its_children(actor, root):
    other = actorio.remote(Threaded).remote()
    assert actorio.get(actor.ask.remote(other)) == 3
    between, last = untraced(actor.spans), untraced(other.spans)
    run = next(span for span in between if span["kind"] == "SERVER")
    call = one(between, "Threaded/add", "CLIENT")
    assert call["parent"] == run["id"]
    assert one(last, "Threaded/add", "SERVER")["parent"] == call["id"]


def test_a_stream_is_one_call(actor, root):
    assert list(actor.count.stream(3)) == [0, 1, 2]
    assert [span["kind"] for span in telemetry.spans()] == ["CLIENT"]
    assert sorted(span["kind"] for span in untraced(actor.spans)) == ["INTERNAL", "SERVER"]


def test_a_call_with_several_results_is_one_call(actor, root):
    actorio.get(actor.add.options(num_returns=2).remote((1,), (2,)))
    assert [span["kind"] for span in telemetry.spans()] == ["CLIENT"]


def test_a_task_is_called_by_its_own_name(root, session):
    def number():
        from tests import telemetry

        return telemetry.spans()

    # The function's imports come with it, and with them the set-up: that is in time for its own span.
    task = actorio.remote(number)
    actorio.get(task.remote())
    spans = actorio.get(task.remote())
    assert one(spans, "number queue", "INTERNAL")["trace"] == root.trace_id
    assert [span["name"] for span in telemetry.spans()] == ["number", "number"]


def test_calls_that_run_at_once_each_have_their_span_as_the_current_one(session):
    actor = actorio.remote(Asynchronous).remote()
    refs = [actor.wait.remote() for _ in range(5)]
    untraced(actor.open)
    ids = actorio.get(refs)
    assert [span["id"] for span in untraced(actor.spans) if span["kind"] == "SERVER"] == ids
    assert len(set(ids)) == 5


def test_a_call_without_a_span_around_it_begins_a_trace_or_continues_the_headers(actor):
    actorio.get(actor.add.remote(1, 2))
    with trace_context(PARENT):
        actorio.get(actor.add.remote(1, 2))
    first, second = telemetry.spans()
    assert first["parent"] is None
    assert (second["trace"], second["parent"]) == (int("1" * 32, 16), int("2" * 16, 16))


def test_the_headers_in_a_method_are_those_of_its_own_span(actor, root):
    headers = actorio.get(actor.headers.remote())
    run = next(span for span in untraced(actor.spans) if span["kind"] == "SERVER")
    assert list(headers) == ["traceparent"]
    assert headers["traceparent"].startswith(f"00-{run['trace']:032x}-{run['id']:016x}-")


def test_an_actor_that_does_not_use_opentelemetry_hands_the_trace_on(root, session):
    class Bare:
        """Local, so that it is sent by value, and its actor does not import this module."""

        def ask(self, other):
            return "opentelemetry" in sys.modules, actorio.get(other.headers.remote())

    bare, last = actorio.remote(Bare).remote(), actorio.remote(Threaded).remote()
    has_imported, headers = actorio.get(bare.ask.remote(last))
    assert not has_imported
    (caller,) = telemetry.spans()
    run = one(untraced(last.spans), "Threaded/headers", "SERVER")
    assert (run["trace"], run["parent"]) == (root.trace_id, caller["id"])
    assert f"{run['id']:016x}" in headers["traceparent"]


def test_tracing_that_breaks_breaks_no_call(actor, monkeypatch, caplog):
    monkeypatch.setattr(telemetry.PROVIDER, "get_tracer", None)
    monkeypatch.setattr(trace, "get_tracer", threading.Lock)
    assert actorio.get(actor.add.remote(1, 2)) == 3
    assert "is not traced" in caplog.text


def test_nothing_of_opentelemetry_is_imported_by_itself():
    program = (
        "import sys, actorio, contextvars; from actorio.util import propagate, trace_context, trace_calls; "
        "propagate(contextvars.ContextVar('v')); print([name for name in sys.modules if 'opentelemetry' in name])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout == "[]\n"


def test_without_opentelemetry_trace_calls_says_what_to_install(monkeypatch):
    monkeypatch.setattr(propagation.CARRIED, "tracer", None)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "actorio._caller.tracing", raising=False)
    with pytest.raises(ImportError, match=r"actorio-node\[tracing\]"):
        trace_calls()
