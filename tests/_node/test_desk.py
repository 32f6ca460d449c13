"""The node's desk: who waits for long is told why."""

from types import SimpleNamespace

from actorio._model.resources import UNIT
from actorio._node.admission import Admission
from actorio._node.desk import Desk
from actorio._node.registry import Registry
from actorio._wire.messages import Lease, Release


class Clock:
    """A loop whose time the test decides."""

    def __init__(self):
        self.later = []

    def call_later(self, delay, function, *arguments):
        self.later.append((delay, function, arguments))

    def pass_all(self):
        later, self.later = self.later, []
        for _, function, arguments in later:
            function(*arguments)


class Told:
    """A desk of a session with one CPU, and what it has warned of."""

    def __init__(self):
        self.clock, self.warnings = Clock(), []
        admission = Admission({"CPU": UNIT})
        registry = Registry(lambda: 0.0, admission=admission)
        warn = lambda *words: self.warnings.append(words)  # what a driver hears
        self.desk = Desk(self.clock, admission, registry, list, warn, lambda _: None, 60.0)

    def ask(self, name, number, label="f"):
        client = SimpleNamespace(peer=name, send=lambda *_: None)
        self.desk.lease(client, "driver", "driver", Lease(number, {"CPU": UNIT}, label))
        return client


def test_who_waits_for_long_is_told_for_what_and_who_has_it():
    told = Told()
    told.ask("one", 1, "greedy")
    told.ask("two", 1)
    assert [delay for delay, *_ in told.clock.later] == [10.0]
    told.clock.pass_all()
    words = "has waited 10 s for 1 CPU: of 1 CPU, 0 CPU is free; the others are tasks of greedy (1 CPU)"
    assert told.warnings == [("driver", "f", 0, words)]


def test_who_has_what_he_wanted_by_then_is_told_nothing():
    told = Told()
    first = told.ask("one", 1)
    told.ask("two", 1)
    told.desk.release(first, Release(1), b"")
    told.clock.pass_all()
    assert told.warnings == []


def test_who_waits_for_tasks_of_his_own_is_told_nothing():
    told = Told()
    told.ask("one", 1)
    told.ask("one", 2)
    told.clock.pass_all()
    assert told.warnings == []
