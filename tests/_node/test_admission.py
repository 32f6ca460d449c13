"""Resources: who gets what, in which order, and that nothing of it is lost or given twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actorio._model.resources import UNIT
from actorio._node.admission import Admission

TOTALS = {"CPU": 4 * UNIT, "GPU": 2 * UNIT, "disk": UNIT}


def admission():
    return Admission(TOTALS, ["a", "b"])


def cpus(number):
    return {"CPU": round(number * UNIT)}


def gpus(number):
    return {"GPU": round(number * UNIT)}


def test_what_is_free_is_given_at_once():
    there = admission()
    assert there.ask("one", cpus(3))
    assert there.free["CPU"] == UNIT
    assert not there.ask("two", cpus(2))
    assert there.take_granted() == []


def test_who_waits_is_told_when_it_is_free_the_first_first():
    there = admission()
    there.ask("one", cpus(4))
    there.ask("two", cpus(3))
    there.ask("three", cpus(2))
    there.ask("four", cpus(1))
    there.give_back("one")
    assert there.take_granted() == ["two", "four"]
    assert there.take_granted() == []
    there.give_back("two")
    assert there.take_granted() == ["three"]


def test_ten_times_a_tenth_is_one():
    there = Admission({"CPU": UNIT})
    assert [there.ask(str(number), cpus(0.1)) for number in range(11)] == [True] * 10 + [False]


def test_who_gives_up_waiting_gets_nothing():
    there = admission()
    there.ask("one", cpus(4))
    there.ask("two", cpus(4))
    there.give_back("two")
    there.give_back("one")
    assert there.take_granted() == []
    assert there.free == TOTALS


def test_a_gpu_is_shared_by_those_who_need_less_and_taken_whole_by_others():
    there = admission()
    assert [there.ask(key, gpus(0.5)) for key in ("one", "two", "three")] == [True] * 3
    # A half of one and a half of the other are no whole one.
    there.give_back("one")
    assert there.free["GPU"] == UNIT
    assert not there.ask("four", gpus(1))
    there.give_back("two")
    assert there.take_granted() == ["four"]
    assert set(there.gpus_of("four")) | set(there.gpus_of("three")) == {"a", "b"}
    assert there.gpus_of("nobody") == []


def test_two_gpus_are_two_different_ones():
    there = admission()
    assert there.ask("one", gpus(2))
    assert sorted(there.gpus_of("one")) == ["a", "b"]


def test_those_who_wait_for_others_give_their_cpus_back_and_take_them_again_unasked():
    there = admission()
    there.ask("parent", cpus(4))
    there.ask("child", cpus(4))
    there.change_cpus("parent", 0)
    assert there.take_granted() == ["child"]
    there.change_cpus("parent", 4 * UNIT)
    assert there.free["CPU"] == -4 * UNIT
    there.give_back("child")
    there.give_back("parent")
    assert there.free == TOTALS


def test_in_the_way_is_who_has_something_of_what_is_missing():
    there = admission()
    there.ask("cpu", cpus(4))
    there.ask("disk", {"disk": UNIT})
    there.ask("none", {})
    there.ask("waits", {"CPU": UNIT, "GPU": UNIT})
    assert there.in_the_way_of("waits") == ["cpu"]
    assert there.in_the_way_of("cpu") == []


def test_what_an_earlier_node_has_granted_stays_granted():
    there = admission()
    there.insist("one", cpus(5) | gpus(1), ["b"])
    assert there.free["CPU"] == -UNIT
    assert there.gpus_of("one") == ["b"]
    assert not there.ask("two", gpus(2))
    assert there.ask("three", gpus(1))
    assert there.gpus_of("three") == ["a"]


amounts = st.fixed_dictionaries(
    {},
    optional={
        "CPU": st.sampled_from([0, 5000, UNIT, 2 * UNIT, 4 * UNIT]),
        "GPU": st.sampled_from([0, 5000, UNIT, 2 * UNIT]),
        "disk": st.sampled_from([0, UNIT]),
    },
)


class Asking(RuleBasedStateMachine):
    """Random wishes against what must always hold."""

    def __init__(self):
        super().__init__()
        self.there = admission()
        self.number = 0
        self.has, self.waits, self.rests = {}, {}, set()

    @rule(wish=amounts)
    def ask(self, wish):
        self.number += 1
        key = f"key {self.number}"
        (self.has if self.there.ask(key, wish) else self.waits)[key] = wish
        self._hear()

    @precondition(lambda self: self.has or self.waits)
    @rule(data=st.data())
    def give_back(self, data):
        key = data.draw(st.sampled_from(sorted(self.has | self.waits)))
        self.has.pop(key, None)
        self.waits.pop(key, None)
        self.rests.discard(key)
        self.there.give_back(key)
        self._hear()

    @precondition(lambda self: self.has)
    @rule(data=st.data())
    def rest(self, data):
        key = data.draw(st.sampled_from(sorted(self.has)))
        self.rests ^= {key}
        self.there.change_cpus(key, 0 if key in self.rests else self.has[key].get("CPU", 0))
        self._hear()

    def _hear(self):
        for key in self.there.take_granted():
            self.has[key] = self.waits.pop(key)

    def _taken(self, name):
        resting = self.rests if name == "CPU" else ()
        return sum(wish.get(name, 0) for key, wish in self.has.items() if key not in resting)

    @invariant()
    def what_is_free_is_what_nobody_has(self):
        assert self.there.free == {name: total - self._taken(name) for name, total in TOTALS.items()}
        assert list(self.there.waiting) == list(self.waits)

    @invariant()
    def no_gpu_is_taken_by_more_than_it_is(self):
        taken = dict.fromkeys("ab", 0)
        for key, wish in self.has.items():
            wanted = wish.get("GPU", 0)
            mine = self.there.gpus_of(key)
            assert len(mine) == (0 if not wanted else max(1, wanted // UNIT))
            for gpu in mine:
                taken[gpu] += min(wanted, UNIT)
        assert all(amount <= UNIT for amount in taken.values())

    @invariant()
    def nobody_waits_for_what_is_free(self):
        for wish in self.waits.values():
            names = [name for name in wish if name != "GPU" and self.there.free[name] < wish[name]]
            assert names or wish.get("GPU")


TestAsking = Asking.TestCase


@given(st.lists(amounts, max_size=20))
def test_when_all_is_given_back_all_is_free(wishes):
    there = admission()
    for number, wish in enumerate(wishes):
        there.ask(str(number), wish)
    for number in range(len(wishes)):
        there.give_back(str(number))
    assert there.free == TOTALS
    assert not there.claims
    assert not there.waiting


@pytest.mark.parametrize("wish", [{}, {"CPU": 0}])
def test_who_needs_nothing_never_waits(wish):
    there = admission()
    there.insist("all", dict(TOTALS))
    there.insist("more", dict(TOTALS))
    assert there.ask("one", wish)
