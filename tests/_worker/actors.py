"""Actors whose methods end when a test says so, wires without sockets, and a loop whose clock is the test's."""

import asyncio
import contextlib
import functools
import selectors
import threading

import cloudpickle

import actorio
from actorio._model.birth import Birth
from actorio._model.definition import ClassDefinition
from actorio._model.errors import GetTimeoutError, PendingCallsLimitExceeded, TaskCancelledError
from actorio._model.failure import TaskFailure
from actorio._wire.messages import Result
from actorio._wire.payload import NONE, dumps, loads
from actorio._wire.peer import ActorPeer, CallerPeer
from actorio._worker.executor import Executor
from actorio._worker.threads import ThreadDispatcher

ACTOR = "ab" * 16
# How long a thread may take to get where it must: only a test that fails takes so long.
PATIENCE = 20
_MOST_ROUNDS = 1000

# -- the actor -----------------------------------------------------------------------------------------------------


class Log:
    """What has happened to calls, as the actor's methods and the connections see it."""

    def __init__(self):
        self.changed = threading.Condition()
        self.started, self.running, self.check = [], [], lambda _: None

    @contextlib.contextmanager
    def run(self, key):
        with self.changed:
            self.started.append(key)
            self.running.append(key)
            self.check(key)
            self.changed.notify_all()
        try:
            yield
        finally:
            with self.changed:
                self.running.remove(key)
                self.changed.notify_all()

    def notify(self):
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, condition):
        with self.changed:
            return self.changed.wait_for(condition, PATIENCE)


class Methods:
    def __init__(self):
        self.log = Log()
        self.gates = {}

    def plain(self, key):
        with self.log.run(key):
            return key

    quick = plain

    def raising(self, key):
        with self.log.run(key):
            raise ValueError(key)


class OnLoop(Methods):
    async def gated(self, key):
        with self.log.run(key):
            return await self.gate(key)

    async def stubborn(self, key):
        with self.log.run(key):
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    return await self.gate(key)

    async def swallowing(self, key):
        with contextlib.suppress(asyncio.CancelledError):
            return await self.gated(key)

    def gate(self, key):
        gate = self.gates[key] = asyncio.get_running_loop().create_future()
        return gate

    one = rated = gated

    @actorio.method(thread=True)
    def in_a_thread(self, key):
        gate = self.gates[key] = threading.Event()
        with self.log.run(key):
            assert gate.wait(PATIENCE)
            return key

    @actorio.method(reentrant=True)
    async def again(self, key):
        return await self.gated(key)


class InThreads(Methods):
    def gated(self, key):
        gate, outcome = self.gates[key] = threading.Event(), []
        with self.log.run(key):
            assert gate.wait(PATIENCE)
        if outcome[0] == "error":
            raise ValueError(key)
        return key

    one = rated = gated

    @actorio.method(interruptible=True)
    def interruptible(self, key):
        gate, outcome = self.gates[key] = threading.Event(), []
        with self.log.run(key):
            # A thread hears of an interruption between two steps of Python.
            while not gate.wait(0.001):
                pass
        if outcome[0] == "error":
            raise ValueError(key)
        return key

    @actorio.method(reentrant=True)
    def again(self, key):
        return self.gated(key)


@functools.cache
def birth_of(cls):
    return Birth(
        actor_id=ACTOR,
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


def executor_of(cls):
    made = Executor(birth_of(cls))
    made.construct((), {})
    return made


class Wire:
    """A connection without a socket: both peers of a lane, joined. A second answer is a protocol error."""

    def __init__(self, log):
        self.peer, self.caller = ActorPeer(), CallerPeer()
        self.outflows = {}
        # What each request was answered; how often the mailbox was said to be full.
        self.answers, self.full = {}, 0
        self.is_lost = False
        self._log = log

    def is_open(self):
        return not self.is_lost

    def reply_now(self, frame, *, more_follow=False):  # what is kept leaves soon
        with self._log.changed:
            replies = self.caller.receive(frame)
            # Told that a call whose time is up is about to end, or that the mailbox is full.
            self.full += not replies and not self.caller.ending
            self.caller.ending.clear()
            self.answers |= {key: outcome_of(key, reply, payload) for key, reply, payload in replies}
            self._log.changed.notify_all()

    reply_soon = reply_last = reply_now


def outcome_of(key, reply, payload):
    """Return what an answer says, in the words of the expectation."""
    if isinstance(reply, Result):
        assert bytes(payload) == NONE or loads(payload) == key
        return "done" if bytes(payload) == NONE else "value"
    if reply.is_pickled_error:
        error = loads(payload)
        words = str(error)
        kinds = {
            GetTimeoutError: "expired",
            PendingCallsLimitExceeded: "dropped",
            TaskCancelledError: "cancelled",
            ValueError: "refused",
        }
        outcome = kinds[type(error)]
    else:
        failure = TaskFailure.decode(bytes(payload))
        words = failure.message
        if failure.kind == "cancelled":
            outcome = "cancelled"
        elif failure.type_name == "AttributeError":
            outcome = "no method"
        else:
            assert failure.type_name == "ValueError"
            outcome = "error" if words == str(key) else "no group"
    if "before it began" in words:
        return f"{outcome} before it began"
    return f"{outcome} and still runs" if "still runs" in words else outcome


# -- the clock -----------------------------------------------------------------------------------------------------


class Selector(selectors.DefaultSelector):
    """Looks, and does not wait."""

    def select(self, timeout=None):
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """A loop whose time is what it is told."""

    def __init__(self):
        super().__init__(Selector())
        self.now = 1000.0

    def time(self):
        return self.now

    def turn(self):
        """Goes round until nothing is left to do now."""
        for _ in range(_MOST_ROUNDS):
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready and not any(timer.when() <= self.now for timer in self._scheduled):
                return
        raise AssertionError("the loop goes round for ever")


class Watch:
    def notice(self):
        pass


class Mortal(ThreadDispatcher):
    """Where a process would end, one of its threads does."""

    def work(self):
        with contextlib.suppress(SystemExit):
            super().work()


def end_thread(*_):
    raise SystemExit
