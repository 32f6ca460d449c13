"""Who waits for whom, put together from what actors say; and what is said of it. Without any actor."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorio._model.status import ActorStatus
from actorio._worker.wait_report import CallReport, Wait, WaitReport
from actorio.cli.wait_graph import WaitGraph
from actorio.cli.wait_lines import WIDTH, waiting_dict, waiting_lines

ALIEN = 99  # a process that is no actor


def an_actor(pid, class_name="Bank", name="", *, is_worker=False):
    return ActorStatus(
        f"{pid:02}" * 16,
        class_name,
        name,
        "",
        "alive",
        pid,
        0,
        0,
        False,
        ALIEN,
        0.0,
        f"/run/{pid}",
        "",
        is_worker=is_worker,
    )


class Calls:
    """Calls of some actors, told apart by a letter each."""

    def __init__(self, **limits):
        self.limits = {int(name[1:]): limit for name, limit in limits.items()}
        self.running = defaultdict(list)
        self.queued = defaultdict(list)

    def runs(self, pid, call, *waits, more=0):
        made = tuple(Wait(f"Bank.{wait}", ALIEN, ord(wait), f"/run/{pid}") for wait in waits)
        self.running[pid].append(CallReport(f"Bank.{call}", ALIEN, ord(call), made, more))
        return self

    def waits(self, pid, call):
        self.queued[pid].append(CallReport(f"Bank.{call}", ALIEN, ord(call)))
        return self

    def graph(self, **options):
        told = {
            pid: WaitReport(limit, tuple(self.running[pid]), tuple(self.queued[pid]))
            for pid, limit in self.limits.items()
        }
        actors = [an_actor(pid, **options) for pid in told]
        return WaitGraph(actors, {actor.actor_id: told[actor.pid] for actor in actors})


def letters(keys):
    return "".join(sorted(chr(number) for _, number in keys))


def circles(graph):
    return ["".join(chr(call.key[1]) for call in circle) for circle in graph.circles()]


CASES = {
    "nothing": (Calls(p1=1), "", []),
    "a call that waits for nobody": (Calls(p1=1).runs(1, "a").waits(1, "b"), "", []),
    "a call behind one that waits for it": (Calls(p1=1).runs(1, "a", "b").waits(1, "b"), "ab", ["ab"]),
    "a call that waits for itself": (Calls(p1=1).runs(1, "a", "a"), "a", ["a"]),
    "a call that waits for one that nobody knows": (Calls(p1=1).runs(1, "a", "z").waits(1, "b"), "", []),
    "two actors with one thread each": (
        Calls(p1=1, p2=1).runs(1, "a", "b").runs(2, "c", "d").waits(1, "d").waits(2, "b"),
        "abcd",
        ["abcd"],
    ),
    "another thread is free": (Calls(p1=2).runs(1, "a", "b").runs(1, "c").waits(1, "b"), "", []),
    "both threads wait": (Calls(p1=2).runs(1, "a", "b").runs(1, "c", "b").waits(1, "b"), "abc", ["ab"]),
    "one that was let in beside the only one": (
        Calls(p1=1).runs(1, "a", "b").runs(1, "c").waits(1, "b"),
        "ab",
        ["ab"],
    ),
    "running calls of several threads": (
        Calls(p1=9, p2=9).runs(1, "a", "b").runs(2, "b", "c").runs(1, "c", "a").runs(1, "d", "a").runs(2, "e"),
        "abcd",
        ["abc"],
    ),
    "one of the things that a call waits for is enough": (
        Calls(p1=9).runs(1, "a", "b", "c").runs(1, "b").runs(1, "c", "a"),
        "ac",
        ["ac"],
    ),
    "two circles": (
        Calls(p1=9).runs(1, "a", "b").runs(1, "b", "a").runs(1, "c", "d").runs(1, "d", "c"),
        "abcd",
        ["ab", "cd"],
    ),
    "what calls of groups wait for is not known": (Calls(p1=0).runs(1, "a", "b").waits(1, "b"), "", []),
}


@pytest.mark.parametrize(("calls", "stuck", "found"), CASES.values(), ids=CASES)
def test_what_is_stuck_and_which_circle_it_waits_for(calls, stuck, found):
    graph = calls.graph()
    assert letters(graph.stuck) == stuck
    assert circles(graph) == found


def test_calls_that_wait_at_a_worker_are_not_held_up_by_those_that_wait_for_others():
    graph = Calls(p1=1).runs(1, "a", "b").waits(1, "b").graph(is_worker=True)
    assert not graph.stuck
    assert waiting_lines(graph, [])[-1] == "    Bank.b() waits for its turn"


def test_calls_whose_maker_is_not_known_are_not_taken_for_each_other():
    told = WaitReport(9, tuple(CallReport("Bank.a", 0, 7, (Wait("Bank.a", 0, 7),)) for _ in range(3)), ())
    actor = an_actor(1)
    graph = WaitGraph([actor], {actor.actor_id: told})
    assert len(graph.calls) == 3
    assert not graph.stuck


def test_calls_that_run_and_are_not_told_may_end():
    told = WaitReport(
        2, (CallReport("Bank.a", ALIEN, 1, (Wait("Bank.b", ALIEN, 2),)),), (CallReport("Bank.b", ALIEN, 2),), 1
    )
    actor = an_actor(1)
    assert not WaitGraph([actor], {actor.actor_id: told}).stuck


# --- any graph -----------------------------------------------------------------------------------------------------

NAMES = "abcdefgh"


@st.composite
def systems(draw):
    """Actors with calls, each of which runs or waits."""
    limits = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    calls = Calls(**{f"p{pid}": limit for pid, limit in enumerate(limits, 1)})
    for name in NAMES[: draw(st.integers(0, len(NAMES)))]:
        pid = draw(st.integers(1, len(limits)))
        if draw(st.booleans()):
            calls.runs(pid, name, *draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True)))
        else:
            calls.waits(pid, name)
    return calls


def run_to_the_end(calls):
    """Have every call end that can, one after the other; return those that never do, or never begin."""
    running = {
        call.name[-1]: (pid, {w.name[-1] for w in call.waits}) for pid in calls.limits for call in calls.running[pid]
    }
    queued = {call.name[-1]: pid for pid in calls.limits for call in calls.queued[pid]}
    there = running.keys() | queued.keys()
    while True:
        able = [name for name, (_, waits) in running.items() if not waits & there]
        able += [
            name
            for name, pid in queued.items()
            if not calls.limits[pid] or sum(at == pid for at, _ in running.values()) < calls.limits[pid]
        ]
        if not able:
            return "".join(sorted(there))
        for name in able:
            running.pop(name, None)
            queued.pop(name, None)
        there = running.keys() | queued.keys()


@given(systems())
def test_stuck_is_what_never_ends_when_everything_ends_that_can(calls):
    assert letters(calls.graph().stuck) == run_to_the_end(calls)


@given(systems())
def test_circles_are_of_stuck_calls_each_of_which_waits_for_the_next(calls):
    graph = calls.graph()
    found = graph.circles()
    assert bool(found) == bool(graph.stuck)
    members = [call.key for circle in found for call in circle]
    assert len(members) == len(set(members))
    for circle in found:
        assert circle[0].is_running
        for call, following in zip(circle, [*circle[1:], circle[0]], strict=True):
            assert call.key in graph.stuck
            assert following.key in {before.key for before in graph.befores(call)}


@given(systems(), st.integers(1, 60))
def test_lines_fit_the_terminal_unless_a_single_name_does_not(calls, length):
    for pid in calls.limits:
        for told in (calls.running, calls.queued):
            told[pid] = [renamed(call, length) for call in told[pid]]
    lines = waiting_lines(calls.graph(), [])
    assert all(len(line) <= WIDTH or line.count("()") <= 1 for line in lines), lines


def renamed(call, length):
    waits = tuple(Wait("B" * length + wait.name, wait.maker, wait.number, wait.address) for wait in call.waits)
    return CallReport("B" * length + call.name, call.maker, call.number, waits)


# --- words ---------------------------------------------------------------------------------------------------------


def test_nothing_is_said_when_nobody_waits():
    graph = Calls(p1=1).runs(1, "a").graph()
    assert waiting_lines(graph, []) == []
    assert waiting_dict(graph, []) == {"actors": [], "circles": [], "silent": []}


def test_what_waits_is_told_actor_by_actor_the_stuck_ones_first():
    calls = Calls(p1=1, p2=1, p3=2).runs(1, "a").runs(2, "c", "d").waits(2, "d").runs(3, "e").runs(3, "f", "a", "z")
    for call in "bbg":
        calls.waits(1, call)
    calls.waits(3, "h")
    assert waiting_lines(calls.graph(name="main"), []) == [
        "waiting",
        "  Bank 'main' 020202020202 (pid 2)",
        "    Bank.c() waits for Bank.d() (pid 2)",
        "    Bank.d() waits behind Bank.c()",
        "  Bank 'main' 030303030303 (pid 3)",
        "    Bank.f() waits for Bank.a() (pid 1), Bank.z() (pid 3)",
        "    Bank.h() waits behind 2 that run",
        "  Bank 'main' 010101010101 (pid 1)",
        "    3 calls wait behind Bank.a(): 2 of Bank.b(), Bank.g()",
        "  these wait for each other",
        "    Bank.c() (pid 2)",
        "    waits for Bank.d() (pid 2)",
        "    which waits behind Bank.c() (pid 2)",
    ]


def test_many_of_a_kind_are_counted():
    calls = Calls(p1=0).waits(1, "b")
    calls.waits(1, "b")
    for call in "acdefghijk":
        calls.runs(1, call, *"pqrst")
    calls.running[1] += [CallReport("Bank.a", ALIEN, 200 + n, calls.running[1][0].waits) for n in range(5)]
    lines = waiting_lines(calls.graph(), [])
    assert "    6 calls of Bank.a() wait for" in lines
    assert "      Bank.p() (pid 1), Bank.q() (pid 1), Bank.r() (pid 1), and 2 more" in lines
    assert lines[-1] == "    and 3 more"
    assert waiting_lines(Calls(p1=0).waits(1, "b").graph(), [])[-1] == "    Bank.b() waits for its turn"


def test_what_is_not_told_is_counted():
    sums = tuple(Wait("Bank.s", ALIEN, 200 + number, "/run/2") for number in range(4))
    told = WaitReport(
        2, (CallReport("Bank.a", ALIEN, 1, sums, 7),), (CallReport("Bank.b", ALIEN, 2),), more_running=1, more_queued=9
    )
    actor, other = an_actor(1), an_actor(2)
    assert waiting_lines(WaitGraph([actor, other], {actor.actor_id: told}), [])[2:] == [
        "    Bank.a() waits for 4 of Bank.s() (pid 2), and 7 more",
        "    1 more running, not shown",
        "    10 calls wait behind 2 that run: Bank.b(), and 9 more",
    ]


def test_a_long_circle_is_cut():
    calls = Calls(p1=99)
    for number in range(40):
        made = (Wait("Bank.a", ALIEN, (number + 1) % 40),)
        calls.running[1].append(CallReport("Bank.a", ALIEN, number, made))
    assert waiting_lines(calls.graph(), [])[-1] == "    and so on, through 40 calls in all"


def test_of_many_actors_and_circles_some_are_shown_and_the_others_counted():
    calls = Calls(**{f"p{pid}": 1 for pid in range(1, 31)})
    for pid in range(1, 31):
        calls.running[pid].append(CallReport("Bank.a", ALIEN, pid, (Wait("Bank.a", ALIEN, pid),)))
    lines = waiting_lines(calls.graph(), [an_actor(pid) for pid in range(31, 61)])
    assert "  and 10 more actors, with calls that wait" in lines
    assert "  and 10 more actors, which do not answer" in lines
    assert lines[-1] == "  and 25 more circles"
