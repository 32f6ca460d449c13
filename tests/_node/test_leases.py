"""Leases: in which worker tasks run, who gives way to whom, and when a worker is to end."""

import itertools
from types import SimpleNamespace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actorio._model.resources import UNIT
from actorio._model.restarts import RestartBudget
from actorio._node.admission import Admission
from actorio._node.instructions import CheckLater, Retire, Send
from actorio._node.leases import Leases
from actorio._node.spec import Spec
from actorio._wire.messages import Lease, Leased, Wanted

IDLE = 60.0
CPU = {"CPU": UNIT}


def peer(name):
    return SimpleNamespace(peer=name)


def spec(actor_id, lease, driver="driver", *, is_private=False, gpus=None):
    return Spec(
        actor_id,
        "TaskWorker",
        "",
        driver,
        1,
        driver,
        RestartBudget(0),
        0.0,
        identity=actor_id.encode(),
        gpus=gpus,
        lease=lease,
        is_private=is_private,
    )


class Session:
    """Leases, and what the node was told to do."""

    def __init__(self, cpus=2, gpus=(), most_workers=2):
        self.admission = Admission({"CPU": cpus * UNIT, "GPU": len(gpus) * UNIT}, gpus)
        self.leases = Leases(self.admission, IDLE, most_workers)
        self.now = 0.0

    def ask(self, name, number, amounts=CPU, driver="driver", line=1, **options):
        return self.do(self.leases.ask(peer(name), driver, Lease(number, dict(amounts), "f", line, **options)))

    def release(self, name, number):
        return self.do(self.leases.release(name, number, self.now))

    def make(self, actor_id, name, number, **options):
        return self.do(self.leases.worker_made(spec(actor_id, (name, number), **options), self.now))

    def do(self, done):
        """Return what was told to whom, and what else is to be done, those that are granted among it."""
        done = list(done)
        while granted := self.admission.take_granted():
            for key in granted:
                done += self.leases.granted(key)
        return [told(each) for each in done]


def told(each):
    if not isinstance(each, Send):
        return each
    if isinstance(each.message, Leased):
        worker = each.payload.decode() or "make one"
        return (each.asker.peer, each.message.id, worker + (", for one task" if each.message.is_wanted else ""))
    assert isinstance(each.message, Wanted)
    return (each.asker.peer, each.message.id, "give it back")


def test_who_finds_no_worker_makes_one():
    session = Session()
    assert session.ask("driver", 1) == [("driver", 1, "make one")]
    assert session.make("w1", "driver", 1) == []
    assert session.ask("driver", 2) == [("driver", 2, "make one")]


def test_a_worker_without_tasks_is_used_again():
    session = Session()
    session.ask("driver", 1)
    session.make("w1", "driver", 1)
    assert session.release("driver", 1) == [CheckLater("w1", IDLE)]
    assert session.ask("driver", 2) == [("driver", 2, "w1")]


def test_who_waits_is_told_when_another_gives_back():
    session = Session(cpus=1)
    session.ask("driver", 1)
    session.make("w1", "driver", 1)
    assert session.ask("driver", 2) == []
    assert session.release("driver", 1)[-1] == ("driver", 2, "w1")


def test_there_are_no_more_workers_than_there_may_be():
    session = Session(most_workers=2)
    session.ask("driver", 1, {})
    session.ask("driver", 2, {})
    # Both are still to be made: this one is told when the first is there.
    assert session.ask("driver", 3, {}) == []
    assert session.make("w1", "driver", 1) == [("driver", 3, "w1")]
    session.make("w2", "driver", 2)
    assert session.ask("driver", 4, {}) == [("driver", 4, "w2")]


def test_workers_are_for_their_own_drivers_family():
    session = Session(cpus=4)
    session.ask("driver", 1)
    session.make("w1", "driver", 1)
    session.release("driver", 1)
    assert session.ask("other", 1, driver="other") == [("other", 1, "make one")]
    assert session.ask("w9", 1) == [("w9", 1, "w1")]


def test_a_task_that_waits_shares_its_worker_with_nobody_as_long_as_there_may_be_others():
    session = Session(cpus=1)
    session.ask("driver", 1)
    session.make("w1", "driver", 1)
    session.ask("w1's", 1)
    session.leases.rest("w1", 1)
    assert session.do([]) == [("w1's", 1, "make one")]
    session.make("w2", "w1's", 1)
    session.leases.rest("w2", 1)
    # The third shares: with whom fewest do.
    assert session.ask("w2's", 1) == [("w2's", 1, "w1")]


def test_a_task_that_waits_frees_its_cpu():
    session = Session(cpus=1, most_workers=1)
    session.ask("driver", 1)
    session.make("w1", "driver", 1)
    assert session.ask("w1's", 1) == [("driver", 1, "give it back")]
    session.leases.rest("w1", 1)
    assert session.do([]) == [("w1's", 1, "w1")]
    # The parent goes on beside its child.
    session.leases.rest("w1", 0)
    assert session.admission.free["CPU"] == -UNIT
    session.release("w1's", 1)
    session.release("driver", 1)
    assert session.admission.free["CPU"] == UNIT


def test_of_several_tasks_that_wait_in_a_worker_the_smallest_are_free():
    session = Session(cpus=4, most_workers=1)
    session.ask("driver", 1, {"CPU": 3 * UNIT})
    session.make("w1", "driver", 1)
    session.leases.rest("w1", 1)
    session.ask("driver", 2)
    session.leases.rest("w1", 1)
    # Nobody says which of the two it is.
    assert session.admission.free["CPU"] == UNIT


def test_others_who_wait_are_given_way_to_and_ones_own_tasks_of_the_same_kind_are_not():
    session = Session(cpus=1)
    session.ask("driver", 1)
    session.make("w1", "driver", 1)
    assert session.ask("driver", 2) == []
    assert session.ask("other", 1, driver="other") == [("driver", 1, "give it back")]
    # Once.
    assert session.ask("other", 2, driver="other") == []
    assert session.release("driver", 1)[-1] == ("driver", 2, "w1, for one task")
    assert session.release("driver", 2)[-1] == ("other", 1, "make one")


def test_ones_own_tasks_of_another_kind_are_given_way_to():
    session = Session(cpus=1)
    session.ask("driver", 1)
    session.make("w1", "driver", 1)
    assert session.ask("driver", 2, line=2) == [("driver", 1, "give it back")]


def test_an_actor_that_waits_is_given_way_to():
    session = Session(cpus=1)
    session.ask("driver", 1)
    session.make("w1", "driver", 1)
    assert not session.admission.ask("actor", CPU)
    assert session.do(session.leases.want("actor")) == [("driver", 1, "give it back")]


def test_a_private_worker_ends_with_its_lease_and_serves_nobody_else():
    session = Session(cpus=4, gpus=["7"])
    session.ask("driver", 1, {"GPU": UNIT}, is_private=True)
    assert session.leases.gpus_of(("driver", 1)) == ["7"]
    session.make("w1", "driver", 1, is_private=True)
    assert session.ask("driver", 2) == [("driver", 2, "make one")]
    assert session.release("driver", 1) == [Retire("w1")]
    assert session.leases.gpus_of(("driver", 2)) is None


def test_a_worker_that_has_been_idle_for_long_is_to_end():
    session = Session()
    session.ask("driver", 1)
    session.make("w1", "driver", 1)
    session.now = 10.0
    session.release("driver", 1)
    check = session.leases.check
    assert check("w1", IDLE, is_needed=False) == [CheckLater("w1", 10.0)]
    assert check("w1", IDLE + 10, is_needed=True) == [CheckLater("w1", IDLE)]
    assert check("w1", IDLE + 10, is_needed=False) == [Retire("w1")]
    # From now on it serves nobody.
    assert session.ask("driver", 2) == [("driver", 2, "make one")]
    assert check("w1", 1000.0, is_needed=False) == []


def test_a_worker_that_has_tasks_again_is_looked_at_when_they_have_ended():
    session = Session()
    session.ask("driver", 1)
    session.make("w1", "driver", 1)
    session.release("driver", 1)
    session.ask("driver", 2)
    assert session.leases.check("w1", IDLE, is_needed=False) == []
    session.now = IDLE
    assert session.release("driver", 2) == [CheckLater("w1", IDLE)]


def test_whoever_has_a_lease_on_a_dead_worker_is_to_give_it_back():
    session = Session()
    session.ask("driver", 1)
    session.make("w1", "driver", 1)
    assert session.do(session.leases.worker_died("w1")) == [("driver", 1, "give it back")]
    assert session.do(session.leases.worker_died("w1")) == []
    session.release("driver", 1)
    assert session.admission.free == session.admission.totals


def test_what_a_process_had_is_free_when_it_has_ended():
    session = Session(cpus=1)
    session.ask("driver", 1)
    session.make("w1", "driver", 1)
    session.ask("driver", 2)
    session.ask("other", 1, driver="other")
    assert session.do(session.leases.peer_gone("driver", 0.0))[-1] == ("other", 1, "make one")


def test_a_new_node_is_told_of_leases_and_workers():
    session = Session(cpus=2, gpus=["a", "b"])
    session.do(session.leases.worker_made(spec("w1", ("driver", 1), gpus=["b"], is_private=True), 0.0))
    session.do(session.leases.worker_made(spec("w2", ("gone", 7)), 0.0))
    assert session.ask("driver", 1, {"GPU": UNIT}, is_private=True, is_held=True, worker_id="w1") == []
    assert session.ask("driver", 2, is_held=True, worker_id="w2") == []
    assert session.admission.free == {"CPU": UNIT, "GPU": UNIT}
    assert session.admission.gpus_of(("driver", 1)) == ["b"]
    # What is said twice counts once.
    assert session.ask("driver", 2, is_held=True, worker_id="w2") == []
    assert session.admission.free["CPU"] == UNIT
    assert session.release("driver", 1) == [Retire("w1")]


def test_a_new_node_finds_the_worker_that_was_just_being_made():
    session = Session(cpus=2, gpus=["a", "b"])
    session.do(session.leases.worker_made(spec("w1", ("driver", 1), gpus=["b"], is_private=True), 0.0))
    # Its maker did not know that it had been made.
    session.ask("driver", 1, {"GPU": UNIT}, is_private=True, is_held=True)
    session.ask("driver", 2, {"GPU": UNIT}, is_private=True, is_held=True)
    assert session.leases.gpus_of(("driver", 1)) == ["b"]
    assert session.leases.gpus_of(("driver", 2)) == ["a"]


@pytest.mark.parametrize("number", [1, 7])
def test_what_nobody_has_can_be_given_back(number):
    session = Session()
    assert session.release("driver", number) == []
    assert session.admission.free == session.admission.totals


class Leasing(RuleBasedStateMachine):
    """Processes ask, make workers, wait, give back and end, at random."""

    def __init__(self):
        super().__init__()
        self.session = Session(cpus=2)
        self.numbers = itertools.count(1)
        # Of each lease: what was told of it last.
        self.asked, self.has, self.to_make = {}, {}, []
        self.workers = set()

    def _note(self, done):
        for each in done:
            if isinstance(each, tuple) and not isinstance(each, CheckLater | Retire) and each[2] != "give it back":
                key = each[:2]
                assert key in self.asked
                assert key not in self.has
                self.has[key] = each[2]
                if each[2].startswith("make"):
                    self.to_make.append(key)
            if isinstance(each, Retire):
                self.workers.discard(each.worker_id)

    @rule(name=st.sampled_from(["one", "two"]), amounts=st.sampled_from([{}, CPU, {"CPU": UNIT // 2}]))
    def ask(self, name, amounts):
        number = next(self.numbers)
        self.asked[name, number] = amounts
        self._note(self.session.ask(name, number, amounts))

    @precondition(lambda self: self.to_make)
    @rule()
    def make(self):
        key = self.to_make.pop()
        actor_id = f"w{next(self.numbers)}"
        self.workers.add(actor_id)
        self._note(self.session.make(actor_id, *key))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def release(self, data):
        key = data.draw(st.sampled_from(sorted(self.asked)))
        del self.asked[key]
        self.has.pop(key, None)
        self._note(self.session.release(*key))

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), count=st.integers(0, 3))
    def rest(self, data, count):
        self.session.leases.rest(data.draw(st.sampled_from(sorted(self.workers))), count)
        self._note(self.session.do([]))

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def die(self, data):
        actor_id = data.draw(st.sampled_from(sorted(self.workers)))
        self.workers.discard(actor_id)
        self._note(self.session.do(self.session.leases.worker_died(actor_id)))

    @rule(name=st.sampled_from(["one", "two"]))
    def end(self, name):
        for key in [key for key in self.asked if key[0] == name]:
            del self.asked[key]
            self.has.pop(key, None)
        self.to_make = [key for key in self.to_make if key[0] != name]
        self._note(self.session.do(self.session.leases.peer_gone(name, 0.0)))

    @invariant()
    def whoever_has_nothing_waits_for_resources_or_for_a_worker(self):
        for key in self.asked.keys() - self.has.keys():
            is_waiting = key in self.session.admission.waiting
            assert is_waiting or any(other in self.asked for other in self.to_make)

    def teardown(self):
        for key in list(self.asked):
            self._note(self.session.release(*key))
        assert self.session.admission.free == self.session.admission.totals
        assert not self.session.admission.claims


TestLeasing = Leasing.TestCase
