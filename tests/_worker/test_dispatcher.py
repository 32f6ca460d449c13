"""Both dispatchers, driven through drawn schedules beside one model of what may run when."""

import asyncio
import contextlib
import contextvars
import functools
import sys
import threading

import cloudpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorio._model.birth import Birth
from actorio._model.concurrency import Rules
from actorio._model.definition import ClassDefinition
from actorio._model.failure import TaskFailure
from actorio._wire.messages import Failure, Result
from actorio._wire.payload import dumps, loads
from actorio._wire.peer import ActorPeer, CallerPeer
from actorio._worker import threads
from actorio._worker.dispatcher import LoopDispatcher
from actorio._worker.early import EarlyEnds
from actorio._worker.executor import Executor
from actorio._worker.threads import ThreadDispatcher

# How long a thread may take to get where it must: only a test that fails takes so long.
PATIENCE = 20
LIMITS = st.integers(1, 4)

# A batch is what arrives at once: caller and what it wants. A release ends one of the calls that run.
WANTS = st.sampled_from(["gated", "gated", "plain", "raising", "unknown", "fetch"])
BATCH = st.tuples(st.integers(0, 1), st.lists(WANTS, min_size=1, max_size=6))
RELEASE = st.tuples(st.integers(0, 9), st.sampled_from(["value", "error"]))
SCHEDULES = st.lists(BATCH | RELEASE, max_size=25)


class Log:
    """What has happened to calls, as the actor's methods and the connections see it."""

    def __init__(self):
        self.changed = threading.Condition()
        self.started = []
        self.answered = []
        self.running = 0
        self.most = 0

    @contextlib.contextmanager
    def run(self, key):
        with self.changed:
            self.started.append(key)
            self.running += 1
            self.most = max(self.most, self.running)
            self.changed.notify_all()
        try:
            yield
        finally:
            with self.changed:
                self.running -= 1

    def note_answer(self, key):
        with self.changed:
            self.answered.append(key)
            self.changed.notify_all()

    def wait_for(self, condition):
        with self.changed:
            return self.changed.wait_for(condition, PATIENCE)


class Plain:
    """What both kinds of actors have."""

    def __init__(self):
        self.log = Log()
        self.gates = {}

    def plain(self, key):
        with self.log.run(key):
            return key

    def raising(self, key):
        with self.log.run(key):
            raise ValueError(key)

    def leave(self):
        sys.exit(3)


class OnLoop(Plain):
    async def gated(self, key):
        gate = self.gates[key] = asyncio.get_running_loop().create_future()
        with self.log.run(key):
            return await gate


class InThreads(Plain):
    def gated(self, key):
        gate, outcome = self.gates[key] = threading.Event(), []
        with self.log.run(key):
            assert gate.wait(PATIENCE)
        if outcome[0] == "error":
            raise ValueError(key)
        return key


def executor_of(cls):
    birth = Birth(
        actor_id="ab" * 16,
        name=cls.__name__,
        address="",
        session="",
        class_payload=cloudpickle.dumps(cls),
        definition=dumps(ClassDefinition.of(cls)),
        arguments=dumps(((), {})),
        is_async=cls is OnLoop,
        max_concurrency=1,
        allow_blocking_get=False,
        stall_limit=1.0,
        surroundings=b"",
    )
    executor = Executor(birth)
    executor.construct((), {})
    return executor


class Wire:
    """A connection without a socket: both peers of a lane, joined. A second answer is a protocol error."""

    def __init__(self, log):
        self.peer = ActorPeer()
        self.caller = CallerPeer()
        self.answers = {}
        self._log = log
        self._lock = threading.Lock()

    def requests(self, wanted):
        """Return a batch as it comes off the wire: keys and what each wants."""
        data = b""
        for key, want in wanted:
            if want == "fetch":
                data += self.caller.fetch(key, key, 5)
            else:
                data += self.caller.call(key, key, want, dumps(((), {}) if want == "leave" else ((key,), {})))
        return self.peer.receive(data)

    def reply_soon(self, frame):
        with self._lock:
            ((key, reply, payload),) = self.caller.receive(frame)
            self.answers[key] = (reply, payload)
        self._log.note_answer(key)

    reply_last = reply_soon

    def reply_now(self, frame, *, more_follow=False):  # what is kept leaves soon
        self.reply_soon(frame)


class Model:
    """What must have started, run and been answered once everything that can happen has happened."""

    def __init__(self, limit):
        self.limit = limit
        self.waiting = []
        self.started = []
        self.running = []
        # Each key with what its answer is.
        self.answered = {}
        self.wants = {}

    def offer(self, key, want):
        self.wants[key] = want
        if want == "fetch":
            self.answered[key] = "declined"
        else:
            self.waiting.append(key)

    def release(self, key, outcome):
        self.running.remove(key)
        self.answered[key] = outcome

    def settle(self):
        while self.waiting and len(self.running) < self.limit:
            key = self.waiting.pop(0)
            want = self.wants[key]
            if want != "unknown":
                self.started.append(key)
            if want == "gated":
                self.running.append(key)
            else:
                self.answered[key] = {"plain": "value", "raising": "error", "unknown": "no method"}[want]


def outcome_of(key, reply, payload):
    """Return what an answer says, in the model's words."""
    if isinstance(reply, Result):
        assert loads(payload) == key
        return "value"
    assert isinstance(reply, Failure)
    if reply.is_pickled_error:
        assert "Fetch" in str(loads(payload))
        return "declined"
    failure = TaskFailure.decode(bytes(payload))
    if failure.type_name == "AttributeError":
        return "no method"
    assert (failure.type_name, failure.message) == ("ValueError", str(key))
    return "error"


def drive(schedule, model, executor, offer, release, settle):
    """Play a schedule, comparing with the model whenever everything has settled, and end all that runs."""
    wires = [Wire(executor.instance.log), Wire(executor.instance.log)]
    keys = 0

    def compare():
        model.settle()
        settle()
        answers = {key: outcome_of(key, *answer) for wire in wires for key, answer in wire.answers.items()}
        assert answers == model.answered
        assert len(executor.instance.log.answered) == len(answers)

    for step in schedule:
        if isinstance(step[1], list):
            wanted = list(enumerate(step[1], keys))
            keys += len(wanted)
            for key, want in wanted:
                model.offer(key, want)
            offer(wires[step[0]], wires[step[0]].requests(wanted))
        elif model.running:
            key = model.running[step[0] % len(model.running)]
            model.release(key, step[1])
            release(key, step[1])
        compare()
    while model.running:
        key = model.running[0]
        model.release(key, "value")
        release(key, "value")
        compare()
    assert set(model.answered) == set(range(keys))
    assert not {**wires[0].peer.owed, **wires[1].peer.owed}
    assert executor.instance.log.most <= model.limit


# -- on a loop -----------------------------------------------------------------------------------------------------


def early(loop, executor):
    return functools.partial(EarlyEnds, loop, executor, 5.0, lambda _: None)


class Watch:
    """A stall watch that only counts."""

    noticed = 0

    def notice(self):
        self.noticed += 1


@contextlib.contextmanager
def loop_dispatcher(limit, end=None):
    loop, executor = asyncio.new_event_loop(), executor_of(OnLoop)
    try:
        yield (
            loop,
            executor,
            LoopDispatcher(loop, executor, Rules(limit), Watch(), end or pytest.fail, early(loop, executor)),
        )
    finally:
        loop.close()


def turn(loop, times=20):
    """Let a loop go round until nothing is left to do: each step of a call takes one round."""

    async def rounds():
        for _ in range(times):
            await asyncio.sleep(0)

    loop.run_until_complete(rounds())


@given(LIMITS, SCHEDULES)
def test_a_loop_runs_calls_as_the_model_says(limit, schedule):
    model = Model(limit)
    with loop_dispatcher(limit) as (loop, executor, dispatcher):
        log, gates = executor.instance.log, executor.instance.gates

        def release(key, outcome):
            if outcome == "value":
                gates[key].set_result(key)
            else:
                gates[key].set_exception(ValueError(key))

        def settle():
            turn(loop)
            assert log.started == model.started
            assert dispatcher.is_running() == bool(model.running)

        drive(schedule, model, executor, dispatcher.on_requests, release, settle)
        assert not dispatcher._tasks


def play_on_loop(limit, *wanted):
    with loop_dispatcher(limit) as (loop, executor, dispatcher):
        wire = Wire(executor.instance.log)
        dispatcher.on_requests(wire, wire.requests(list(enumerate(wanted))))
        turn(loop)
        started = list(executor.instance.log.started)
        for _ in wanted:
            for gate in executor.instance.gates.values():
                gate.cancel()
            turn(loop)
        return started, wire


@pytest.mark.parametrize("limit", [3, 1000])
def test_a_plain_method_does_not_overtake_a_coroutine(limit):
    assert play_on_loop(limit, "gated", "plain", "gated")[0] == [0, 1, 2]


def test_a_coroutine_that_waits_for_its_turn_is_not_overtaken():
    assert play_on_loop(1, "gated", "gated", "plain")[0] == [0]


def test_a_cancelled_method_is_answered_as_cancelled_and_the_next_one_starts():
    _, wire = play_on_loop(1, "gated", "plain")
    reply, payload = wire.answers[0]
    assert isinstance(reply, Failure)
    assert TaskFailure.decode(bytes(payload)).kind == "cancelled"
    assert isinstance(wire.answers[1][0], Result)


def test_the_watch_is_told_of_every_batch():
    with loop_dispatcher(1) as (_, _, dispatcher):
        dispatcher.on_requests(Wire(Log()), [])
        assert dispatcher._watch.noticed == 1


def test_a_method_that_exits_ends_an_actor_on_a_loop_without_an_answer():
    codes = []
    with loop_dispatcher(1, lambda end: codes.append(end.code)) as (loop, executor, dispatcher):
        wire = Wire(executor.instance.log)
        dispatcher.on_requests(wire, wire.requests([(0, "leave"), (1, "plain")]))
        turn(loop)
    assert (codes, wire.answers, executor.instance.log.started) == ([3], {}, [])


# -- in threads ----------------------------------------------------------------------------------------------------


class Mortal(ThreadDispatcher):
    """Where a process would end, one of its threads does."""

    def work(self):
        with contextlib.suppress(SystemExit):
            super().work()


class Threads:
    """A dispatcher with a first worker, as an actor's main thread is; ends every thread that it has made."""

    def __init__(self, limit):
        self.limit = limit
        self.executor = executor_of(InThreads)
        self.codes = []
        # For timers alone, which are not to ring here.
        self.loop = loop = asyncio.new_event_loop()
        self.dispatcher = Mortal(loop, self.executor, Rules(limit), self._end, early(loop, self.executor))
        self.first = threading.Thread(target=self.dispatcher.work, name="actor-1", daemon=True)

    def _end(self, _dispatcher, end):
        self.codes.append(end.code)
        raise SystemExit

    def __enter__(self):
        self.first.start()
        return self

    def __exit__(self, *_):
        # As many calls as may run at once, each of which ends the thread that runs it.
        wire = Wire(self.executor.instance.log)
        self.dispatcher.on_requests(wire, wire.requests([(key, "leave") for key in range(self.limit)]))
        for thread in threading.enumerate():
            if thread.name.startswith("actor-"):
                thread.join(PATIENCE)
        self.loop.close()
        assert self.codes == [3] * self.limit
        assert wire.answers == {}


@settings(max_examples=settings().max_examples // 2)
@given(LIMITS, SCHEDULES)
def test_threads_run_calls_as_the_model_says(limit, schedule):
    model = Model(limit)
    with Threads(limit) as actor:
        log, gates = actor.executor.instance.log, actor.executor.instance.gates

        def release(key, outcome):
            gate, outcomes = gates[key]
            outcomes.append(outcome)
            gate.set()

        def settle():
            log.wait_for(lambda: len(log.started) >= len(model.started) and len(log.answered) >= len(model.answered))
            # Two threads that start at once may do so in either order; one alone keeps to the order of the calls.
            assert sorted(log.started) == model.started
            assert limit > 1 or log.started == model.started

        drive(schedule, model, actor.executor, actor.dispatcher.on_requests, release, settle)


def test_a_call_is_not_overtaken_because_its_thread_is_slow_to_start(monkeypatch):
    postponed = []

    class SlowThread(threading.Thread):
        def start(self):
            postponed.append(super().start)

    monkeypatch.setattr(threads.threading, "Thread", SlowThread)
    actor = Threads(2)
    executor, dispatcher = actor.executor, actor.dispatcher
    wire = Wire(executor.instance.log)
    # The second call is for the slow thread; the third has to wait until one of two has ended.
    dispatcher.on_requests(wire, wire.requests([(0, "plain"), (1, "plain"), (2, "plain"), (3, "leave"), (4, "leave")]))
    # In a context of its own: what a call leaves in the context is not the other tests' business.
    contextvars.copy_context().run(dispatcher.work)
    for start in postponed:
        start()
    for thread in threading.enumerate():
        if thread.name == "actor-2":
            thread.join(PATIENCE)
    actor.loop.close()
    assert actor.codes == [3, 3]
    assert executor.instance.log.started == [0, 1, 2]


def test_threads_are_started_as_they_are_needed_and_no_more_than_may_run():
    with Threads(3) as actor:
        wire = Wire(actor.executor.instance.log)
        log, gates = actor.executor.instance.log, actor.executor.instance.gates
        assert actor.dispatcher._threads == 1
        for count in range(1, 6):
            actor.dispatcher.on_requests(wire, wire.requests([(count, "gated")]))
            assert log.wait_for(lambda count=count: len(log.started) == min(count, 3))
            assert actor.dispatcher._threads == min(count, 3)
        for key in range(1, 6):
            assert log.wait_for(lambda key=key: key in gates)
            gates[key][1].append("value")
            gates[key][0].set()
        assert log.wait_for(lambda: len(log.answered) == 5)


def test_requests_that_are_no_calls_are_declined_while_every_thread_is_busy():
    with Threads(1) as actor:
        wire = Wire(actor.executor.instance.log)
        log = actor.executor.instance.log
        actor.dispatcher.on_requests(wire, wire.requests([(0, "gated"), (1, "fetch")]))
        assert outcome_of(1, *wire.answers[1]) == "declined"
        assert log.wait_for(lambda: log.started == [0])
        actor.executor.instance.gates[0][1].append("value")
        actor.executor.instance.gates[0][0].set()
        assert log.wait_for(lambda: len(log.answered) == 2)
