"""Supervised groups as docs/explanation/restarts.md has them, with real processes.

Whom a plan names is for tests/_node/test_supervision.py; here it is seen that plans are carried out: by whom processes
are ended and started, in which order, and what becomes of the calls meanwhile.
"""

import os
import pickle
import re
import signal

import pytest
from tests.lives import people
from tests.lives.fates import crash, drop, events_until, fate
from tests.lives.people import Member, notes
from tests.programs import is_gone, output_of, wait_until

import actorio
from actorio.actor import exit_actor
from actorio.exceptions import ActorDiedError, ActorUnavailableError
from actorio.util import Supervisor

STRATEGIES = ["one_for_one", "one_for_all", "rest_for_one"]
RESTART_TYPES = ["permanent", "transient", "temporary"]
# Who of a, b, c and d is restarted when b is.
TOGETHER = {"one_for_one": "b", "one_for_all": "abcd", "rest_for_one": "bcd"}
NORMAL_ENDS = {
    "R2": lambda actor: actor.run.remote(people.exit_with_0),
    "R3": lambda actor: actor.run.remote(exit_actor),
}
ENDS_FOR_GOOD = {
    "R7": actorio.kill,
    "R14": lambda actor: actor.__ray_terminate__.remote(),
}
FAILURES = {
    "R4": lambda actor: actor.run.remote(people.exit_with_3),
    "R5": lambda actor: actor.run.remote(people.leave_with_0),
    "R6": lambda actor: os.kill(actorio.get(actor.pid.remote()), signal.SIGKILL),
    "R8": lambda actor: actorio.kill(actor, no_restart=False),
}


class Group:
    """Members a, b, c and d. They are permanent unless the arguments say otherwise."""

    def __init__(self, path, strategy, names="abcd", begins=None, intensity=3, options=None, **restarts):
        self.supervisor = Supervisor(strategy, max_restarts=intensity, window=60)
        self.path = path
        self.members = {}
        for name in names:
            member = actorio.remote(Member).options(**options) if options else actorio.remote(Member)
            supervised = self.supervisor.supervise(member, restart=restarts.get(name, "permanent"))
            self.members[name] = supervised.remote(name, path, (begins or {}).get(name))
        self.pids = self.where()

    def __getitem__(self, name):
        return self.members[name]

    def where(self):
        """Return the process of each member that answers."""
        found = {}
        for name, member in self.members.items():
            try:
                found[name] = actorio.get(member.pid.remote())
            except ActorDiedError:
                found[name] = None
        return found

    def changed(self):
        """Return which members have other processes than at the beginning, and which have none."""
        now = self.where()
        other = "".join(name for name, pid in now.items() if pid and pid != self.pids[name])
        return other, "".join(name for name, pid in now.items() if not pid)

    def fail(self, name):
        """Have a member fail, and wait until it is back."""
        FAILURES["R6"](self[name])
        assert fate(self[name], 0).kind == "started"


@pytest.fixture
def group(session, tmp_path):
    """Make a group; what its members note is in `path`."""
    return lambda *arguments, **options: Group(tmp_path / "notes", *arguments, **options)


each_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


# -- one member ends by itself -------------------------------------------------------------------------------------


def each_in_turn(ends):
    """Of the ends, give one to each strategy in turn: who belongs together has nothing to do with the end."""
    return pytest.mark.parametrize(
        ("strategy", "end"),
        [
            pytest.param(STRATEGIES[number % 3], end, id=f"{STRATEGIES[number % 3]}-{row}")
            for number, (row, end) in enumerate(ends.items())
        ],
    )


@each_in_turn(ENDS_FOR_GOOD)
@pytest.mark.parametrize("restart", RESTART_TYPES)
def test_a_member_that_somebody_has_ended_for_good_leaves_the_group(restart, strategy, end, group):
    # S10.
    members = group(strategy, b=restart)
    end(members["b"])
    assert fate(members["b"], 0).kind == "died"
    assert members.changed() == ("", "b")


@each_in_turn(NORMAL_ENDS)
@pytest.mark.parametrize("restart", ["transient", "temporary"], ids=["S4", "S7"])
def test_a_member_that_ends_because_it_wanted_to_leaves_the_group(restart, strategy, end, group):
    members = group(strategy, b=restart)
    end(members["b"])
    assert fate(members["b"], 0).kind == "died"
    assert members.changed() == ("", "b")


@each_strategy
def test_a_member_that_has_left_does_not_come_back_with_the_others(strategy, group):
    # S11.
    members = group(strategy, c="transient")
    NORMAL_ENDS["R2"](members["c"])
    assert fate(members["c"], 0).kind == "died"
    members.fail("b")
    assert members.changed() == (TOGETHER[strategy].replace("c", ""), "c")


@pytest.mark.parametrize("end", NORMAL_ENDS.values(), ids=NORMAL_ENDS)
@each_strategy
def test_a_permanent_member_comes_back_though_it_wanted_to_end(strategy, end, group):
    # S1.
    members = group(strategy)
    end(members["b"])
    for name in TOGETHER[strategy]:
        assert fate(members[name], 0).kind == "started"
    assert members.changed() == (TOGETHER[strategy], "")


@each_in_turn(FAILURES)
@pytest.mark.parametrize("restart", ["permanent", "transient"], ids=["S2", "S5"])
def test_a_member_that_fails_is_restarted_with_those_that_belong_to_it(restart, strategy, end, group):
    members = group(strategy, b=restart)
    end(members["b"])
    for name in TOGETHER[strategy]:
        assert fate(members[name], 0).kind == "started"
    assert members.changed() == (TOGETHER[strategy], "")


@each_in_turn(FAILURES)
def test_a_temporary_member_that_fails_leaves_the_group(strategy, end, group):
    # S8.
    members = group(strategy, b="temporary")
    end(members["b"])
    assert fate(members["b"], 0).kind == "died"
    assert members.changed() == ("", "b")


@each_in_turn({"R4": people.exit_with_3, "R5": people.leave_with_0, "R6": people.sigkill})
def test_a_member_whose_process_ends_in_its_constructor_has_failed(strategy, end, group, tmp_path):
    # S2, R10.
    begin = people.first_times(tmp_path / "runs", 2, end)
    members = group(strategy, names="b", begins={"b": begin})
    assert (people.times(tmp_path / "runs"), fate(members["b"], 1).restarts) == (3, 2)


@each_strategy
def test_a_member_whose_constructor_raises_leaves_the_group(strategy, group, tmp_path):
    # R9.
    begin = lambda: people.count(tmp_path / "runs") == 2 and people.raise_lookup_error()
    members = group(strategy, begins={"b": begin})
    FAILURES["R6"](members["b"])
    last = events_until(members["b"], lambda event: event.kind == "died")[-1]
    assert (last.cause.cause, last.restarts) == ("constructor", 1)
    for name in TOGETHER[strategy].replace("b", ""):
        assert fate(members[name], 0).kind == "started"
    assert members.changed() == (TOGETHER[strategy].replace("b", ""), "b")
    assert people.times(tmp_path / "runs") == 2


# -- a member is stopped for another one's sake --------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize(
    ("restart", "changed"),
    [("permanent", ("abcd", "")), ("transient", ("abcd", "")), ("temporary", ("acd", "b"))],
    ids=["S3", "S6", "S9"],
)
def test_a_member_that_is_stopped_for_another_ones_sake(restart, changed, strategy, group):
    members = group(strategy, b=restart)
    members.fail("a")
    assert members.changed() == changed


@pytest.mark.parametrize("restart", RESTART_TYPES)
def test_nobody_is_stopped_for_another_ones_sake_where_each_restarts_alone(restart, group):
    # S3, S6 and S9.
    members = group("one_for_one", b=restart)
    members.fail("a")
    assert members.changed() == ("a", "")


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_those_who_are_stopped_clean_up_before_anybody_begins_again(strategy, group):
    members = group(strategy)
    assert sorted(notes(members.path)) == [f"{name} begins" for name in "abcd"]
    members.fail("b")
    members.where()
    together = TOGETHER[strategy]
    said = notes(members.path)[4:]
    stopped = len(together) - 1
    assert sorted(said[:stopped]) == sorted(f"{name} cleans up" for name in together if name != "b")
    assert sorted(said[stopped:]) == [f"{name} begins" for name in together]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_members_are_started_in_the_order_in_which_they_were_made(strategy, group):
    members = group(strategy)
    for restarts in range(3):
        FAILURES["R8"](members["b"])
        # Process ids go up, and begin anew at most once.
        pids = [fate(members[name], restarts).pid for name in TOGETHER[strategy]]
        assert sum(later < earlier for earlier, later in zip(pids, [*pids[1:], pids[0]], strict=True)) == 1


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
def test_members_are_stopped_one_after_the_other_the_last_one_first(strategy, group, tmp_path):
    # Whoever was made later may need the earlier ones while it cleans up.
    gate = tmp_path / "gate"

    class Slow(Member):
        def __ray_shutdown__(self):
            people.note(self.path, f"{self.name} cleans up")
            if self.name == "d":
                people.wait_for(gate)

    supervisor = Supervisor(strategy, max_restarts=3, window=60)
    slow = supervisor.supervise(actorio.remote(Slow))
    members = {name: slow.remote(name, tmp_path / "notes") for name in "abcd"}
    actorio.get([member.pid.remote() for member in members.values()])
    FAILURES["R8"](members["b"])
    assert wait_until(lambda: "d cleans up" in notes(tmp_path / "notes"))
    try:
        # An answer of an earlier member, which is not ended before the last one has.
        assert actorio.get(members["c"].run.remote(lambda: "there"), timeout=2) == "there"
    finally:
        gate.touch()
    assert fate(members["d"], 0).kind == "started"
    cleaned_up = [line for line in notes(tmp_path / "notes") if "cleans up" in line]
    assert cleaned_up == [f"{name} cleans up" for name in reversed(TOGETHER[strategy]) if name != "b"]


@each_strategy
def test_calls_wait_while_a_group_is_restarted(strategy, group, tmp_path):
    gate, runs = tmp_path / "gate", tmp_path / "runs"
    begins = dict.fromkeys("abcd", lambda: people.wait_for(gate) if people.count(runs) > 4 else None)
    members = group(strategy, begins=begins)
    FAILURES["R8"](members["b"])
    # A watch may come too late to hear of a restart that has begun.
    assert wait_until(lambda: people.times(runs) > 4)
    for name in TOGETHER[strategy]:
        fate(members[name], 0)
    calls = {name: members[name].pid.remote() for name in TOGETHER[strategy]}
    assert actorio.wait(list(calls.values()), timeout=0)[0] == []
    gate.touch()
    assert not set(actorio.get(list(calls.values()))) & set(members.pids.values())


def test_a_call_under_way_at_a_member_that_is_stopped_may_have_run(group, tmp_path):
    members = group("one_for_all")
    staying = members["c"].run.remote(people.stay, tmp_path / "arrived")
    assert wait_until((tmp_path / "arrived").exists)
    FAILURES["R8"](members["b"])
    with pytest.raises(ActorUnavailableError, match=r"(?s)its supervisor ended it.*may have run"):
        actorio.get(staying)


def test_a_call_under_way_at_a_member_that_is_stopped_is_made_again_if_it_may_be(group, tmp_path):
    members = group("one_for_all", options={"max_task_retries": 1})
    runs = tmp_path / "runs"
    staying = members["c"].run.remote(lambda: people.count(runs) == 1 and people.stay(tmp_path / "arrived"))
    assert wait_until((tmp_path / "arrived").exists)
    FAILURES["R8"](members["b"])
    assert actorio.get(staying) is False
    assert people.times(runs) == 2


# -- somebody ends a member, or the group --------------------------------------------------------------------------


@pytest.mark.parametrize(("strategy", "restart"), list(zip(STRATEGIES, RESTART_TYPES, strict=True)), ids=STRATEGIES)
def test_a_member_that_is_killed_leaves_the_group(strategy, restart, group):
    # S10.
    members = group(strategy, b=restart)
    actorio.kill(members["b"])
    assert fate(members["b"], 0).kind == "died"
    assert members.changed() == ("", "b")
    members.fail("a")
    assert members.changed() == ("a" if strategy == "one_for_one" else "acd", "b")


@each_strategy
def test_a_member_whose_last_handle_is_dropped_leaves_the_group(strategy, group):
    # R11.
    members = group(strategy)
    handles = [members.members.pop("b")]
    assert drop(handles).cause.cause == "out_of_scope"
    assert members.changed() == ("", "")


@each_strategy
def test_one_failure_too_many_ends_the_group(strategy, group):
    # S12.
    members = group(strategy, intensity=1)
    members.fail("b")
    FAILURES["R6"](members["c"])
    for name in "abcd":
        last = fate(members[name], 1)
        assert (name, last.kind) == (name, "died")
        with pytest.raises(ActorDiedError):
            actorio.get(members[name].pid.remote())
    gives_up = r"its supervisor gives up: more than 1 failure within 60 s"
    with pytest.raises(ActorDiedError, match=rf"together with others of its group \({gives_up}\)"):
        actorio.get(members["d"].pid.remote())
    with pytest.raises(ActorDiedError, match=rf"its process was ended by SIGKILL \({gives_up}\)"):
        actorio.get(members["c"].pid.remote())
    cleaned_up = [line for line in notes(members.path) if "cleans up" in line]
    # At the first failure those that belong to b, at the second everybody but c.
    assert max(cleaned_up) == "d cleans up"
    assert cleaned_up.count("a cleans up") == 1 + (strategy == "one_for_all")


def test_members_that_die_at_the_same_time_are_one_failure_where_all_restart(group):
    members = group("one_for_all", intensity=1)
    for name in "abcd":
        FAILURES["R8"](members[name])
    for name in "abcd":
        assert fate(members[name], 0).kind == "started"
    assert members.changed() == ("abcd", "")


def test_members_that_die_at_the_same_time_are_a_failure_each_where_each_restarts_alone(group):
    members = group("one_for_one", intensity=3)
    for name in "abcd":
        FAILURES["R8"](members[name])
    for name in "abcd":
        assert events_until(members[name], lambda event: event.kind == "died")


@each_strategy
def test_members_that_are_stopped_clean_up_and_stay_away(strategy, group):
    # S13.
    members = group(strategy)
    members.supervisor.stop(*members.members.values())
    for name in "abcd":
        last = fate(members[name], 0)
        assert (last.kind, last.cause.cause) == ("died", "stopped")
    assert sorted(notes(members.path)[4:]) == [f"{name} cleans up" for name in "abcd"]


def test_a_group_ends_with_the_process_that_made_it(session, tmp_path):
    # R12.
    def begin():
        people.KEPT = Group(tmp_path / "notes", "one_for_all")
        return people.KEPT.pids

    maker = people.make()
    pids = actorio.get(maker.run.remote(begin))
    actorio.kill(maker)
    assert all(wait_until(lambda pid=pid: is_gone(pid)) for pid in pids.values())
    assert sorted(notes(tmp_path / "notes")[4:]) == [f"{name} cleans up" for name in "abcd"]


def test_a_group_ends_with_its_session(tmp_path):
    # R13.
    output_of(
        """
        from pathlib import Path
        from tests.lives.test_supervisor_table import Group
        group = Group(Path(sys.argv[1]), "one_for_all")
        """,
        tmp_path / "notes",
    )
    assert sorted(notes(tmp_path / "notes")[4:]) == [f"{name} cleans up" for name in "abcd"]


# -- groups and their members --------------------------------------------------------------------------------------


def test_a_group_counts_failures_within_its_window_only(session, tmp_path):
    supervisor = Supervisor(max_restarts=1, window=0.001)
    member = supervisor.supervise(actorio.remote(Member)).remote("a", tmp_path / "notes")
    for restarts in range(5):
        crash(member, restarts)


def test_the_groups_rules_take_the_place_of_the_members_own(session, tmp_path):
    member = Supervisor().supervise(actorio.remote(Member).options(max_restarts=0)).remote("a", tmp_path / "notes")
    crash(member)
    without_end = actorio.remote(Member).options(max_restarts=-1)
    member = Supervisor(max_restarts=0).supervise(without_end).remote("a", tmp_path / "notes")
    member.run.remote(people.sigkill)
    assert fate(member, 0).kind == "died"


def test_a_restarted_member_keeps_its_name_and_its_handles(session, tmp_path):
    options = {"name": "kept"}
    member = Supervisor().supervise(actorio.remote(Member).options(**options)).remote("a", tmp_path / "notes")
    crash(member)
    assert actorio.get_actor("kept") == member
    assert actorio.get(actorio.get_actor("kept").pid.remote()) == actorio.get(member.pid.remote())


def test_a_member_that_another_process_adds_belongs_to_the_same_group(session, tmp_path):
    supervisor = Supervisor("one_for_all", max_restarts=3)

    def add(supervisor, path):
        return supervisor.supervise(actorio.remote(Member)).remote("far", path)

    near = supervisor.supervise(actorio.remote(Member)).remote("near", tmp_path / "notes")
    maker = people.make()
    far = actorio.get(maker.run.remote(add, supervisor, tmp_path / "notes"))
    pid = actorio.get(far.pid.remote())
    crash(near)
    assert actorio.get(far.pid.remote()) != pid


def test_members_of_one_group_do_not_care_for_another(session, tmp_path):
    first, second = (
        Supervisor("one_for_all").supervise(actorio.remote(Member)).remote(name, tmp_path / "notes") for name in "ab"
    )
    pid = actorio.get(second.pid.remote())
    crash(first)
    assert actorio.get(second.pid.remote()) == pid


# -- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"strategy": "all_for_one"}, ValueError, "strategy='all_for_one' is not allowed: it is one of one_for_one, "),
        ({"strategy": 3}, ValueError, "strategy=3 is not allowed"),
        ({"strategy": ["one_for_one"]}, ValueError, "is not allowed"),
        ({"max_restarts": -1}, ValueError, "max_restarts=-1 is not allowed: it must be at least 0"),
        ({"max_restarts": 1.5}, TypeError, "max_restarts=1.5 is of type float; it must be int"),
        ({"max_restarts": True}, TypeError, "max_restarts=True is of type bool"),
        ({"max_restarts": 2**63}, ValueError, "fit into 64 bits"),
        ({"window": 0}, ValueError, "window=0 is not allowed"),
        ({"window": -1.0}, ValueError, "window=-1.0 is not allowed"),
        ({"window": float("nan")}, ValueError, "window=nan is not allowed"),
        ({"window": float("inf")}, ValueError, "window=inf is not allowed"),
        ({"window": "5"}, TypeError, "window='5' is of type str"),
        ({"window": None}, TypeError, "window=None is of type NoneType"),
    ],
)
def test_a_supervisor_out_of_range_is_refused(arguments, error, text):
    with pytest.raises(error, match=re.escape(text)):
        Supervisor(**arguments)


def test_positions_are_for_the_strategy_alone():
    with pytest.raises(TypeError):
        Supervisor("one_for_one", 3)


@pytest.mark.parametrize("what", [Member, "Member", None, lambda: None])
def test_only_actor_classes_are_supervised(what):
    with pytest.raises(TypeError, match=r"supervise\(\) takes an actor class, as @actorio.remote makes it, not"):
        Supervisor().supervise(what)


@pytest.mark.parametrize("restart", ["always", "", None, 1])
def test_an_unknown_restart_type_is_refused(restart):
    with pytest.raises(ValueError, match=f"restart={restart!r} is not allowed: it is one of permanent, transient, "):
        Supervisor().supervise(actorio.remote(Member), restart=restart)


@pytest.mark.parametrize("what", ["a", None, Member])
def test_only_members_are_stopped(what, session):
    with pytest.raises((TypeError, ValueError), match="handle"):
        Supervisor().stop(what)


def test_a_supervisor_can_be_copied_and_printed():
    supervisor = Supervisor("rest_for_one", max_restarts=3, window=60)
    assert repr(pickle.loads(pickle.dumps(supervisor))) == repr(supervisor)
    assert repr(supervisor) == "Supervisor('rest_for_one', max_restarts=3, window=60)"
