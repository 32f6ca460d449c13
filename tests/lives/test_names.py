"""Names: unique in their namespace while an actor lives, free at the moment of its death."""

import os
import random
import threading
from contextlib import suppress

import pytest
from tests.lives import people
from tests.lives.fates import crash, drop, events_until, fate, is_restarting
from tests.lives.people import Plain, make, notes, times
from tests.programs import output_of

import actorio
from actorio.exceptions import ActorDiedError
from actorio.util import list_named_actors

# How many ask for one name at the same time.
RIVALS = 8


def is_missing(name, **options):
    with pytest.raises(ValueError, match="there is no actor"):
        actorio.get_actor(name, **options)
    return True


# -- finding -------------------------------------------------------------------------------------------------------


def test_a_name_exists_as_soon_as_the_actor_was_asked_for(session, tmp_path):
    actor = make("plain", lambda: people.wait_for(tmp_path / "gate"), name="quick")
    found = actorio.get_actor("quick")
    (tmp_path / "gate").touch()
    assert found == actor
    assert actorio.get(found.pid.remote()) == actorio.get(actor.pid.remote())


def test_a_found_handle_calls_with_the_options_of_the_actor(session, tmp_path):
    actor = make(name="retrying", max_restarts=1, max_task_retries=1, retry_exceptions=True)
    actorio.get(actor.pid.remote())
    found = actorio.get_actor("retrying")
    actorio.get(found.run.remote(people.first_times(tmp_path / "runs", 1, people.raise_lookup_error)))
    assert times(tmp_path / "runs") == 2


def test_names_are_unique_in_their_namespace_only(session):
    here, there = make(name="twice"), make(name="twice", namespace="there")
    assert here != there
    assert actorio.get_actor("twice") == here
    assert actorio.get_actor("twice", namespace="there") == there
    assert actorio.get_actor("twice", "there") == there


def test_an_actor_finds_in_its_drivers_namespace(session):
    kept = make(name="of the family")
    assert actorio.get(make().run.remote(lambda: actorio.get_actor("of the family"))) == kept


def test_an_actors_actors_are_named_in_its_drivers_namespace(session):
    maker = make()
    child = actorio.get(maker.run.remote(lambda: make(name="child")))
    assert actorio.get_actor("child") == child


def test_named_actors_are_listed(session):
    kept = [make(name=name, namespace="listed") for name in ("one", "two")] + [make(name="three"), make()]
    assert "three" in list_named_actors()
    assert not {"one", "two"} & set(list_named_actors())
    listed = list_named_actors(all_namespaces=True)
    assert [each for each in listed if each["namespace"] == "listed"] == [
        {"name": name, "namespace": "listed"} for name in ("one", "two")
    ]
    actorio.kill(kept[2])
    assert fate(kept[2], 0).kind == "died"
    assert "three" not in list_named_actors()


def test_a_name_survives_a_restart(session, tmp_path):
    runs, gate = tmp_path / "runs", tmp_path / "gate"
    actor = make("plain", lambda: people.count(runs) == 2 and people.wait_for(gate), name="back", max_restarts=1)
    actor.run.remote(people.sigkill)
    events_until(actor, is_restarting)
    assert actorio.get_actor("back") == actor
    assert "back" in list_named_actors()
    with pytest.raises(ValueError, match="the name 'back' is taken"):
        make(name="back")
    gate.touch()
    assert actorio.get(actor.pid.remote()) == fate(actor, 0).pid


# -- near names ----------------------------------------------------------------------------------------------------


def test_an_unknown_name_is_answered_with_near_ones(session):
    kept = [make(name=name, namespace="near") for name in ("account-1", "account-2", "ledger")]
    with pytest.raises(ValueError, match="there is no actor 'acount-1' in namespace 'near'; did you mean") as caught:
        actorio.get_actor("acount-1", "near")
    assert "'account-1' or 'account-2'" in str(caught.value)
    with pytest.raises(ValueError, match="the names in this namespace are 'account-1', 'account-2', 'ledger'"):
        actorio.get_actor("something else", "near")
    with pytest.raises(ValueError, match="there is one in namespace 'near': pass namespace='near'"):
        actorio.get_actor("ledger", "far")
    with pytest.raises(ValueError, match="no actor of this namespace has a name"):
        actorio.get_actor("nothing like it", "far")
    del kept


# -- one name, many who want it ------------------------------------------------------------------------------------


def test_get_if_exists_makes_an_actor_and_then_finds_it(session, tmp_path):
    first, second = (
        make("plain", lambda: people.count(tmp_path / "runs"), name="only", get_if_exists=True) for _ in range(2)
    )
    assert first == second
    assert actorio.get(first.pid.remote()) == actorio.get(second.pid.remote())
    assert times(tmp_path / "runs") == 1


def test_threads_that_ask_for_one_name_get_one_actor(session, tmp_path):
    found, begin = [], threading.Barrier(RIVALS)

    def ask():
        begin.wait()
        found.append(make("plain", lambda: people.count(tmp_path / "runs"), name="shared", get_if_exists=True))

    threads = [threading.Thread(target=ask) for _ in range(RIVALS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({actorio.get(actor.pid.remote()) for actor in found}) == 1
    assert (len(found), len(set(found)), times(tmp_path / "runs")) == (RIVALS, 1, 1)


def test_processes_that_ask_for_one_name_get_one_actor(session, tmp_path):
    def ask(gate, runs):
        people.wait_for(gate)
        actor = make("plain", lambda: people.count(runs), name="shared", namespace="processes", get_if_exists=True)
        return actor, actorio.get(actor.pid.remote())

    askers = [make() for _ in range(RIVALS)]
    calls = [asker.run.remote(ask, tmp_path / "gate", tmp_path / "runs") for asker in askers]
    (tmp_path / "gate").touch()
    found = actorio.get(calls)
    assert len(set(found)) == 1
    assert times(tmp_path / "runs") == 1


def test_only_one_of_many_creates_where_the_name_has_to_be_free(session, tmp_path):
    def ask(gate):
        people.wait_for(gate)
        try:
            people.KEPT = make(name="contested", namespace="processes")
        except ValueError as error:
            return str(error)
        return "made"

    askers = [make() for _ in range(RIVALS)]
    calls = [asker.run.remote(ask, tmp_path / "gate") for asker in askers]
    (tmp_path / "gate").touch()
    answers = actorio.get(calls)
    assert answers.count("made") == 1
    assert all("the name 'contested' is taken" in answer for answer in answers if answer != "made")


def test_a_name_is_fought_for_by_those_who_create_and_those_who_kill(session, tmp_path):
    # However the two meet: one constructor run for each actor, and never two that live at the same time.
    seed = random.randrange(10**6)
    dice = random.Random(seed)

    class Unique:
        def __init__(self):
            os.open(tmp_path / "lives", os.O_CREAT | os.O_EXCL)

        def pid(self):
            return os.getpid()

        def __ray_shutdown__(self):
            (tmp_path / "lives").unlink()

    chosen = actorio.remote(Unique).options(name="fought for", get_if_exists=True)
    actor = chosen.remote()
    for _ in range(40):
        if dice.random() < 0.5:
            actor.__ray_terminate__.remote()
        actor = chosen.remote()
        with suppress(ActorDiedError):
            # It was told to end, and not taken for one that lives.
            assert actorio.get(actor.pid.remote(), timeout=20), seed


# -- free at death -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [actorio.kill, lambda actor: actor.__ray_terminate__.remote()], ids=["kill", "ask"])
def test_a_name_is_free_when_its_actor_is_dead(end, session):
    actor = make(name="freed")
    end(actor)
    assert fate(actor, 0).kind == "died"
    assert is_missing("freed")
    assert actorio.get(make(name="freed").pid.remote())


def test_a_name_can_be_taken_again_right_after_kill(session):
    pids = set()
    actor = make(name="again")
    for _ in range(20):
        pids.add(actorio.get(actor.pid.remote()))
        actorio.kill(actor)
        actor = make(name="again")
    assert len(pids) == 20


def test_who_takes_the_name_of_a_killed_actor_begins_after_its_end(session, tmp_path):
    class Alone:
        def __init__(self, path):
            self.file = people.os.open(path, people.os.O_CREAT | people.os.O_RDWR)
            # Its process has it for as long as it lives.
            __import__("fcntl").flock(self.file, 2 | 4)

        def hold(self):
            return True

    for _ in range(5):
        actor = actorio.remote(Alone).options(name="alone").remote(tmp_path / "locked")
        assert actorio.get(actor.hold.remote())
        actorio.kill(actor)


def test_get_if_exists_after_kill_makes_another_actor(session):
    actor = make(name="renewed", get_if_exists=True)
    pid = actorio.get(actor.pid.remote())
    actorio.kill(actor)
    other = make(name="renewed", get_if_exists=True)
    assert other != actor
    assert actorio.get(other.pid.remote()) != pid


def test_a_dying_actor_is_not_found_though_its_name_is_not_free_yet(session, tmp_path):
    class Slow(Plain):
        def __ray_shutdown__(self):
            (tmp_path / "ending").touch()
            people.wait_for(tmp_path / "gate")

    actor = actorio.remote(Slow).options(name="slow").remote()
    actor.__ray_terminate__.remote()
    people.wait_for(tmp_path / "ending")
    with pytest.raises(ValueError, match=r"the actor 'slow' of namespace .* is ending"):
        actorio.get_actor("slow")
    (tmp_path / "gate").touch()
    # Waits for the name.
    assert actorio.get(make(name="slow").pid.remote())
    assert fate(actor, 0).kind == "died"


def test_a_name_is_free_when_its_constructor_has_raised(session):
    actor = make("plain", people.raise_lookup_error, name="failed")
    with pytest.raises(ActorDiedError):
        actorio.get(actor.pid.remote())
    assert is_missing("failed")
    assert actorio.get(make(name="failed").pid.remote())


def test_a_name_is_free_when_its_actor_crashed_for_good(session):
    actor = make(name="crashed", max_restarts=1)
    crash(actor)
    actor.run.remote(people.sigkill)
    assert fate(actor, 1).kind == "died"
    assert actorio.get(make(name="crashed").pid.remote())


def test_a_name_is_free_when_the_last_handle_is_gone(session):
    drop([make(name="dropped")])
    assert is_missing("dropped")


# -- weak handles --------------------------------------------------------------------------------------------------


def test_a_found_handle_does_not_keep_its_actor(session):
    handles = [make(name="weakly held")]
    found = actorio.get_actor("weakly held")
    assert drop(handles).cause.cause == "out_of_scope"
    with pytest.raises(ActorDiedError, match=r"(?s)last handle is gone.*get_actor\(\) do not count"):
        actorio.get(found.pid.remote())


def test_a_handle_found_by_another_process_does_not_keep_its_actor(session):
    class Finder(Plain):
        def find(self, name):
            self.found = actorio.get_actor(name)
            return actorio.get_runtime_context().get_actor_id()

        async def ask(self):
            return await self.found.pid.remote()

    handles = [make(name="found afar")]
    finder = actorio.remote(Finder).remote()
    actorio.get(finder.find.remote("found afar"))
    assert drop(handles).cause.cause == "out_of_scope"
    with pytest.raises(ActorDiedError, match="last handle is gone"):
        actorio.get(finder.ask.remote())


def test_the_handle_that_get_if_exists_finds_does_not_keep_its_actor(session):
    handles = [make(name="gotten", get_if_exists=True)]
    found = actorio.get(make().run.remote(lambda: [make(name="gotten", get_if_exists=True)] and True))
    assert found
    assert drop(handles).cause.cause == "out_of_scope"


# -- bad input -----------------------------------------------------------------------------------------------------

LONG = "n" * 10_000


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"name": ""}, ValueError, "name='' is not allowed: it must not be empty"),
        ({"name": LONG}, ValueError, "it has 10000 characters, and may have 1000"),
        ({"name": "two\nlines"}, ValueError, "it must be printable"),
        ({"name": "\ud800"}, ValueError, "it must be printable"),
        ({"name": 5}, TypeError, "name=5 is of type int; it must be str or None"),
        ({"name": b"bytes"}, TypeError, "it must be str or None"),
        ({"name": "a", "namespace": ""}, ValueError, "namespace='' is not allowed"),
        ({"name": "a", "namespace": LONG}, ValueError, "it has 10000 characters"),
        ({"name": "a", "namespace": 1.5}, TypeError, "namespace=1.5 is of type float"),
        ({"namespace": "there"}, ValueError, "namespace='there' needs a name="),
        ({"get_if_exists": True}, ValueError, "get_if_exists=True needs a name="),
        ({"get_if_exists": "yes"}, TypeError, "get_if_exists='yes' is of type str"),
        ({"lifetime": "eternal"}, ValueError, "it must be 'detached', 'session', 'non_detached' or None"),
        ({"lifetime": 7}, TypeError, "lifetime=7 is of type int"),
        ({"nmae": "a"}, ValueError, r"there is no option nmae \(given as nmae='a'\); did you mean name?"),
        ({"max_restarts": -2}, ValueError, "max_restarts=-2 is not allowed: it must be at least -1"),
        ({"max_restarts": 1.0}, TypeError, "max_restarts=1.0 is of type float"),
        ({"max_restarts": None}, TypeError, "max_restarts=None is of type NoneType"),
        ({"max_restarts": 2**70}, ValueError, "max_restarts=.* is not allowed"),
        ({"max_task_retries": -2}, ValueError, "max_task_retries=-2 is not allowed"),
        ({"retry_exceptions": [ValueError, 3]}, ValueError, "3 is not a class of exceptions"),
        ({"retry_exceptions": [KeyboardInterrupt]}, ValueError, "is not a class of exceptions"),
        ({"retry_exceptions": ValueError}, TypeError, "retry_exceptions=.* is of type type"),
        ({"restart_policy": 3}, TypeError, "restart_policy=3 is of type int"),
    ],
)
def test_an_option_out_of_range_is_refused_where_it_is_written(options, error, text, session):
    before = list_named_actors(all_namespaces=True)
    with pytest.raises(error, match=text) as caught:
        make(**options)
    assert len(str(caught.value)) < 1500
    # Those of other tests may be on their way out.
    assert all(each in before for each in list_named_actors(all_namespaces=True))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("",), ValueError, "it must not be empty"),
        ((LONG,), ValueError, "it has 10000 characters"),
        ((5,), TypeError, "name=5 is of type int; it must be str"),
        ((None,), TypeError, "name=None is of type NoneType"),
        (("a", ""), ValueError, "namespace='' is not allowed"),
        (("a", 5), TypeError, "namespace=5 is of type int"),
    ],
)
def test_get_actor_takes_names_only(arguments, error, text, session):
    with pytest.raises(error, match=text) as caught:
        actorio.get_actor(*arguments)
    assert len(str(caught.value)) < 500


def test_the_longest_name_is_a_name(session):
    name = "\N{SNOWMAN}" * 1000
    actor = make(name=name)
    assert actorio.get_actor(name) == actor
    assert name in list_named_actors()
    with pytest.raises(ValueError, match="there is no actor") as caught:
        actorio.get_actor("\N{SNOWMAN}" * 999)
    assert len(str(caught.value)) < 2500


def test_a_taken_name_names_who_has_it_and_loses_nothing(session, tmp_path):
    actor = make(name="taken")
    pid = actorio.get(actor.pid.remote())
    with pytest.raises(ValueError, match=rf"the name 'taken' is taken in namespace .* by Plain .*pid {pid}\)"):
        make("plain", lambda: people.note(tmp_path / "ran", "ran"), name="taken")
    assert actorio.get(actor.pid.remote()) == pid
    assert notes(tmp_path / "ran") == []


def test_kill_takes_handles_only(session):
    make_name = make(name="by name")
    for wrong in ("by name", None, make_name.pid, make_name.pid.remote()):
        with pytest.raises(ValueError, match="takes an actor's handle"):
            actorio.kill(wrong)
    with pytest.raises(TypeError):
        actorio.kill(make_name, False)
    assert actorio.get(make_name.pid.remote())


def test_a_dead_actor_is_killed_in_peace(session):
    actor = make(max_restarts=-1)
    for _ in range(3):
        actorio.kill(actor)
    assert fate(actor, 0).kind == "died"
    for no_restart in (True, False):
        actorio.kill(actor, no_restart=no_restart)
    with pytest.raises(ActorDiedError, match="was killed by"):
        actorio.get(actor.pid.remote())


def test_a_name_of_another_session_is_unknown(session):
    kept = make(name="ours", namespace="shared")
    (said,) = output_of("""
        try:
            actorio.get_actor("ours", "shared")
        except ValueError as error:
            print(error)
    """)
    assert said == "there is no actor 'ours' in namespace 'shared'; no actor of this namespace has a name"
    del kept
