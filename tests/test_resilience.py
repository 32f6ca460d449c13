"""What must not stop the threads that read for everybody: deaths in bad moments, blocking callbacks, long chains."""

import os
import signal
import threading

import pytest

import actorio

PATIENCE = 20


@actorio.remote
class Plain:
    def echo(self, value=None):
        return value

    def fail(self):
        raise ValueError("failed")

    def pid(self):
        return os.getpid()

    def after(self, gate, value):
        actorio.get(gate.passing.remote())
        return value


@actorio.remote
class Gate:
    def __init__(self):
        import asyncio

        self.is_open = asyncio.Event()

    async def passing(self):
        await self.is_open.wait()

    async def open(self):
        self.is_open.set()


def test_a_held_call_whose_lane_dies_ends_and_stops_nobody_else(session):
    doomed, slow, other, gate = Plain.remote(), Plain.remote(), Plain.remote(), Gate.remote()
    pid = actorio.get(doomed.pid.remote())
    argument = slow.after.remote(gate, 1)
    held = doomed.echo.remote(argument)
    os.kill(pid, signal.SIGKILL)
    actorio.get(gate.open.remote())
    with pytest.raises(actorio.exceptions.ActorDiedError):
        actorio.get(held, timeout=PATIENCE)
    assert other.echo.remote(5).future().result(PATIENCE) == 5


def test_a_callback_of_a_future_may_wait_for_other_results(session):
    actor, seen, is_done = Plain.remote(), [], threading.Event()

    def wait_for_another(_):
        seen.append(actorio.get(actor.echo.remote(2), timeout=PATIENCE))
        is_done.set()

    ref = actor.echo.remote(1)
    ref.future().add_done_callback(wait_for_another)
    assert actorio.get(ref, timeout=PATIENCE) == 1
    assert is_done.wait(PATIENCE)
    assert seen == [2]


def test_a_failure_goes_through_a_chain_over_many_actors(session):
    actors = [Plain.options(max_concurrency=2).remote() for _ in range(60)]
    gate = Gate.remote()
    ref = refs = actors[0].after.remote(gate, 1)
    refs = [ref := actors[n % 60].echo.remote(ref) for n in range(600)]
    actorio.get(gate.open.remote())
    assert actorio.get(refs[-1], timeout=PATIENCE) == 1
    ref = actors[0].fail.remote()
    refs = [ref := actors[n % 60].echo.remote(ref) for n in range(600)]
    with pytest.raises(ValueError, match="failed"):
        actorio.get(refs[-1], timeout=PATIENCE)


def test_a_call_made_in_the_midst_of_another_is_sent_after_it(session):
    actor, made = Plain.remote(), []

    def on_alarm(*_):
        made.append(actor.echo.remote("from the handler"))
        # Anew each time, so that the handler does not interrupt itself.
        signal.setitimer(signal.ITIMER_REAL, 0.001)

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    try:
        for _ in range(30):
            assert actorio.get([actor.echo.remote(n) for n in range(100)], timeout=PATIENCE) == list(range(100))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert made
    assert set(actorio.get(made, timeout=PATIENCE)) == {"from the handler"}


def test_what_a_signal_handler_raises_while_arguments_are_pickled_is_not_the_arguments_fault(session):
    class Interrupted(Exception):
        pass

    class Slow:
        is_interrupted = False

        def __reduce__(self):
            if not Slow.is_interrupted:
                Slow.is_interrupted = True
                raise Interrupted
            return int, ()

    class Echo:
        def echo(self, value):
            return value

    actor = actorio.remote(Echo).remote()
    with pytest.raises(Interrupted):
        actor.echo.remote(Slow())
    assert actorio.get(actor.echo.remote(1)) == 1
