"""What an actor tells of its calls."""

import os
import socket

import pytest

from actorio._caller.pending import VALUE, PendingResult
from actorio._transport.sockets import peer_pid
from actorio._wire.messages import Call, Way
from actorio._wire.payload import dumps
from actorio._worker.delivered import Delivered
from actorio._worker.wait_report import MOST_QUEUED, MOST_RUNNING, MOST_WAITS, CallReport, Wait, report

MAKER = 12


class Connection:
    """A caller's connection, with the calls that it is owed answers to."""

    def __init__(self):
        self.peer = self
        self.owed = {}

    def maker(self):
        return MAKER

    def brings(self, number, *, way=None, runs=True, waits=()):
        """Have a call come."""
        self.owed[number] = call = Delivered(self, Call(number, "check", way=way), b"")
        call.has_begun = runs
        call.waits = {object(): waits} if waits else None
        return call


class Lane:
    """The way to another process."""

    address = "/run/actor"

    def __init__(self, sock=None, *, is_sent=True, missing=()):
        self.sock = sock
        self.held = self
        self._is_sent = is_sent
        self._missing = missing

    def is_sent(self, _result):
        return self._is_sent

    def missing_for(self, _result):
        return self._missing


class Borrowed(PendingResult):
    """A result of another process, where it has another number."""

    __slots__ = ()
    is_owned = False
    origin = 77


@pytest.fixture
def connection():
    return Connection()


def told_of(connection, waiting=(), limit=1, name_of=lambda call: f"Bank.{call.request.method}"):
    return report([connection], iter(waiting), limit, name_of)


def test_calls_that_run_are_told_with_what_they_wait_for(connection):
    result = PendingResult(5, Lane(), "Account.add")
    connection.brings(1)
    connection.brings(2, waits=[result])
    connection.owed[3] = None
    found = told_of(connection)
    assert found.limit == 1
    assert found.running == (
        CallReport("Bank.check", MAKER, 2, (Wait("Account.add", os.getpid(), 5, "/run/actor"),)),
        CallReport("Bank.check", MAKER, 1),
    )
    assert (found.queued, found.more_running, found.more_queued) == ((), 0, 0)


def test_what_has_come_is_not_waited_for(connection):
    result = PendingResult(5, Lane(), "Account.add")
    result.complete(VALUE, dumps(1))
    connection.brings(1, waits=[result])
    assert told_of(connection).running[0].waits == ()


def test_a_call_that_has_not_left_is_told_with_the_arguments_it_waits_for(connection):
    argument = PendingResult(6, Lane(), "Account.first")
    connection.brings(1, waits=[PendingResult(7, Lane(is_sent=False, missing=[argument]), "Account.second")])
    assert set(told_of(connection).running[0].waits) == {
        Wait("Account.second", os.getpid(), 7, ""),
        Wait("Account.first", os.getpid(), 6, "/run/actor"),
    }


def test_a_result_of_another_process_is_told_by_that_and_its_number_there(connection):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection.brings(1, waits=[Borrowed(5, Lane(ours), "Account.add")])
        assert told_of(connection).running[0].waits == (Wait("Account.add", peer_pid(ours), 77),)


def test_calls_that_wait_are_told_those_first_that_actors_have_made(connection):
    plain = connection.brings(1, runs=False)
    chained = connection.brings(2, way=Way(chain="ab" * 8), runs=False)
    found = told_of(connection, [plain, chained])
    assert [call.number for call in found.queued] == [2, 1]
    assert found.running == ()


def test_of_many_some_are_told_and_the_others_counted(connection):
    waits = [PendingResult(number, Lane(), "Account.add") for number in range(MOST_WAITS + 3)]
    for number in range(MOST_RUNNING + 4):
        connection.brings(number, waits=waits if number == MOST_RUNNING + 3 else ())
    queued = [connection.brings(1000 + number, runs=False) for number in range(MOST_QUEUED + 5)]
    found = told_of(connection, queued)
    assert (len(found.running), found.more_running) == (MOST_RUNNING, 4)
    assert (len(found.queued), found.more_queued) == (MOST_QUEUED, 5)
    assert (len(found.running[0].waits), found.running[0].more) == (MOST_WAITS, 3)


def test_calls_beyond_those_that_are_looked_at_are_counted_too(connection, monkeypatch):
    monkeypatch.setattr("actorio._worker.wait_report._LOOKED_AT", 2)
    found = told_of(connection, [connection.brings(number, runs=False) for number in range(5)])
    assert (len(found.queued), found.more_queued) == (2, 3)


def test_a_call_that_cannot_be_named_goes_by_its_method(connection):
    connection.brings(1)

    def fail(_call):
        raise EOFError

    assert told_of(connection, name_of=fail).running[0].name == "check"
