"""References: a value lives as long as somebody somewhere has one, and no longer."""

import gc
import os
import pickle
import signal
import time
import weakref

import pytest
from tests.programs import wait_until
from tests.refs import Keeper

import actorio
from actorio._model.reference import pending_of
from actorio.exceptions import ObjectLostError, OwnerDiedError

pytestmark = pytest.mark.usefixtures("session")


def put(value):
    """Return a new reference, and what tells whether its value is still there."""
    ref = actorio.put(value)
    return ref, weakref.ref(pending_of(ref))


def is_freed(value):
    return wait_until(lambda: value() is None)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def keeper():
    keeper = Keeper.remote()
    actorio.get(keeper.pid.remote())
    return keeper


@pytest.fixture
def other():
    other = Keeper.remote()
    actorio.get(other.pid.remote())
    return other


# --- kept -----------------------------------------------------------------------------------------------------------


def test_a_reference_in_a_list_keeps_its_value_until_the_actor_drops_it(keeper):
    ref, value = put("v")
    actorio.get(keeper.keep.remote("list", [ref]))
    del ref
    assert actorio.get(keeper.give.remote("list"))[0] is not None
    assert value() is not None
    actorio.get(keeper.drop.remote("list"))
    assert is_freed(value)


def test_a_value_lives_while_the_call_that_it_is_in_waits(keeper):
    ref, value = put(3)
    slow = keeper.__ray_call__.remote(lambda _: time.sleep(0.2))
    total = keeper.sum_of.remote([ref, ref])
    del ref
    assert actorio.get(total) == 6
    actorio.get(slow)
    assert is_freed(value)


def test_a_reference_that_is_passed_on_keeps_its_value_though_all_before_have_dropped_it(keeper, other):
    ref, value = put("v")
    actorio.get(keeper.keep.remote("list", {"deep": [ref]}))
    actorio.get(keeper.pass_on.remote("list", other))
    actorio.get(keeper.drop.remote("list"))
    del ref
    gc.collect()
    assert actorio.get(actorio.get(other.give.remote("list"))["deep"][0]) == "v"
    assert value() is not None
    actorio.get(other.drop.remote("list"))
    assert is_freed(value)


def test_a_reference_that_comes_home_is_the_one_that_left(keeper):
    ref, value = put("v")
    actorio.get(keeper.keep.remote("list", [ref]))
    again = actorio.get(keeper.give.remote("list"))[0]
    assert again == ref
    actorio.get(keeper.drop.remote("list"))
    del ref
    assert actorio.get(again) == "v"
    del again
    assert is_freed(value)


def test_a_value_keeps_what_is_in_it(keeper):
    inner, inner_value = put("inner")
    outer, outer_value = put([inner])
    actorio.get(keeper.keep.remote("outer", [outer]))
    del inner, outer
    assert actorio.get(actorio.get(actorio.get(keeper.give.remote("outer"))[0])[0]) == "inner"
    actorio.get(keeper.drop.remote("outer"))
    assert is_freed(outer_value)
    assert is_freed(inner_value)


def test_a_value_that_was_read_keeps_what_is_in_it_without_the_value_itself(keeper):
    inner, inner_value = put("inner")
    outer, outer_value = put([inner])
    del inner
    actorio.get(keeper.keep.remote("read", outer))
    del outer
    assert is_freed(outer_value)
    assert actorio.get(actorio.get(keeper.give.remote("read"))[0]) == "inner"
    actorio.get(keeper.drop.remote("read"))
    assert is_freed(inner_value)


def test_a_reference_among_the_constructors_arguments_keeps_its_value_as_long_as_the_actor_has_it():
    ref, value = put("v")
    keeper = Keeper.remote([ref])
    del ref
    assert actorio.get(actorio.get(keeper.give.remote("made with"))[0][0]) == "v"
    actorio.get(keeper.drop.remote("made with"))
    # The handle keeps it for a restart.
    assert value() is not None
    del keeper
    gc.collect()
    assert is_freed(value)


def test_a_restarted_actor_finds_what_its_constructor_needs():
    ref, value = put("v")
    keeper = Keeper.options(max_restarts=1, max_task_retries=-1).remote([ref])
    del ref
    actorio.kill(keeper, no_restart=False)
    assert actorio.get(actorio.get(keeper.give.remote("made with"))[0][0]) == "v"
    del keeper
    assert is_freed(value)


def test_a_cycle_of_containers_with_a_reference_in_it_is_freed_by_the_collector():
    ref, value = put("v")
    cycle = [ref]
    cycle.append(cycle)
    del ref, cycle
    gc.collect()
    assert value() is None


def test_ten_thousand_references_come_and_go(keeper):
    values = []
    for _ in range(20):
        refs, watches = zip(*(put(1) for _ in range(500)), strict=True)
        values += watches
        assert actorio.get(keeper.sum_of.remote(list(refs))) == 500
        del refs
    assert wait_until(lambda: not any(value() is not None for value in values))


def test_a_result_that_is_not_there_yet_can_be_passed_on(keeper, other):
    slow = keeper.__ray_call__.remote(lambda _: time.sleep(0.1) or 5)
    assert actorio.get(other.sum_of.remote([slow, slow])) == 10


# --- owned by actors ------------------------------------------------------------------------------------------------


def test_an_actor_whose_value_somebody_has_stays_and_ends_when_nobody_has():
    keeper = Keeper.remote()
    pid = actorio.get(keeper.pid.remote())
    (ref,) = actorio.get(keeper.make.remote("v"))
    del keeper
    gc.collect()
    assert actorio.get(ref) == "v"
    assert is_running(pid)
    del ref
    assert wait_until(lambda: not is_running(pid))


def test_a_value_of_an_actor_is_passed_on_by_another(keeper, other):
    actorio.get(keeper.make_and_keep.remote("made", "v"))
    actorio.get(keeper.pass_on.remote("made", other))
    actorio.get(keeper.drop.remote("made"))
    assert actorio.get(actorio.get(other.give.remote("made"))[0]) == "v"


def test_a_value_whose_owner_was_killed_is_lost_in_words(keeper, other):
    actorio.get(keeper.make_and_keep.remote("made", "v"))
    (ref,) = actorio.get(keeper.give.remote("made"))
    actorio.get(keeper.pass_on.remote("made", other))
    pid = actorio.get(keeper.pid.remote())
    actorio.kill(keeper)
    assert wait_until(lambda: not is_running(pid))
    with pytest.raises(OwnerDiedError, match=r"the process that owns the result of put\(\) has ended"):
        actorio.get(ref)
    with pytest.raises(OwnerDiedError):
        actorio.get(actorio.get(other.give.remote("made"))[0])


def test_a_borrower_that_is_killed_keeps_nothing(keeper, other):
    ref, value = put("v")
    actorio.get(keeper.keep.remote("list", [ref]))
    actorio.get(keeper.pass_on.remote("list", other))
    del ref
    gc.collect()
    actorio.kill(keeper)
    assert actorio.get(actorio.get(other.give.remote("list"))[0]) == "v"
    actorio.kill(other)
    assert is_freed(value)


def test_a_call_that_is_lost_with_its_actor_keeps_nothing(keeper):
    ref, value = put("v")
    blocked = keeper.__ray_call__.remote(lambda _: time.sleep(60))
    waiting = keeper.keep.remote("list", [ref])
    del ref
    actorio.kill(keeper)
    with pytest.raises(actorio.exceptions.ActorDiedError):
        actorio.get(waiting)
    del waiting, blocked
    assert is_freed(value)


def test_a_call_that_is_retried_lends_anew_and_keeps_nothing():
    keeper = Keeper.options(max_restarts=1, max_task_retries=1).remote()
    pid = actorio.get(keeper.pid.remote())
    # It does not read what is sent to it any more.
    os.kill(pid, signal.SIGSTOP)
    ref, value = put(3)
    total = keeper.sum_of.remote([ref])
    del ref
    os.kill(pid, signal.SIGKILL)
    assert actorio.get(total) == 3
    assert is_freed(value)


def test_a_result_that_its_caller_dies_before_reading_keeps_nothing(keeper):
    dying = Keeper.remote()
    with pytest.raises(actorio.exceptions.ActorDiedError):
        actorio.get(dying.die_with_results_unread.remote(keeper))
    assert wait_until(lambda: not actorio.get(keeper.owns_anything.remote()), 30)


# --- wrong ----------------------------------------------------------------------------------------------------------


def test_a_reference_that_was_pickled_by_hand_finds_its_value_while_it_is_there():
    ref = actorio.put("v")
    data = pickle.dumps(ref)
    assert actorio.get(pickle.loads(data)) == "v"


def test_a_reference_that_was_pickled_by_hand_does_not_keep_its_value(keeper):
    ref, value = put("v")
    data = pickle.dumps(ref)
    del ref
    # What was noted while it was pickled goes with the next call.
    actorio.get(keeper.pid.remote())
    assert is_freed(value)
    with pytest.raises(ObjectLostError, match="pickled by hand"):
        actorio.get(pickle.loads(data))


def test_a_reference_cannot_be_put():
    with pytest.raises(TypeError, match="not an ObjectRef"):
        actorio.put(actorio.put(1))
