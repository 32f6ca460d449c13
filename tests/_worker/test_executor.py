"""How an error becomes an answer."""

from types import SimpleNamespace

import pytest

from actorio._wire.messages import Call
from actorio._wire.peer import ActorPeer
from actorio._worker.delivered import Delivered
from actorio._worker.executor import Executor, StopRequestedError


@pytest.fixture
def executor():
    executor = object.__new__(Executor)
    executor._birth = SimpleNamespace(actor_id="ab")
    executor.definition = SimpleNamespace(name="A")
    executor.instance = None
    return executor


def call():
    peer = ActorPeer()
    peer.owed[1] = None
    return Delivered(SimpleNamespace(peer=peer), Call(1, "f"), b"")


def raises(error):
    def describe(*_arguments):
        raise error

    return describe


def test_sigterm_while_an_exception_is_looked_at_ends_the_actor_all_the_same(executor, monkeypatch):
    monkeypatch.setattr(executor, "_describe", raises(StopRequestedError()))
    with pytest.raises(StopRequestedError):
        executor.refuse(call(), ValueError())


def test_an_exception_that_resists_being_looked_at_is_answered_all_the_same(executor, monkeypatch):
    monkeypatch.setattr(executor, "_describe", raises(KeyError("at any question")))
    assert b"could not be described" in executor.refuse(call(), ValueError())


def test_a_call_whose_arguments_are_gone_has_a_name(executor):
    executor.instance = SimpleNamespace(__actorio_name_call__=lambda function: function)
    assert executor.name_of(call()) == "A.f"
