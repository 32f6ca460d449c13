"""A thread that polls for its results: signals that come meanwhile are handled, and others are not forgotten."""

import os
import signal
import socket
import threading

import pytest

from actorio._caller import pump as pump_module
from actorio._caller.pump import Pump
from actorio._caller.waiting import Waiter

# How long anything may take, in seconds: only a test that fails takes so long.
PATIENCE = 20


class Result:
    """Pending until somebody says that it is done; keeps who is to be told."""

    only_wakes = False

    def __init__(self):
        self.state, self.callbacks = pump_module.PENDING, []

    def add_callback(self, callback):
        self.callbacks.append(callback)

    def discard_callback(self, callback):
        self.callbacks.remove(callback)

    def complete(self):
        self.state = "done"
        for callback in self.callbacks:
            callback(self)


class Lane:
    """One byte that arrives completes a result."""

    loop = None

    def __init__(self, pump):
        self.ours, self.sock = socket.socketpair()
        self.sock.setblocking(False)
        self.results, self._pump = [], pump
        pump.add(self)

    def read(self):
        for _ in self.sock.recv(100):
            self.results.pop(0).complete()

    def close(self):
        if self.sock.fileno() >= 0:
            self._pump.forget(self)
            self.ours.close()
            self.sock.close()


class Habit:
    polls = True

    def waited(self, seconds, *, polled):
        pass

    def held_up(self):
        pass


class Poller:
    """Does something at each of the first looks."""

    def __init__(self, poller, *actions):
        self._poller, self._actions = poller, list(actions)

    def __getattr__(self, name):
        return getattr(self._poller, name)

    def poll(self, timeout=None):
        if self._actions:
            self._actions.pop(0)()
        return self._poller.poll(timeout)


@pytest.fixture
def pump(monkeypatch):
    made = Pump()
    made._habit = Habit()
    yield made
    if not made._is_closed:
        made.close()


@pytest.fixture
def lane(pump):
    made = Lane(pump)
    yield made
    made.close()


@pytest.fixture
def default_sigint():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("default_sigint")
def test_ctrl_c_while_it_is_polled_is_raised_and_the_lane_stays_whole(pump, lane):
    result = Result()
    lane.results.append(result)
    pump._poller = Poller(pump._poller, lambda: None, press)
    with pytest.raises(KeyboardInterrupt):
        pump.wait_for_one(result)
    # Nobody waits any more, and nobody reads.
    assert not result.callbacks
    assert not pump._lead.locked()
    lane.ours.send(b"1")
    assert pump.wait_for_one(result)


@pytest.mark.usefixtures("default_sigint")
def test_ctrl_c_that_comes_with_a_result_loses_neither(pump, lane):
    result = Result()
    lane.results.append(result)
    pump._poller = Poller(pump._poller, lambda: (press(), lane.ours.send(b"1")))
    with pytest.raises(KeyboardInterrupt):
        pump.wait_for_one(result)
    assert result.state == "done"


@pytest.mark.parametrize("looks", [0, 3])
def test_a_signal_handler_may_end_the_session_while_it_is_polled(pump, lane, looks):
    result = Result()
    before = signal.signal(signal.SIGALRM, lambda *_: (lane.close(), result.complete(), pump.close()))
    pump._poller = Poller(pump._poller, *[lambda: None] * looks, lambda: signal.raise_signal(signal.SIGALRM))
    try:
        assert pump.wait_for_one(result)
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("seconds", [0.0, 100.0])
def test_a_result_that_another_thread_completes_ends_the_wait(pump, lane, monkeypatch, seconds):
    monkeypatch.setattr(pump_module, "SECONDS", seconds)
    result, looked = Result(), threading.Event()
    pump._poller = Poller(pump._poller, looked.set)
    other = threading.Thread(target=lambda: (looked.wait(PATIENCE), result.complete()))
    other.start()
    assert pump.wait_for_one(result)
    other.join()


def test_whoever_follows_leads_when_the_one_who_polled_has_its_result(pump, lane):
    first, second, looked = Result(), Result(), threading.Event()
    lane.results += [first, second]
    pump._poller = Poller(pump._poller, looked.set)

    def lead():
        assert pump.wait_for_one(first)

    leader = threading.Thread(target=lead)
    leader.start()
    assert looked.wait(PATIENCE)

    def follow():
        waiter = Waiter(pump, 1, fails_fast=False)
        second.add_callback(waiter)
        pump.wait(waiter, None)

    follower = threading.Thread(target=follow)
    follower.start()
    lane.ours.send(b"1")
    leader.join(PATIENCE)
    lane.ours.send(b"1")
    follower.join(PATIENCE)
    assert (first.state, second.state) == ("done", "done")
