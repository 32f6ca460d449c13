import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from actorio._node.supervision import Group, Plan

TABLE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "restarts.md"
STRATEGIES = ["one_for_one", "one_for_all", "rest_for_one"]
RESTART_TYPES = ["permanent", "transient", "temporary"]


def group_of(members="abcd", *, strategy="one_for_all", intensity=1, window=5.0, **restarts):
    """A group of running members, named by letters: permanent ones, except where told."""
    group = Group(strategy, intensity, window)
    for member in members:
        group.add(member, restarts.get(member, "permanent"))
    return group


def crash(group, member, now=0.0):
    return group.member_died(member, now, is_normal_end=False)


def leave(group, member, now=0.0):
    return group.member_died(member, now, is_normal_end=True)


def ids(members):
    return list(members)


def running(group):
    return "".join(member for member, one in group.members.items() if one.state == "running")


# -- the table in docs/explanation/restarts.md: what becomes of members a, b, c, d after b has ended ------------------

# Stopped, then started. None: b is not restarted, and nothing happens to the others.
BACK = {"one_for_one": ("", "b"), "one_for_all": ("dca", "abcd"), "rest_for_one": ("dc", "bcd")}
ENDS = {
    "S1": ("permanent", leave, BACK),
    "S2": ("permanent", crash, BACK),
    "S4": ("transient", leave, None),
    "S5": ("transient", crash, BACK),
    "S7": ("temporary", leave, None),
    "S8": ("temporary", crash, None),
}
# Stopped because a has failed; who is started then.
STOPPED = {
    "S3": ("permanent", "abcd"),
    "S6": ("transient", "abcd"),
    "S9": ("temporary", "acd"),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("row", ENDS)
def test_a_member_that_ends_by_itself(row, strategy):
    restart, end, outcome = ENDS[row]
    group = group_of(strategy=strategy, b=restart)
    plan = end(group, "b")
    if outcome is None:
        assert plan == Plan()
        assert running(group) == "acd"
        assert list(group.members) == ids("acd")
        assert group.used == 0
        return
    stopped, started = outcome[strategy]
    assert plan.stop == ids(stopped)
    for member in stopped:
        assert plan.start == []
        plan = crash(group, member)
    assert plan == Plan(start=ids(started))
    assert running(group) == "abcd"
    assert group.used == 1


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize("row", STOPPED)
@pytest.mark.parametrize("end", [leave, crash])
def test_a_member_that_is_stopped_for_another_ones_sake(row, strategy, end):
    restart, started = STOPPED[row]
    group = group_of(strategy=strategy, b=restart)
    plan = crash(group, "a")
    assert plan == Plan(stop=ids("dcb"))
    assert [end(group, member) for member in "dcb"] == [Plan(), Plan(), Plan(start=ids(started))]
    assert "".join(group.members) == started
    assert group.used == 1


@pytest.mark.parametrize("restart", RESTART_TYPES)
def test_nobody_is_stopped_for_another_ones_sake_where_each_restarts_alone(restart):
    # S3, S6 and S9 under one_for_one.
    group = group_of(strategy="one_for_one", b=restart)
    assert crash(group, "a") == Plan(start=["a"])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_member_killed_for_good_leaves_the_group(strategy):
    # S10.
    group = group_of(strategy=strategy)
    group.remove("b")
    assert crash(group, "b") == Plan()
    assert list(group.members) == ids("acd")


@pytest.mark.parametrize(
    ("strategy", "stopped", "started"),
    [("one_for_one", "", "b"), ("one_for_all", "da", "abd"), ("rest_for_one", "d", "bd")],
)
def test_a_transient_member_that_had_ended_normally_stays_away_when_others_come_back(strategy, stopped, started):
    # S11.
    group = group_of(strategy=strategy, c="transient")
    leave(group, "c")
    plans = [crash(group, member) for member in "b" + stopped]
    assert (plans[0].stop, plans[-1].start) == (ids(stopped), ids(started))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_failure_too_many_ends_the_group(strategy):
    # S12.
    group = group_of(strategy=strategy, intensity=0)
    assert crash(group, "b") == Plan(stop=ids("dca"), gives_up=True)
    assert [crash(group, member) for member in "dca"] == [Plan()] * 3
    assert (group.is_over, running(group), group.left(100.0)) == (True, "", 0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_group_that_is_stopped_stops_its_members_last_first(strategy):
    # S13.
    group = group_of(strategy=strategy)
    assert group.stop() == Plan(stop=ids("dcba"))
    assert [crash(group, member) for member in "dcba"] == [Plan()] * 4
    assert group.is_settled()
    assert group.stop() == Plan()


def test_each_row_of_the_table_has_its_test():
    rows = set(re.findall(r"^\| (S\d+) \|", TABLE.read_text(), re.MULTILINE))
    assert rows == {*ENDS, *STOPPED, "S10", "S11", "S12", "S13"}


# -- several ends at once ------------------------------------------------------------------------------------------


def test_all_members_dying_at_once_is_one_failure_where_all_restart():
    group = group_of(strategy="one_for_all")
    assert [crash(group, member) for member in "abcd"] == [
        Plan(stop=ids("dcb")),
        Plan(),
        Plan(),
        Plan(start=ids("abcd")),
    ]
    assert group.used == 1


def test_members_dying_at_once_are_a_failure_each_where_each_restarts_alone():
    group = group_of(strategy="one_for_one", intensity=2)
    assert crash(group, "a") == Plan(start=["a"])
    assert crash(group, "b") == Plan(start=["b"])
    assert crash(group, "c") == Plan(stop=ids("dba"), gives_up=True)


def test_an_earlier_member_that_fails_while_later_ones_are_stopped_joins_their_plan():
    group = group_of(strategy="rest_for_one", intensity=2)
    assert crash(group, "c") == Plan(stop=["d"])
    assert crash(group, "a") == Plan(stop=["b"])
    assert crash(group, "b") == Plan()
    assert crash(group, "d") == Plan(start=ids("abcd"))
    assert group.used == 2


def test_an_earlier_member_that_ends_normally_while_later_ones_are_stopped_stays_away():
    group = group_of(strategy="rest_for_one", a="transient")
    crash(group, "c")
    assert leave(group, "a") == Plan()
    assert crash(group, "d") == Plan(start=ids("cd"))


def test_a_failure_too_many_while_others_are_stopped_starts_nobody():
    group = group_of(strategy="rest_for_one")
    assert crash(group, "c") == Plan(stop=["d"])
    assert crash(group, "b") == Plan(stop=["a"], gives_up=True)
    assert [crash(group, member) for member in "da"] == [Plan(), Plan()]


def test_a_member_that_dies_again_while_others_are_still_to_be_started_fails_anew():
    group = group_of(strategy="one_for_all", intensity=2)
    for member in "dcba":
        plan = crash(group, member)
    assert plan == Plan(start=ids("abcd"))
    # The node has started a, and not yet b, c and d; it does not start them, and says that they have ended.
    assert crash(group, "a") == Plan(stop=ids("dcb"))
    assert [crash(group, member) for member in "dcb"][-1] == Plan(start=ids("abcd"))


def test_an_end_that_is_told_twice_is_one_end():
    group = group_of(strategy="rest_for_one")
    crash(group, "c")
    assert crash(group, "c") == Plan()
    assert crash(group, "d") == Plan(start=ids("cd"))
    assert group.used == 1


def test_somebody_elses_end_is_nothing_to_the_group():
    group = group_of()
    assert crash(group, "z") == Plan()
    group.remove("z")
    assert running(group) == "abcd"


# -- members come and go -------------------------------------------------------------------------------------------


def test_a_member_removed_while_it_is_stopped_is_waited_for_and_not_started():
    group = group_of(strategy="one_for_all")
    crash(group, "a")
    group.remove("c")
    assert [crash(group, member) for member in "dc"] == [Plan(), Plan()]
    assert crash(group, "b") == Plan(start=ids("abd"))
    assert list(group.members) == ids("abd")


def test_a_member_removed_while_it_waits_for_its_start_is_not_started():
    group = group_of("ab", strategy="one_for_all")
    crash(group, "a")
    group.remove("a")
    assert crash(group, "b") == Plan(start=["b"])


def test_a_member_added_while_others_are_stopped_is_left_alone():
    group = group_of("ab", strategy="one_for_all")
    crash(group, "a")
    group.add("c")
    assert crash(group, "b") == Plan(start=ids("ab"))
    assert running(group) == "abc"


def test_an_empty_group_has_nothing_to_do():
    group = Group()
    assert group.is_settled()
    assert group.stop() == Plan()


# -- intensity -----------------------------------------------------------------------------------------------------


def test_the_defaults_are_those_of_otp():
    group = Group()
    assert (group.strategy, group.intensity, group.window) == ("one_for_one", 1, 5.0)


def test_a_failure_exactly_as_old_as_the_window_counts():
    group = group_of(strategy="one_for_one")
    crash(group, "a", 10.0)
    assert (group.left(15.0), group.left(15.1)) == (0, 1)
    assert crash(group, "a", 15.0).gives_up


def test_a_failure_older_than_the_window_does_not_count():
    group = group_of(strategy="one_for_one")
    assert [crash(group, "a", now).start for now in (10.0, 15.1, 20.3)] == [["a"]] * 3
    assert group.times == [20.3]


def test_an_end_that_brings_nobody_back_does_not_count():
    group = group_of(strategy="one_for_one", a="transient", b="temporary")
    leave(group, "a")
    crash(group, "b")
    assert group.left(0.0) == 1


# -- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("all_for_one",), ValueError, "strategy='all_for_one' is not allowed: it must be one of one_for_one, "),
        (("one_for_one", -1), ValueError, "intensity=-1"),
        (("one_for_one", 1.5), TypeError, "intensity=1.5"),
        (("one_for_one", 1, 0), ValueError, "window=0"),
        (("one_for_one", 1, "5"), TypeError, "window='5'"),
    ],
)
def test_a_group_out_of_range_is_refused(arguments, error, text):
    with pytest.raises(error) as caught:
        Group(*arguments)
    assert text in str(caught.value)


def test_an_unknown_restart_type_is_refused():
    with pytest.raises(ValueError, match="restart='always' is not allowed"):
        Group().add("a", "always")


def test_a_member_is_added_once():
    group = group_of("a")
    with pytest.raises(ValueError, match="a is a member of the group already"):
        group.add("a")


def test_nobody_joins_a_group_that_is_over():
    group = group_of("a")
    group.stop()
    with pytest.raises(ValueError, match="the group is over"):
        group.add("b")


# -- any order of things -------------------------------------------------------------------------------------------


class World(RuleBasedStateMachine):
    """A group, and a node that does what it says, in its own time.

    What is expected is worked out as for a supervisor that does everything at once: each failure names who has to be
    there when all is quiet again.
    """

    @initialize(
        strategy=st.sampled_from(STRATEGIES),
        intensity=st.integers(0, 6),
        types=st.lists(st.sampled_from(RESTART_TYPES), min_size=1, max_size=6),
    )
    def begin(self, strategy, intensity, types):
        self.group = Group(strategy, intensity, 5.0)
        # Who was ever added and is a member still, in start order.
        self.types, self.order = {}, []
        # Who has a process; who of them was told to stop; who has to run when nobody is stopping.
        self.alive, self.stopping, self.wanted = set(), set(), set()
        self.now, self.mended, self.is_over = 0.0, [], False
        for restart in types:
            self.add(restart)

    # -- what happens ----------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.is_over and len(self.order) < 10)
    @rule(restart=st.sampled_from(RESTART_TYPES))
    def add(self, restart):
        member = f"{len(self.types):032x}"
        self.types[member] = restart
        self.order.append(member)
        self.alive.add(member)
        self.wanted.add(member)
        self.group.add(member, restart)

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), is_normal_end=st.booleans(), after=st.sampled_from([0.0, 0.5, 2.0, 6.0]))
    def somebody_ends(self, data, is_normal_end, after):
        self.end(data.draw(st.sampled_from(sorted(self.alive))), after, is_normal_end=is_normal_end)

    @precondition(lambda self: self.stopping)
    @rule(data=st.data(), is_normal_end=st.booleans())
    def somebody_ends_as_asked(self, data, is_normal_end):
        self.end(data.draw(st.sampled_from(sorted(self.stopping))), 0.5, is_normal_end=is_normal_end)

    @precondition(lambda self: self.order)
    @rule(data=st.data())
    def remove(self, data):
        member = data.draw(st.sampled_from(self.order))
        self.group.remove(member)
        self.forget(member)

    @rule(data=st.data())
    def somebody_who_is_down_ends_once_more(self, data):
        member = data.draw(st.sampled_from(sorted(self.types)))
        if member not in self.alive:
            assert self.group.member_died(member, self.now, is_normal_end=False) == Plan()

    @rule()
    def travel(self):
        self.group = msgspec.msgpack.decode(msgspec.msgpack.encode(self.group), type=Group)

    @precondition(lambda self: not self.is_over)
    @rule(chance=st.integers(0, 9))
    def stop(self, chance):
        # Seldom: nothing much happens afterwards.
        if chance == 0:
            self.expect(self.group.stop(), self.give_up(), gives_up=False)

    # -- what is expected ------------------------------------------------------------------------------------------

    def end(self, member, after, *, is_normal_end):
        self.now += after
        self.alive.remove(member)
        is_own_end = member in self.order and member not in self.stopping
        self.stopping.discard(member)
        restart = self.types[member]
        to_stop, gives_up = set(), False
        if is_own_end and (restart == "permanent" or (restart == "transient" and not is_normal_end)):
            to_stop, gives_up = self.fail(member)
        elif is_own_end:
            self.forget(member)
        if restart == "temporary":
            self.forget(member)
        self.expect(self.group.member_died(member, self.now, is_normal_end=is_normal_end), to_stop, gives_up)

    def fail(self, member):
        """Returns who is to be stopped for this failure, and whether the group gives up."""
        if sum(self.now <= time + 5.0 for time in self.mended) >= self.group.intensity:
            return self.give_up(), True
        self.mended.append(self.now)
        later = self.order[self.order.index(member) :]
        together = {"one_for_one": [member], "one_for_all": self.order, "rest_for_one": later}[self.group.strategy]
        self.wanted.difference_update(together)
        self.wanted.update(each for each in together if self.types[each] != "temporary")
        return self.alive.intersection(together), False

    def give_up(self):
        self.is_over = True
        self.wanted.clear()
        return self.alive.intersection(self.order)

    def forget(self, member):
        if member in self.order:
            self.order.remove(member)
        self.wanted.discard(member)

    def expect(self, plan, to_stop, gives_up):
        assert plan.stop == sorted(to_stop - self.stopping, reverse=True)
        assert plan.gives_up == gives_up
        self.stopping.update(plan.stop)
        assert plan.start == ([] if self.stopping else sorted(self.wanted - self.alive))
        self.alive.update(plan.start)

    # -- what must hold, however the group got there ---------------------------------------------------------------

    @invariant()
    def in_a_quiet_group_all_that_are_wanted_run(self):
        assert self.group.is_settled() == (not self.stopping)
        if not self.stopping and not self.is_over:
            assert self.wanted == self.alive.intersection(self.order)
            assert self.wanted >= {member for member in self.order if self.types[member] == "permanent"}

    @invariant()
    def no_window_has_more_restarts_than_the_intensity(self):
        assert self.group.used == len(self.mended)
        in_window = [time for time in self.mended if self.now <= time + 5.0]
        assert len(in_window) <= self.group.intensity
        assert self.group.left(self.now) == (0 if self.is_over else self.group.intensity - len(in_window))

    @invariant()
    def a_group_that_is_over_keeps_nobody_running(self):
        if self.is_over:
            assert self.alive.intersection(self.order) <= self.stopping
            assert running(self.group) == ""

    def teardown(self):
        # Nothing more goes wrong: what is under way comes to its end.
        for member in sorted(getattr(self, "stopping", set())):
            self.end(member, 0.0, is_normal_end=False)
        if getattr(self, "group", None) is not None:
            self.in_a_quiet_group_all_that_are_wanted_run()


def test_a_group_behaves_like_its_model():
    run_state_machine_as_test(World, settings=settings(stateful_step_count=40))
