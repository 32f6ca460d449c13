"""What an actor tells of itself."""

import asyncio
import faulthandler
import subprocess
import sys
import threading
from time import monotonic

import msgspec
import pytest

from actorio._model.concurrency import Rules
from actorio._model.status import ActorStatistics
from actorio._wire.messages import Failure, Fetch, Inspect, Result, encode
from actorio._wire.peer import ActorPeer, CallerPeer
from actorio._worker.inspection import Meter, Stacks, describe_tasks, install_stack_dump, stacks
from actorio._worker.mailbox import Mailbox
from actorio._worker.wait_report import CallReport, WaitReport


class Connection:
    """A connection that keeps what it is given to send."""

    def __init__(self):
        self.peer = ActorPeer()
        self.sent = []

    def reply_now(self, frame):
        self.sent.append(frame)

    def ask(self, meter, mailbox, request):
        """Have one request answered; return the reply and its payload."""
        ((arrived, _),) = self.peer.receive(encode(request))
        meter.arrived += 1
        meter.answer(self, arrived, Intake(mailbox))
        caller = CallerPeer()
        caller.open[request.id] = None
        ((_, reply, payload),) = caller.receive(self.sent.pop())
        return reply, bytes(payload)


class Intake:
    """What stands around a mailbox."""

    def __init__(self, mailbox):
        self.mailbox = mailbox

    def waits(self, connection):
        return WaitReport(1, (CallReport("Bank.check", 12, len(connection.sent)),), ())


def a_mailbox(running, queued):
    mailbox = Mailbox(Rules(running))
    for number in range(running + queued):
        mailbox.offer(number)
    return mailbox


def test_calls_that_run_or_wait_have_not_ended():
    meter = Meter()
    meter.arrived = 10
    found = meter.statistics(a_mailbox(2, 3))
    assert found == ActorStatistics(calls=5, running=2, queued=3, median=None, slow=None)


def test_percentiles_are_of_the_calls_that_were_timed():
    meter = Meter()
    for milliseconds in range(1, 101):
        meter.note(monotonic() - milliseconds / 1000)
    found = meter.statistics(Mailbox(Rules(1)))
    assert found.median == pytest.approx(0.051, abs=0.01)
    assert found.slow == pytest.approx(0.1, abs=0.01)


def test_calls_of_long_ago_do_not_count(monkeypatch):
    meter = Meter()
    meter.note(monotonic() - 1)
    now = monotonic()
    monkeypatch.setattr("actorio._worker.inspection.monotonic", lambda: now + 60)
    assert meter.statistics(Mailbox(Rules(1))).median is None


def test_after_a_tiny_call_some_are_not_timed():
    meter = Meter()
    meter.note(monotonic())
    assert meter.skipped > 0
    meter.skipped = 0
    meter.note(monotonic() - 1)
    assert meter.skipped == 0


def test_a_question_is_answered_and_is_no_call():
    meter = Meter()
    reply, payload = Connection().ask(meter, a_mailbox(1, 2), Inspect(7, "stats"))
    assert reply == Result(7)
    assert msgspec.msgpack.decode(payload, type=ActorStatistics) == ActorStatistics(0, 1, 2, None, None)
    assert meter.arrived == 0


def test_who_waits_for_whom_is_told_by_what_stands_around_the_mailbox():
    _, payload = Connection().ask(Meter(), a_mailbox(1, 0), Inspect(7, "waits"))
    assert msgspec.msgpack.decode(payload, type=WaitReport).running == (CallReport("Bank.check", 12, 0),)


def test_another_request_is_declined():
    reply, _ = Connection().ask(Meter(), Mailbox(Rules(1)), Fetch(7, 1))
    assert isinstance(reply, Failure)


def test_stacks_name_threads_and_tasks():
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="waiting")
    thread.start()

    async def main():
        waiting = asyncio.ensure_future(outer())
        waiting.set_name("outer's")
        await asyncio.sleep(0)
        _, payload = Connection().ask(Meter(), Mailbox(Rules(1)), Inspect(1, "tasks"))
        waiting.cancel()
        return msgspec.msgpack.decode(payload, type=Stacks)

    try:
        found = asyncio.run(main())
    finally:
        release.set()
        thread.join()
    waiting = next(each for each in found.threads if each.name == "waiting")
    assert waiting.frames[-1].function == "Condition.wait"
    task = next(each for each in found.tasks if each.name == "outer's")
    functions = [frame.function for frame in task.frames]
    assert functions == ["outer", "inner", "Event.wait"]
    assert task.awaits == "a future"


async def outer():
    await inner()


async def inner():
    await asyncio.Event().wait()


def test_a_task_that_awaits_something_odd_is_described_too():
    class Odd:
        def __await__(self):
            return OddIterator()

    class OddIterator:
        # To any question about itself it answers with an error; the loop asks for this one.
        def __getattr__(self, name):
            raise AttributeError if name == "throw" else RuntimeError(name)

        def __iter__(self):
            return self

        def __next__(self):
            return None

    async def wait():
        await Odd()

    async def main():
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(wait())
        task.set_name("odd")
        await asyncio.sleep(0)
        found = next(each for each in describe_tasks(loop) if each.name == "odd")
        task.cancel()
        return found

    found = asyncio.run(main())
    assert found.awaits.endswith("OddIterator")
    assert [frame.function.rpartition(".")[2] for frame in found.frames] == ["wait"]


def test_stacks_can_be_told_outside_of_any_question():
    async def main():
        return stacks(asyncio.get_running_loop())

    assert asyncio.run(main()).threads


def test_a_signal_has_the_stacks_written_again_and_again(tmp_path):
    path = tmp_path / "actor.stack"
    program = """
import os, signal, sys
from actorio._worker.inspection import install_stack_dump
install_stack_dump(sys.argv[1])
def here():
    os.kill(os.getpid(), signal.SIGUSR1)
here()
here()
"""
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=60)
    assert path.read_text().count("in here\n") == 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_where_no_file_can_be_made_the_actor_lives_on_without_dumps(tmp_path):
    was_enabled = faulthandler.is_enabled()
    install_stack_dump(str(tmp_path / "none" / "actor.stack"))
    assert faulthandler.is_enabled() == was_enabled
