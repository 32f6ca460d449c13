"""A thread that looks out for calls in the place of the mailbox's loop, which runs in a thread of its own here."""

import asyncio
import functools
import select
import socket
import threading
import time

import pytest
from tests._worker.actors import ACTOR, PATIENCE, InThreads, Mortal, Wire, end_thread, executor_of, outcome_of

from actorio._model.concurrency import Rules
from actorio._transport.lookout import EpollLookout
from actorio._transport.serving import Connection, Server
from actorio._transport.sockets import listen
from actorio._wire.messages import LINK, Call, Cancel, Room, Way, encode
from actorio._wire.payload import dumps
from actorio._wire.peer import CallerPeer
from actorio._worker import threads
from actorio._worker.delivered import Delivered
from actorio._worker.early import EarlyEnds
from actorio._worker.executor import StopRequestedError

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll: the loop watches, and nobody else")
OWN = ACTOR[:LINK]


class AlwaysPolls:
    polls = True

    def __init__(self, *, is_allowed):
        pass

    def waited(self, seconds, *, polled):
        pass

    def held_up(self):
        pass


class Lookout(EpollLookout):
    """Says when a thread looks out."""

    def __init__(self, loop):
        super().__init__(loop)
        self.is_watched = threading.Event()
        self.faults = []

    def poll(self):
        if self.faults:
            raise self.faults.pop()
        self.is_watched.set()
        return super().poll()

    def give_back(self, rest=None):
        self.is_watched.clear()
        super().give_back(rest)


class Caller:
    """The other end of a connection."""

    def __init__(self, scene):
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(PATIENCE)
        theirs.setblocking(False)
        self.peer, self.answers = CallerPeer(), {}
        scene.in_loop(lambda: scene.server.connections.add(Connection(scene.server, theirs)))

    def call(self, *keys, method="plain", way=None, note=b""):
        frames = [self.peer.call(key, key, method, dumps(((key,), {})), way=way) for key in keys]
        self.sock.send(b"".join(frames) + note)

    def answer(self, key):
        while key not in self.answers:
            data = self.sock.recv(1 << 16)
            assert data, "cut off"
            replies = self.peer.receive(data)
            self.answers |= {token: outcome_of(token, reply, payload) for token, reply, payload in replies}
        return self.answers[key]


class Scene:
    """A threaded actor without a process."""

    def __init__(self, path, rules=Rules(1)):  # noqa: B008  # frozen
        self.loop = asyncio.SelectorEventLoop()
        # It says so when something is done in another thread that only its own may do.
        self.loop.set_debug(True)
        self.executor = executor_of(InThreads)
        self.log, self.gates = self.executor.instance.log, self.executor.instance.gates
        self.lookout, self.errors = Lookout(self.loop), []
        self.loop.set_exception_handler(lambda _, context: self.errors.append(context))
        early = functools.partial(EarlyEnds, self.loop, self.executor, 1.0, lambda _: None)
        self.dispatcher = Mortal(self.loop, self.executor, rules, end_thread, early, self.lookout)
        self.intake = self.dispatcher.intake
        self._serving = threading.Thread(target=self.loop.run_forever)
        self._serving.start()
        listener = listen(str(path / "actor"))
        self.in_loop(lambda: self._serve(listener))
        self.worker = threading.Thread(target=self._work, name="actor-1", daemon=True)
        self.stopped = threading.Event()

    def _serve(self, listener):
        self.server = Server(self.loop, listener, self.dispatcher.on_requests, list, self.intake, None, self.lookout)

    def _work(self):
        try:
            self.dispatcher.work()
        except StopRequestedError:
            self.stopped.set()

    def in_loop(self, action):
        done = threading.Event()
        self.loop.call_soon_threadsafe(lambda: (action(), done.set()))
        assert done.wait(PATIENCE)

    def look_out(self):
        """Begin to run calls; return when the thread looks out."""
        self.worker.start()
        assert self.lookout.is_watched.wait(PATIENCE)

    def close(self):
        for gate in self.gates.values():
            (gate[0] if type(gate) is tuple else gate).set()
        wire = Wire(self.log)
        workers = [each for each in threading.enumerate() if each.name.startswith("actor-")]
        for number in range(len(workers)):
            self.dispatcher._admitted.append(Delivered(wire, Call(number, "__ray_terminate__"), dumps(((), {}))))
            self.dispatcher._wakes.put(None)
        for worker in workers:
            worker.join(PATIENCE)
        self.in_loop(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._serving.join()
        self.loop.close()
        assert not self.errors


@pytest.fixture
def scene(monkeypatch, tmp_path):
    monkeypatch.setattr(threads, "Habit", AlwaysPolls)
    # Whoever looks out goes on until something has come.
    monkeypatch.setattr(threads, "SECONDS", 5.0)
    made = []

    def make(*args):
        made.append(Scene(tmp_path, *args))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def caller():
    made = []

    def make(scene):
        made.append(Caller(scene))
        return made[-1]

    yield make
    for each in made:
        each.sock.close()


def test_a_call_that_has_come_alone_is_run_by_the_thread_that_looked_out(scene, caller):
    here = scene()
    us = caller(here)
    here.look_out()
    us.call(0)
    assert us.answer(0) == "value"
    # Nobody else was woken for it.
    assert here.dispatcher._wakes.empty()


def test_several_calls_that_come_together_are_run_in_order(scene, caller):
    here = scene()
    us = caller(here)
    here.look_out()
    us.call(0, 1, 2, 3)
    assert us.answer(3) == "value"
    assert here.log.started == [0, 1, 2, 3]


def test_a_cancellation_that_comes_with_its_call_is_heeded(scene, caller):
    here = scene()
    us = caller(here)
    here.look_out()
    us.call(0, method="interruptible", note=encode(Cancel(0)))
    assert us.answer(0).startswith("cancelled")


@pytest.mark.parametrize("way", [Way(group="none"), Way(priority=3), Way(chain=OWN)])
def test_calls_that_are_not_like_the_others_are_answered_too(scene, caller, way):
    here = scene()
    us = caller(here)
    here.look_out()
    us.call(0, way=way)
    us.call(1)
    assert us.answer(1) == "value"
    assert us.answer(0) == ("no group" if way.group else "value")
    assert not here.intake._heads
    assert here.intake.mailbox.running == 0


def test_what_is_no_call_is_answered_too(scene, caller):
    here = scene()
    us = caller(here)
    here.look_out()
    us.sock.send(us.peer.ask(0, 0, Room(0)))
    assert us.answer(0) == "done"


def test_the_deadline_of_a_call_that_a_thread_has_taken_is_kept_by_the_loop(scene, caller):
    here = scene()
    us = caller(here)
    here.look_out()
    us.call(0, method="interruptible", way=Way(time.monotonic() + 0.05))
    assert us.answer(0).startswith("expired")


@pytest.mark.parametrize("rules", [Rules(1, bound=1), Rules(1, bound=1, policy="fail")])
def test_a_call_for_which_there_is_no_simple_room_is_offered_by_the_loop(scene, caller, rules, monkeypatch):
    here = scene(rules)
    offered, offer = [], here.intake.offer

    def note(call):
        offered.append(threading.current_thread())
        return offer(call)

    monkeypatch.setattr(here.intake, "offer", note)
    us = caller(here)
    here.look_out()
    us.call(0)
    assert us.answer(0) == "value"
    assert here.worker not in offered


def test_a_call_waits_by_way_of_the_loop_when_the_room_has_just_gone(scene, caller, monkeypatch):
    here = scene()
    us, mailbox = caller(here), here.intake.mailbox
    # A call that had lent its place goes on: one runs, and a thread looks out.
    mailbox.resume()
    offered, offer = [], here.intake.offer

    def note(call):
        offered.append((threading.current_thread(), offer(call)))
        return offered[-1][1]

    monkeypatch.setattr(here.intake, "offer", note)
    here.look_out()
    us.call(0)
    us.call(1, method="unknown")
    while len(mailbox) < 2:
        here.in_loop(lambda: None)
    assert offered == [(here._serving, False), (here._serving, False)]
    with here.dispatcher._lock:
        started = mailbox.finish()
        here.intake._heads += started
    here.dispatcher._start_all(started)
    assert us.answer(1) == "no method"


def test_a_caller_that_goes_is_seen_by_a_thread_that_looks_out(scene, caller):
    here = scene()
    us, other = caller(here), caller(here)
    here.look_out()
    us.sock.close()
    other.call(0)
    assert other.answer(0) == "value"
    while len(here.server.connections) > 1:
        here.in_loop(lambda: None)


def test_a_caller_that_breaks_the_protocol_is_cut_off_by_a_thread_that_looks_out(scene, caller, caplog):
    here = scene()
    us = caller(here)
    here.look_out()
    us.sock.send(b"\xff" * 64)
    assert us.sock.recv(1) == b""
    # It says so when it has closed the connection.
    here.in_loop(lambda: None)
    assert "a caller broke the protocol" in caplog.text


def test_whoever_calls_back_to_back_starves_nobody(scene, caller):
    here = scene()
    quick, others, is_over = caller(here), [caller(here) for _ in range(200)], threading.Event()
    here.look_out()

    def call_back_to_back():
        key = 1000
        while not is_over.is_set():
            quick.call(key)
            quick.answer(key)
            key += 1

    thread = threading.Thread(target=call_back_to_back)
    thread.start()
    try:
        for _ in range(3):
            for other in others:
                other.call(0)
            assert [other.answer(0) for other in others] == ["value"] * 200
            for other in others:
                other.answers.clear()
    finally:
        is_over.set()
        thread.join()


def test_the_loop_reads_again_when_a_thread_that_looked_out_was_stopped(scene, caller):
    here = scene()
    us = caller(here)
    # As the handler of a signal raises it.
    here.lookout.faults.append(StopRequestedError())
    here.worker.start()
    assert here.stopped.wait(PATIENCE)
    us.call(0)
    while not here.dispatcher._admitted:
        here.in_loop(lambda: None)
    assert here.lookout.take()
    here.lookout.give_back()


# -- deadlines, expected in any thread -----------------------------------------------------------------------------


class Meddling(Wire):
    """A connection at which, whenever it is looked at, another thread expects a call."""

    def __init__(self, log, meddle):
        super().__init__(log)
        self._meddle = meddle

    def is_open(self):
        self._meddle()
        return super().is_open()


def test_calls_are_expected_in_other_threads_while_the_alarm_rings():
    async def ring():
        loop, log = asyncio.get_running_loop(), executor_of(InThreads).instance.log
        ended, meddlers = [], []
        early = EarlyEnds(loop, executor_of(InThreads), 1.0, lambda _: None, None)
        early.end = lambda call, *_: ended.append(call.connection.peer.owed.pop(call.request.id).request.id)

        def expect(number, wire, seconds):
            call = Delivered(wire, Call(number, "plain", way=Way(time.monotonic() + seconds)), b"")
            wire.peer.owed[number] = call
            early.expect(call)

        def meddle():
            number = len(meddlers) + 10
            if number < 20:
                meddlers.append(threading.Thread(target=expect, args=(number, Wire(log), 0.01)))
                meddlers[-1].start()
                # Long enough to do it, if nothing keeps it from doing so.
                meddlers[-1].join(0.01)

        for number in range(3):
            expect(number, Meddling(log, meddle), 0.0)
        async with asyncio.timeout(PATIENCE):
            while len(ended) < 13:  # noqa: ASYNC110  # nobody says so
                await asyncio.sleep(0.001)
        for meddler in meddlers:
            meddler.join()
        return sorted(ended)

    assert asyncio.run(ring(), debug=True) == [0, 1, 2, *range(10, 20)]
