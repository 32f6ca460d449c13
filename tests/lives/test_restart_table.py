"""The tables of docs/explanation/restarts.md about one actor, cell by cell, with real processes.

A cell is named by its row and column: what the page says in it stands in `TABLE`, and is what happens.
"""

import itertools
import os
import re
import signal
from pathlib import Path

import pytest
from tests.lives import people
from tests.lives.fates import BUDGETS, PATIENCE, drop, events_until, fate, is_restarting, worn
from tests.lives.people import busy, first_times, make, tidy, times
from tests.programs import is_gone, output_of, wait_until

import actorio
from actorio.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "restarts.md"
KINDS = ["plain", "async"]

# -- which ends are followed by a restart --------------------------------------------------------------------------

COLUMNS = list(BUDGETS)
LIVES = dict.fromkeys(COLUMNS, "lives")
DEAD = dict.fromkeys(COLUMNS, "dead")
CRASHED = {"0": "dead", "some left": "restarts", "used up": "dead", "-1": "restarts"}
TABLE = (
    {f"R{number}": DEAD for number in range(1, 15)}
    | {"R1": LIVES}
    | dict.fromkeys(["R4", "R5", "R6", "R8", "R10"], CRASHED)
)


def told(body):
    """Return an end that the actor brings about in a method."""
    return lambda actor: actor.run.remote(body)


def from_outside(number):
    return lambda actor: os.kill(actorio.get(actor.pid.remote()), number)


ENDS = {
    "R2": {"exit": told(people.sys.exit), "exit(0)": told(people.exit_with_0)},
    "R3": {"exit_actor": told(people.exit_actor)},
    "R4": {"exit(3)": told(people.exit_with_3), "exit(words)": told(people.exit_with_words)},
    "R5": {"_exit(0)": told(people.leave_with_0), "_exit(3)": told(people.leave_with_3)},
    "R6": {
        "SIGKILL": from_outside(signal.SIGKILL),
        "SIGTERM": from_outside(signal.SIGTERM),
        "segfault": told(people.segfault),
    },
    "R7": {"kill": actorio.kill},
    "R8": {"kill": lambda actor: actorio.kill(actor, no_restart=False)},
    "R14": {"terminate": lambda actor: actor.__ray_terminate__.remote()},
}


def cells(row, ways):
    """Return row, column, end and kind of actor for each cell of a row; the kinds take turns."""
    numbered = enumerate(itertools.product(ways.items(), COLUMNS))
    for number, ((way, end), column) in numbered:
        kind = KINDS[(number + number // len(COLUMNS)) % len(KINDS)]
        yield pytest.param(row, column, end, kind, id="-".join(filter(None, (row, column, way, kind))))


def each_cell(rows):
    found = [cell for row, ways in rows.items() for cell in cells(row, ways)]
    return pytest.mark.parametrize(("row", "column", "end", "kind"), found)


def check_verdict(actor, row, column):
    """See that the actor is dead, or restarted, and that its next call finds it so."""
    restarts = BUDGETS[column][1]
    last = fate(actor, restarts)
    if TABLE[row][column] == "dead":
        assert (last.kind, last.restarts) == ("died", restarts)
        with pytest.raises(ActorDiedError, match="was not run"):
            actorio.get(actor.pid.remote())
    else:
        assert (last.kind, last.restarts) == ("started", restarts + 1)
        assert actorio.get(actor.pid.remote()) == last.pid


@each_cell(ENDS)
def test_an_end_of_a_process(row, column, end, kind, session):
    actor = worn(kind, column)
    end(actor)
    check_verdict(actor, row, column)


@each_cell({"R1": {"": None}})
def test_an_actor_outlives_an_exception(row, column, end, kind, session):
    actor = worn(kind, column)
    pid = actorio.get(actor.pid.remote())
    with pytest.raises(LookupError, match="nothing there"):
        actorio.get(actor.run.remote(people.raise_lookup_error))
    assert actorio.get(actor.pid.remote()) == pid


@each_cell({"R9": {"": None}})
def test_a_constructor_that_raises_is_not_run_again(row, column, end, kind, session, tmp_path):
    max_restarts, used = BUDGETS[column]
    runs = tmp_path / "runs"

    def begin():
        if people.count(runs) > used:
            raise LookupError("nothing there")

    actor = make(kind, begin, max_restarts=max_restarts)
    for restarts in range(used):
        # As many runs that do well as there are restarts used, the last of which ends in the exception.
        actor.run.remote(people.sigkill)
        fate(actor, restarts)
    check_verdict(actor, "R9", column)
    assert times(runs) == used + 1


@each_cell({"R10": {"exit(3)": people.exit_with_3, "_exit(0)": people.leave_with_0, "SIGKILL": people.sigkill}})
def test_a_process_that_ends_in_the_constructor(row, column, end, kind, session, tmp_path):
    max_restarts, used = BUDGETS[column]
    runs = tmp_path / "runs"
    actor = make(kind, first_times(runs, used + 1, end), max_restarts=max_restarts)
    waiting = actor.pid.remote()
    if TABLE["R10"][column] == "dead":
        # How far the constructor was, nobody outside can tell.
        with pytest.raises(ActorDiedError, match=r"may have run|was not run"):
            actorio.get(waiting)
        assert times(runs) == used + 1
    else:
        assert actorio.get(waiting) == fate(actor, used).pid
        assert times(runs) == used + 2


@pytest.mark.parametrize("end", [people.exit_with_0, people.exit_actor], ids=["R2", "R3"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_actor_that_leaves_in_its_constructor_is_dead(end, kind, session, tmp_path):
    actor = make(kind, first_times(tmp_path / "runs", 1, end), max_restarts=-1)
    with pytest.raises(ActorDiedError, match=r"may have run|was not run"):
        actorio.get(actor.pid.remote())
    assert times(tmp_path / "runs") == 1


@each_cell({"R11": {"": None}})
def test_an_actor_whose_last_handle_is_dropped(row, column, end, kind, session):
    handles = [worn(kind, column)]
    last = drop(handles)
    assert (last.kind, last.cause.cause) == ("died", "out_of_scope")


@each_cell({"R12": {"": None}})
def test_an_actor_whose_maker_has_ended(row, column, end, kind, session):
    maker = make()
    actor = actorio.get(maker.run.remote(worn, kind, column))
    maker.run.remote(people.sigkill)
    check_verdict(actor, "R12", column)


def test_a_detached_actor_outlives_its_maker(session):
    # R12: "and it is not detached".
    maker = make()
    actor = actorio.get(maker.run.remote(lambda: make(lifetime="detached")))
    maker.run.remote(people.sigkill)
    assert fate(maker, 0).kind == "died"
    assert actorio.get(actor.pid.remote()) == events_until(actor, lambda event: True)[0].pid
    actorio.kill(actor)


SHUT_DOWN = """
    import asyncio
    from tests.lives.fates import worn
    from actorio.exceptions import ActorDiedError, RaySystemError
    kind, column = sys.argv[1:]
    actor = worn(kind, column)
    for_ever = (lambda: asyncio.Event().wait()) if kind == "async" else (lambda: threading.Event().wait())
    pid = actorio.get(actor.pid.remote())
    running, waiting = actor.run.remote(for_ever), actor.pid.remote()
    actorio.shutdown()
    # An async actor runs both at the same time.
    for ref in (running, waiting) if kind == "plain" else [running]:
        try:
            actorio.get(ref)
        except ActorDiedError as error:
            print("its session was shut down" in str(error), "may have run" in str(error))
    try:
        actor.pid.remote()
    except RaySystemError as error:
        print("a session that this process has left" in str(error))
    print(pid)
"""


@each_cell({"R13": {"": None}})
def test_an_actor_whose_session_is_shut_down(row, column, end, kind):
    *said, pid = output_of(SHUT_DOWN, kind, column)
    assert said == ["True True"] * (2 if kind == "plain" else 1) + ["True"]
    assert is_gone(pid)


def test_the_page_says_what_happens():
    page = PAGE.read_text().partition("## What becomes of the calls")[0]
    rows = re.findall(r"^\| (R\d+) \|.*?\| (\w+) \| (\w+) \| (\w+) \| (\w+) \|$", page, re.MULTILINE)
    assert {row: dict(zip(COLUMNS, cells, strict=True)) for row, *cells in rows} == TABLE
    assert set(TABLE) == {*ENDS, "R1", "R9", "R10", "R11", "R12", "R13"}


# -- the calls when the actor restarts -----------------------------------------------------------------------------

RESTARTING = {
    "R4": people.exit_with_3,
    "R5": people.leave_with_0,
    "R6": people.sigkill,
    "R8": people.ask_to_be_killed,
}
each_restart = pytest.mark.parametrize(
    ("end", "kind"),
    [
        pytest.param(end, KINDS[number % 2], id=f"{row}-{KINDS[number % 2]}")
        for number, (row, end) in enumerate(RESTARTING.items())
    ],
)
each_kind = pytest.mark.parametrize("kind", KINDS)


@each_restart
def test_a_call_in_flight_without_retries_has_run_once(end, kind, session, tmp_path):
    actor = make(kind, max_restarts=1)
    with pytest.raises(ActorUnavailableError, match="may have run") as caught:
        actorio.get(actor.run.remote(first_times(tmp_path / "runs", 9, end)))
    assert caught.value.certificate.will_restart
    assert fate(actor, 0).kind == "started"
    assert times(tmp_path / "runs") == 1


@each_restart
def test_a_call_in_flight_with_a_retry_left_is_made_again(end, kind, session, tmp_path):
    actor = make(kind, max_restarts=1, max_task_retries=1)
    actorio.get(actor.run.remote(first_times(tmp_path / "runs", 1, end)))
    assert times(tmp_path / "runs") == 2


@each_restart
def test_a_call_in_flight_without_retries_left_is_not_made_again(end, kind, session, tmp_path):
    actor = make(kind, max_restarts=-1, max_task_retries=1)
    with pytest.raises(ActorUnavailableError, match="may have run"):
        actorio.get(actor.run.remote(first_times(tmp_path / "runs", 9, end)))
    assert fate(actor, 1).kind == "started"
    assert times(tmp_path / "runs") == 2


@each_restart
def test_calls_made_during_a_restart_wait_for_it_and_keep_their_order(end, kind, session, tmp_path):
    runs, gate, done = (tmp_path / name for name in ("runs", "gate", "done"))
    actor = make(kind, lambda: people.wait_for(gate) if people.count(runs) == 2 else None, max_restarts=1)
    actor.run.remote(end)
    events_until(actor, is_restarting)
    calls = [actor.run.remote(people.note, done, number) for number in range(20)]
    assert actorio.wait(calls, timeout=0) == ([], calls)
    gate.touch()
    actorio.get(calls)
    assert people.notes(done) == [str(number) for number in range(20)]


@each_kind
@pytest.mark.parametrize("end", [people.exit_with_3, people.leave_with_0, people.sigkill], ids=["R4", "R5", "R6"])
def test_calls_made_during_a_constructor_that_ends_wait_for_the_next(end, kind, session, tmp_path):
    # R10. They take no retry: they have none.
    done = tmp_path / "done"
    actor = make(kind, first_times(tmp_path / "runs", 2, end), max_restarts=2)
    actorio.get([actor.run.remote(people.note, done, number) for number in range(20)])
    assert people.notes(done) == [str(number) for number in range(20)]


@each_kind
def test_calls_that_waited_for_a_restart_end_with_its_constructors_exception(kind, session, tmp_path):
    runs, gate = tmp_path / "runs", tmp_path / "gate"

    def begin():
        if people.count(runs) == 2:
            people.wait_for(gate)
            people.raise_lookup_error()

    actor = make(kind, begin, max_restarts=-1, max_task_retries=5)
    actor.run.options(max_task_retries=0).remote(people.sigkill)
    events_until(actor, is_restarting)
    waiting = actor.pid.remote()
    gate.touch()
    with pytest.raises(ActorDiedError, match=r"(?s)nothing there.*was not run") as caught:
        actorio.get(waiting)
    assert caught.value.actor_init_failed
    assert times(runs) == 2


@each_kind
def test_calls_that_waited_end_when_the_restarts_are_used_up(kind, session, tmp_path):
    runs = tmp_path / "runs"
    actor = make(kind, lambda: people.count(runs) > 1 and people.leave_with_3(), max_restarts=3)
    actor.run.remote(people.sigkill)
    events_until(actor, is_restarting)
    with pytest.raises(ActorDiedError, match=r"(?s)exited with code 3.*restarted 3 times.*may have run"):
        actorio.get(actor.pid.remote())
    assert times(runs) == 4


# -- the calls when the actor is dead ------------------------------------------------------------------------------

CRASHES = {
    "R4": (people.exit_with_3, "exited with code 3"),
    "R5": (people.leave_with_0, "exited with code 0"),
    "R6": (people.segfault, "ended by SIGSEGV"),
    "R8": (people.ask_to_be_killed, r"killed by actorio.kill\(\) in an actor"),
}
LEAVES = {"R2": (people.exit_with_0, "exited with code 0"), "R3": (people.exit_actor, "left by exit_actor")}


def rows(table):
    return pytest.mark.parametrize(("end", "words"), table.values(), ids=table)


@rows(LEAVES)
def test_who_leaves_fails_its_own_call_and_those_that_had_not_begun(end, words, session):
    actor = make(max_restarts=-1, max_task_retries=-1)
    refs = [actor.run.remote(end), *(actor.pid.remote() for _ in range(3))]
    for ref in refs:
        with pytest.raises(ActorDiedError, match=words):
            actorio.get(ref)
    with pytest.raises(ActorDiedError, match=rf"(?s){words}.*was not run"):
        actorio.get(actor.pid.remote())


@pytest.mark.parametrize("kind", ["threaded", "async"])
def test_who_leaves_by_exit_actor_finishes_the_calls_that_run_beside(kind, session, tmp_path):
    # R3.
    actor, staying = busy(kind, tmp_path / "arrived")
    # The limit is two: the last call has not begun.
    ending, late = actor.end.remote(people.exit_actor), actor.stay.remote(tmp_path / "late")
    assert actorio.get(staying) == "stayed"
    for ref, fate_of_call in (ending, ".*may have run"), (late, ""):
        with pytest.raises(ActorDiedError, match=f"(?s)left by exit_actor{fate_of_call}"):
            actorio.get(ref)
    assert not (tmp_path / "late").exists()


def test_calls_that_come_while_an_actor_leaves_neither_run_nor_hold_it_up(session, tmp_path):
    # R3. The limit is two.
    actor = tidy("threaded", tmp_path / "notes")
    passing = actor.passes.remote(tmp_path / "arrived", tmp_path / "gate")
    people.wait_for(tmp_path / "arrived")
    ending = actor.run.remote(people.exit_actor_and_swallow_it)
    late = []
    for number in range(20):
        late.append(actor.passes.remote(tmp_path / f"late {number}", tmp_path / "gate"))
        actorio.wait(late, timeout=0.01)
    (tmp_path / "gate").touch()
    assert actorio.get(passing, timeout=PATIENCE) == "passed"
    for ref in ending, *late:
        with pytest.raises(ActorDiedError):
            actorio.get(ref, timeout=PATIENCE)
    assert not (tmp_path / "late 19").exists()


@pytest.mark.parametrize("kind", ["threaded", "async"])
def test_who_leaves_by_sys_exit_cuts_off_the_calls_that_run_beside(kind, session, tmp_path):
    # R2.
    actor, staying = busy(kind, tmp_path / "arrived")
    ending, late = actor.run.remote(people.exit_with_0), actor.stay.remote(tmp_path / "late")
    for ref in staying, ending:
        with pytest.raises(ActorDiedError, match=r"(?s)exited with code 0.*may have run"):
            actorio.get(ref)
    # It may have come when the actor was dead already.
    with pytest.raises(ActorDiedError, match="exited with code 0"):
        actorio.get(late)
    assert not (tmp_path / "late").exists()


@pytest.mark.parametrize("used_up", [False, True], ids=["0", "used up"])
@rows(CRASHES)
def test_a_crash_for_good_fails_every_call_and_says_how(end, words, used_up, session):
    actor = worn("plain", "used up" if used_up else "0", max_task_retries=-1 if not used_up else 0)
    refs = [actor.run.remote(end), actor.pid.remote()]
    pattern = f"(?s)is dead: .*{words}" + (".*restarted 1 time" if used_up else "")
    # Whether the second one came before the end is a matter of moments.
    for ref, ending in zip(refs, ("may have run", "(may have run|was not run)"), strict=True):
        with pytest.raises(ActorDiedError, match=f"{pattern}.*{ending}"):
            actorio.get(ref)
    with pytest.raises(ActorDiedError, match=f"{pattern}.*was not run"):
        actorio.get(actor.pid.remote())


def test_kill_fails_every_call_and_says_by_whom(session, tmp_path):
    # R7.
    actor, staying = busy("threaded", tmp_path / "arrived")
    actorio.kill(actor)
    words = rf"(?s)killed by actorio.kill\(\) in the driver \(pid {os.getpid()}\)"
    with pytest.raises(ActorDiedError, match=f"{words}.*may have run"):
        actorio.get(staying)
    with pytest.raises(ActorDiedError, match=f"{words}.*was not run"):
        actorio.get(actor.stay.remote(tmp_path / "late"))


def test_a_constructors_exception_is_told_to_calls_before_and_after(session):
    # R9.
    actor = make("plain", people.raise_lookup_error, max_restarts=-1, max_task_retries=-1)
    first = actor.pid.remote()
    for ref in first, actor.pid.remote():
        with pytest.raises(ActorDiedError, match=r"(?s)in raise_lookup_error.*nothing there.*was not run"):
            actorio.get(ref)


def test_an_end_in_the_constructor_is_told_to_calls_before_and_after(session):
    # R10.
    actor = make("plain", people.leave_with_3, max_restarts=1, max_task_retries=-1)
    first = actor.pid.remote()
    with pytest.raises(ActorDiedError, match=r"(?s)exited with code 3.*restarted 1 time.*may have run"):
        actorio.get(first)
    with pytest.raises(ActorDiedError, match=r"(?s)exited with code 3.*restarted 1 time.*was not run"):
        actorio.get(actor.pid.remote())


def test_an_actor_ends_after_the_calls_of_its_last_handle(session, tmp_path):
    # R11.
    handles, done = [make()], tmp_path / "done"
    for number in range(20):
        handles[0].run.remote(people.note, done, number)
    assert drop(handles).cause.cause == "out_of_scope"
    assert people.notes(done) == [str(number) for number in range(20)]


def test_calls_to_an_actor_whose_maker_has_ended_name_the_maker(session, tmp_path):
    # R12.
    maker = make()
    pid = actorio.get(maker.pid.remote())
    actor = actorio.get(maker.run.remote(make))
    staying = actor.run.remote(people.stay, tmp_path / "arrived")
    assert wait_until((tmp_path / "arrived").exists)
    maker.run.remote(people.sigkill)
    words = rf"(?s)the process that made it has ended.*pid {pid}"
    with pytest.raises(ActorDiedError, match=f"{words}.*may have run"):
        actorio.get(staying)
    with pytest.raises(ActorDiedError, match=f"{words}.*was not run"):
        actorio.get(actor.pid.remote())


@pytest.mark.parametrize("kind", ["plain", "threaded", "async"])
def test_calls_made_before_an_actor_was_asked_to_end_finish(kind, session, tmp_path):
    # R14.
    done = tmp_path / "done"
    actor = make(kind, max_restarts=-1, max_task_retries=-1)
    before = [actor.run.remote(people.note, done, number) for number in range(20)]
    asked = actor.__ray_terminate__.remote()
    actorio.get(before)
    words = r"asked to end by __ray_terminate__\(\)"
    with pytest.raises(ActorDiedError, match=words):
        actorio.get(asked)
    with pytest.raises(ActorDiedError, match=f"(?s){words}.*was not run"):
        actorio.get(actor.pid.remote())
    assert len(people.notes(done)) == 20


# -- a method that raises ------------------------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("retried", [False, [KeyError, OSError]], ids=["R1-False", "R1-other classes"])
def test_an_exception_that_is_not_retried_is_the_answer(retried, kind, session, tmp_path):
    actor = make(kind, max_task_retries=-1, retry_exceptions=retried)
    with pytest.raises(RayTaskError, match="nothing there"):
        actorio.get(actor.run.remote(first_times(tmp_path / "runs", 1, people.raise_lookup_error)))
    assert times(tmp_path / "runs") == 1


@each_kind
@pytest.mark.parametrize("retried", [True, [KeyError, LookupError]], ids=["R1-True", "R1-its class"])
def test_an_exception_that_is_retried_takes_a_retry(retried, kind, session, tmp_path):
    actor = make(kind, max_task_retries=2, retry_exceptions=retried)
    actorio.get(actor.run.remote(first_times(tmp_path / "runs", 2, people.raise_lookup_error)))
    assert times(tmp_path / "runs") == 3


@each_kind
@pytest.mark.parametrize("retried", [True, [LookupError]], ids=["R1-True", "R1-its class"])
def test_an_exception_is_the_answer_when_the_retries_are_used_up(retried, kind, session, tmp_path):
    actor = make(kind, max_task_retries=2, retry_exceptions=retried)
    with pytest.raises(RayTaskError, match="nothing there"):
        actorio.get(actor.run.remote(first_times(tmp_path / "runs", 9, people.raise_lookup_error)))
    assert times(tmp_path / "runs") == 3


@each_kind
def test_crashes_and_exceptions_take_from_the_same_retries(kind, session, tmp_path):
    def fail_in_turn():
        (people.raise_lookup_error, people.sigkill, people.raise_lookup_error)[people.count(tmp_path / "runs") - 1]()

    actor = make(kind, max_restarts=-1, max_task_retries=2, retry_exceptions=True)
    with pytest.raises(RayTaskError, match="nothing there"):
        actorio.get(actor.run.remote(fail_in_turn))
    assert times(tmp_path / "runs") == 3


def test_options_of_a_call_precede_those_of_the_method_and_of_the_class(session, tmp_path):
    class Chosen:
        def by_class(self, body):
            body()

        @actorio.method(max_task_retries=2)
        def by_method(self, body):
            body()

    actor = actorio.remote(max_task_retries=1, retry_exceptions=True)(Chosen).remote()
    attempts = {
        "class": (actor.by_class, 2),
        "method": (actor.by_method, 3),
        "call": (actor.by_method.options(max_task_retries=4), 5),
        "none": (actor.by_method.options(retry_exceptions=False), 1),
    }
    for name, (method, expected) in attempts.items():
        with pytest.raises(RayTaskError):
            actorio.get(method.remote(first_times(tmp_path / name, 99, people.raise_lookup_error)))
        assert times(tmp_path / name) == expected, name
