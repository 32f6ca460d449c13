"""Handles: an actor lives as long as somebody has one, wherever that is, and ends when nobody does."""

import asyncio
import copy
import gc
import os
import pickle
import random

import pytest
from tests.lives import people
from tests.lives.fates import PATIENCE, crash, drop, fate
from tests.lives.people import Introduced, Keeper, make, note, notes
from tests.programs import is_gone, wait_until

import actorio
from actorio.exceptions import ActorDiedError, RayTaskError


@pytest.fixture
def keeper(session):
    return actorio.remote(Keeper).remote()


@pytest.fixture
def born(session):
    """Make an actor; return its process id and the list of its only handle."""

    def bear(*arguments, **options):
        handles = [make(*arguments, **options)]
        return actorio.get(handles[0].pid.remote()), handles

    return bear


def asking(actor):
    """Return a function that has a handle in its closure."""
    return lambda: actorio.get(actor.pid.remote())


def ends(pid):
    return wait_until(lambda: is_gone(pid))


# -- the last handle -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "threaded", "async"])
def test_calls_that_nobody_waits_for_all_run_before_the_actor_ends(kind, session, tmp_path):
    handles = [make(kind)]
    for number in range(100):
        handles[0].run.remote(note, tmp_path / "notes", number)
    assert drop(handles).cause.cause == "out_of_scope"
    assert sorted(map(int, notes(tmp_path / "notes"))) == list(range(100))


@pytest.mark.parametrize("kind", ["plain", "threaded", "async"])
def test_an_actor_that_was_made_for_one_call_runs_it(kind, session, tmp_path):
    ref = make(kind).pid.remote()
    pid = actorio.get(ref)
    assert ends(pid)
    for number in range(10):
        make(kind).run.remote(note, tmp_path / "notes", number)
    assert wait_until(lambda: len(notes(tmp_path / "notes")) == 10)


def test_calls_from_an_event_loop_all_run_before_the_actor_ends(session, tmp_path):
    async def fire():
        actor = make("async")
        for number in range(100):
            actor.run.remote(note, tmp_path / "notes", number)

    asyncio.run(fire())
    assert wait_until(lambda: len(notes(tmp_path / "notes")) == 100)


def test_an_actor_ends_after_the_constructor_whatever_that_takes(session, tmp_path):
    handles = [make("plain", lambda: people.wait_for(tmp_path / "gate"))]
    ref = handles[0].run.remote(note, tmp_path / "notes", "ran")
    handles.clear()
    (tmp_path / "gate").touch()
    actorio.get(ref)
    assert notes(tmp_path / "notes") == ["ran"]


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_an_actor_that_is_dropped_at_once_ends(kind, session, tmp_path):
    handles = [make(kind, lambda: note(tmp_path / "notes", os.getpid()))]
    assert drop(handles).cause.cause == "out_of_scope"
    assert all(map(is_gone, notes(tmp_path / "notes")))


def test_a_method_keeps_its_actor(born):
    pid, handles = born()
    method = handles[0].pid
    handles.clear()
    gc.collect()
    assert [actorio.get(method.remote()) for _ in range(3)] == [pid] * 3
    del method
    assert ends(pid)


def test_copies_of_a_handle_are_handles(born):
    pid, handles = born()
    copies = [copy.copy(handles[0]), copy.deepcopy(handles[0]), pickle.loads(pickle.dumps(handles[0]))]
    assert set(copies) == set(handles)
    handles.clear()
    while copies:
        assert actorio.get(copies[-1].pid.remote()) == pid
        copies.pop()
    assert ends(pid)


def test_the_reference_of_a_result_does_not_keep_the_actor(born):
    pid, handles = born()
    ref = handles[0].pid.remote()
    assert actorio.get(ref) == pid
    handles.clear()
    assert ends(pid)
    assert actorio.get(ref) == pid


def test_a_handle_in_a_cycle_goes_with_it(born):
    pid, handles = born()
    cycle = {"handle": handles.pop()}
    cycle["self"] = cycle
    del cycle
    gc.collect()
    assert ends(pid)


# -- where handles are kept ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrap", "unwrap"),
    [
        pytest.param(lambda actor: actor, lambda thing: thing.pid, id="itself"),
        pytest.param(lambda actor: [actor], lambda thing: thing[0].pid, id="in a list"),
        pytest.param(lambda actor: {"deep": ({"in": actor},)}, lambda thing: thing["deep"][0]["in"].pid, id="deep"),
        pytest.param(lambda actor: actor.pid, lambda thing: thing, id="a method"),
    ],
)
def test_a_handle_in_an_argument_keeps_its_actor(wrap, unwrap, keeper, born):
    pid, handles = born()
    actorio.get(keeper.keep.remote("it", wrap(handles[0])))
    handles.clear()
    gc.collect()
    assert actorio.get(unwrap(actorio.get(keeper.give.remote("it"))).remote()) == pid
    actorio.get(keeper.drop.remote("it"))
    assert ends(pid)


def test_a_handle_in_an_argument_that_is_not_kept_lets_the_actor_end(keeper, born):
    pid, handles = born()
    actorio.get(keeper.run.remote(lambda actor: None, handles[0]))
    handles.clear()
    assert ends(pid)


def test_a_handle_on_its_way_keeps_its_actor(born, tmp_path):
    pid, handles = born()
    busy = make()
    staying = busy.run.remote(people.wait_for, tmp_path / "gate")
    # Waits in the mailbox of somebody who is busy, who is the only one to have it.
    asked = busy.run.remote(lambda handle: actorio.get(handle.pid.remote()), handles.pop())
    gc.collect()
    assert actorio.wait([asked], timeout=0)[0] == []
    (tmp_path / "gate").touch()
    assert actorio.get([asked, staying]) == [pid, None]
    assert ends(pid)


def test_a_handle_in_the_mailbox_of_an_actor_that_dies_lets_its_actor_end(born, tmp_path):
    pid, handles = born()
    busy = make()
    staying = busy.run.remote(people.stay, tmp_path / "arrived")
    assert wait_until((tmp_path / "arrived").exists)
    asked = busy.run.remote(lambda handle: None, handles.pop())
    actorio.kill(busy)
    for ref in staying, asked:
        with pytest.raises(ActorDiedError):
            actorio.get(ref)
    assert ends(pid)


def test_a_handle_in_a_result_keeps_its_actor(keeper):
    pid, handle = actorio.get(keeper.run.remote(lambda: (os.getpid(), make())))
    assert pid
    child = actorio.get(handle.pid.remote())
    assert actorio.get(handle.pid.remote()) == child
    del handle
    assert ends(child)


def test_a_handle_in_a_result_that_nobody_has_read_keeps_its_actor(keeper):
    ref = keeper.run.remote(lambda: [make()])
    actorio.wait([ref])
    (handle,) = actorio.get(ref)
    child = actorio.get(handle.pid.remote())
    del handle
    # The reference still has it: whoever reads it again gets a handle again.
    (handle,) = actorio.get(ref)
    assert actorio.get(handle.pid.remote()) == child
    del handle, ref
    assert ends(child)


def test_a_handle_in_a_result_that_nobody_wants_lets_its_actor_end(keeper, tmp_path):
    def bear():
        actor = make()
        note(tmp_path / "pid", actorio.get(actor.pid.remote()))
        return actor

    keeper.run.remote(bear)
    assert wait_until(lambda: notes(tmp_path / "pid"))
    # Whoever reads another reply of that actor reads the one with the handle, too.
    actorio.get(keeper.pid.remote())
    assert ends(notes(tmp_path / "pid")[0])


def test_a_handle_in_a_result_that_is_an_argument_keeps_its_actor(keeper):
    maker = make()
    pid = actorio.get(keeper.run.remote(lambda actor: actorio.get(actor.pid.remote()), maker.run.remote(make)))
    assert ends(pid)


def test_a_handle_in_a_put_value_keeps_its_actor(keeper, born):
    pid, handles = born()
    ref = actorio.put({"handle": handles.pop()})
    gc.collect()
    assert actorio.get(keeper.run.remote(lambda held: actorio.get(held["handle"].pid.remote()), ref)) == pid
    assert actorio.get(actorio.get(ref)["handle"].pid.remote()) == pid
    del ref
    assert ends(pid)


def test_a_handle_behind_a_borrowed_reference_keeps_its_actor(keeper, born):
    # As long as the process that made the reference: it keeps what it has lent.
    pid, handles = born()
    maker = make()
    (ref,) = actorio.get(maker.run.remote(lambda handle: [actorio.put(handle)], handles.pop()))
    actorio.get(keeper.keep.remote("ref", [ref]))
    del ref
    gc.collect()
    (ref,) = actorio.get(keeper.give.remote("ref"))
    assert actorio.get(actorio.get(ref).pid.remote()) == pid
    del ref
    actorio.get(keeper.drop.remote("ref"))
    actorio.kill(maker)
    assert ends(pid)


def test_a_handle_in_the_closure_of_a_remote_function_keeps_its_actor(born):
    pid, handles = born()
    ask = actorio.remote(asking(handles.pop()))
    gc.collect()
    assert [actorio.get(ask.remote()) for _ in range(3)] == [pid] * 3
    del ask
    assert ends(pid)


def test_a_handle_in_the_closure_of_an_argument_keeps_its_actor(keeper, born):
    pid, handles = born()
    actorio.get(keeper.keep.remote("ask", asking(handles.pop())))
    gc.collect()
    assert actorio.get(keeper.give.remote("ask"))() == pid
    actorio.get(keeper.drop.remote("ask"))
    assert ends(pid)


def test_a_handle_in_the_constructors_arguments_keeps_its_actor_also_after_a_restart(born):
    pid, handles = born()
    keeper = actorio.remote(Keeper).options(max_restarts=2).remote([handles.pop()])
    gc.collect()
    for restarts in range(2):
        (handle,) = actorio.get(keeper.give.remote("first"))
        assert actorio.get(handle.pid.remote()) == pid
        del handle
        # It drops what it was given; whoever takes its place is given it again.
        actorio.get(keeper.drop.remote("first"))
        gc.collect()
        crash(keeper, restarts)
    actorio.kill(keeper)
    assert ends(pid)


def test_a_handle_in_the_arguments_of_a_constructor_that_raises_lets_its_actor_end(born):
    pid, handles = born()

    class Failing:
        def __init__(self, handle):
            raise LookupError("nothing there")

    failed = actorio.remote(Failing).options(max_restarts=-1).remote(handles.pop())
    assert fate(failed, 0).kind == "died"
    assert ends(pid)


def test_a_handle_in_an_exception_keeps_its_actor(keeper):
    def fail():
        error = LookupError("see the handle")
        error.handle = make()
        raise error

    ref = keeper.run.remote(fail)
    with pytest.raises(RayTaskError) as caught:
        actorio.get(ref)
    pid = actorio.get(caught.value.cause.handle.pid.remote())
    assert actorio.get(caught.value.cause.handle.pid.remote()) == pid
    del ref, caught
    gc.collect()
    # There the exception and the frame that raised it hold each other.
    actorio.get(keeper.run.remote(gc.collect))
    assert ends(pid)


# -- who passes handles on -----------------------------------------------------------------------------------------


def test_a_handle_passed_on_outlives_who_passed_it(keeper, born):
    pid, handles = born()
    middle = actorio.remote(Keeper).remote()
    actorio.get(middle.keep.remote("it", handles.pop()))

    def pass_on(keeper_handle, thing):
        actorio.get(keeper_handle.keep.remote("it", thing))

    actorio.get(middle.run.remote(pass_on, keeper, actorio.get(middle.give.remote("it"))))
    gc.collect()
    middle.run.remote(people.leave_with_0)
    assert fate(middle, 0).kind == "died"
    assert actorio.get(actorio.get(keeper.give.remote("it")).pid.remote()) == pid
    actorio.get(keeper.drop.remote("it"))
    assert ends(pid)


def test_the_handles_of_an_actor_that_is_killed_go_with_it(keeper, born):
    pid, handles = born()
    actorio.get(keeper.keep.remote("it", handles.pop()))
    gc.collect()
    actorio.kill(keeper)
    assert ends(pid)


def test_a_crash_of_the_holder_ends_what_it_held_though_it_is_restarted(born):
    pid, handles = born()
    keeper = actorio.remote(Keeper).options(max_restarts=1).remote()
    actorio.get(keeper.keep.remote("it", handles.pop()))
    gc.collect()
    crash(keeper)
    assert ends(pid)
    assert actorio.get(keeper.names.remote()) == ["first"]


def test_two_actors_that_hold_each_other_live_on(session):
    first, second = (actorio.remote(Keeper).remote() for _ in range(2))
    actorio.get([first.keep.remote("other", second), second.keep.remote("other", first)])
    pids = actorio.get([first.pid.remote(), second.pid.remote()])
    name = "of a pair"
    waiting = make(name=name)
    actorio.get(first.keep.remote("witness", waiting))
    del first, second, waiting
    gc.collect()
    # As in Ray, whoever is held by somebody who lives, lives: until the maker of both has gone.
    assert actorio.get(actorio.get_actor(name).pid.remote())
    assert not any(map(is_gone, pids))


# -- an actor's own handle -----------------------------------------------------------------------------------------


def test_self_as_an_argument_arrives_as_the_actors_own_handle(keeper):
    actor = actorio.remote(Introduced).remote()
    actorio.get(actor.introduce.remote(keeper))
    friend = actorio.get(keeper.give.remote("friend"))
    assert friend == actor
    pid = actorio.get(friend.pid.remote())
    del actor, friend
    gc.collect()
    assert actorio.get(actorio.get(keeper.give.remote("friend")).pid.remote()) == pid
    actorio.get(keeper.drop.remote("friend"))
    assert ends(pid)


def test_self_in_a_container_arrives_as_the_actors_own_handle(keeper):
    actor = actorio.remote(Introduced).remote()
    actorio.get(actor.introduce_in.remote(keeper))
    assert actorio.get(keeper.give.remote("friends")) == [actor]


def test_an_actors_own_handle_keeps_it_where_it_is_passed_to(session):
    actor = actorio.remote(Introduced).remote()
    itself = actorio.get(actor.who.remote())
    assert itself == actor
    pid = actorio.get(actor.pid.remote())
    del actor
    gc.collect()
    assert actorio.get(itself.pid.remote()) == pid
    del itself
    assert ends(pid)


def test_an_actor_that_keeps_its_own_handle_is_not_kept_by_it(session):
    actor = actorio.remote(Introduced).remote()
    actorio.get(actor.remember_itself.remote())
    pid = actorio.get(actor.pid.remote())
    del actor
    assert ends(pid)


def test_an_actor_that_was_given_its_own_handle_is_not_kept_by_it(session):
    actor = actorio.remote(Introduced).remote()
    actorio.get(actor.keep.remote("me", actor))
    pid = actorio.get(actor.pid.remote())
    del actor
    assert ends(pid)


# -- any number of times -------------------------------------------------------------------------------------------


class Crowd:
    """Actors of which some are held by keepers, some by this process, and some by nobody any more."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.keepers = [actorio.remote(Keeper).remote() for _ in range(3)]
        # Of each actor: its process, and who has it: keepers by number, -1 for this process.
        self.pids, self.held, self.here, self.pending = {}, {}, {}, []

    def turn(self):
        if not self.held or (len(self.held) < 6 and self.dice.random() < 0.2):
            self.bear()
        else:
            self.dice.choice([self.pass_on, self.pass_on, self.let_go])()
        if self.held and self.dice.random() < 0.3:
            self.ask()

    def bear(self):
        name = f"actor {len(self.pids)}"
        self.here[name] = make()
        self.pids[name] = actorio.get(self.here[name].pid.remote())
        self.held[name] = {-1}

    def choose(self):
        name = self.dice.choice(sorted(self.held))
        return name, self.dice.choice(sorted(self.held[name]))

    def pass_on(self):
        name, giver = self.choose()
        taker = self.dice.randrange(len(self.keepers))
        # The reference of a result is the argument: the handle goes from keeper to keeper.
        what = self.here[name] if giver < 0 else self.keepers[giver].give.remote(name)
        self.pending.append(self.keepers[taker].keep.remote(name, what))
        self.held[name].add(taker)
        if self.dice.random() < 0.3:
            self.settle()

    def let_go(self):
        name, holder = self.choose()
        self.settle()
        if holder < 0:
            del self.here[name]
        else:
            actorio.get(self.keepers[holder].drop.remote(name))
        self.held[name].discard(holder)
        if not self.held[name]:
            del self.held[name]

    def ask(self):
        name, holder = self.choose()
        self.settle()
        handle = self.here[name] if holder < 0 else actorio.get(self.keepers[holder].give.remote(name))
        assert actorio.get(handle.pid.remote(), timeout=PATIENCE) == self.pids[name]

    def settle(self):
        actorio.get(self.pending)
        self.pending.clear()


@pytest.mark.parametrize("seed", [1, 2, None], ids=["1", "2", "another"])
def test_handles_passed_about_at_random_keep_their_actors_and_let_them_end(seed, session):
    seed = random.randrange(10**6) if seed is None else seed
    print(f"seed {seed}")
    crowd = Crowd(seed)
    for _ in range(100):
        crowd.turn()
    crowd.settle()
    assert [name for name, pid in crowd.pids.items() if name not in crowd.held and not ends(pid)] == []
    assert [name for name in crowd.held if is_gone(crowd.pids[name])] == []
    crowd.here.clear()
    for keeper in crowd.keepers:
        actorio.kill(keeper)
    assert [name for name, pid in crowd.pids.items() if not ends(pid)] == []
