import contextlib
import gc
import logging
import pickle
import weakref

import pytest
from tests.util.workers import Gates, Worker, double, double_or_die, double_or_fail, through

import actorio
from actorio.exceptions import ActorDiedError
from actorio.util import ActorPool


@pytest.fixture
def gates(session):
    return Gates.remote()


@pytest.fixture
def make(gates):
    """Make a pool of so many actors."""
    return lambda size: ActorPool([Worker.remote(gates) for _ in range(size)])


def opened(gates, *names):
    actorio.get(gates.open.remote(*names))


def came(gates, *names):
    actorio.get(gates.until_came.remote(*names))


def rest(pool):
    """Fetch every result, errors as themselves."""
    results = []
    while pool.has_next():
        try:
            results.append(pool.get_next())
        except Exception as error:
            results.append(error)
    return results


# -- map -----------------------------------------------------------------------------------------------------------


def test_map_gives_the_results_in_the_values_order(make, gates):
    results = make(2).map(through, ["first", "second"])
    came(gates, "first", "second")
    opened(gates, "second")
    opened(gates, "first")
    assert list(results) == ["first", "second"]


def test_map_unordered_gives_the_results_as_they_come(make, gates):
    results = make(2).map_unordered(through, ["first", "second"])
    opened(gates, "second")
    assert next(results) == "second"
    opened(gates, "first")
    assert list(results) == ["first"]


@pytest.mark.parametrize("kind", ["map", "map_unordered"])
@pytest.mark.parametrize("size", [1, 3])
def test_a_map_takes_more_values_than_there_are_actors(kind, size, make):
    assert sorted(getattr(make(size), kind)(double, range(20))) == [2 * value for value in range(20)]


@pytest.mark.parametrize("kind", ["map", "map_unordered"])
def test_a_map_over_nothing_is_empty(kind, make):
    assert list(getattr(make(1), kind)(double, [])) == []


@pytest.mark.parametrize("kind", ["map", "map_unordered"])
def test_a_map_submits_before_it_is_iterated_over(kind, make, gates):
    taken = []
    getattr(make(2), kind)(through, (taken.append(name) or name for name in ["a", "b", "c"]))
    assert taken == ["a", "b", "c"]
    came(gates, "a", "b")


@pytest.mark.parametrize("kind", ["map", "map_unordered"])
def test_a_map_drops_what_nobody_has_fetched(kind, make, gates):
    pool = make(1)
    for name in ("under way", "waiting"):
        pool.submit(through, name)
    came(gates, "under way")
    assert list(getattr(pool, kind)(double, [1, 2])) == [2, 4]
    assert actorio.get(gates.all_came.remote()) == ["under way"]
    assert not pool.has_next()


def test_a_map_goes_on_after_an_error(make):
    results = make(2).map(double_or_fail, [1, -1, 2])
    assert next(results) == 2
    with pytest.raises(LookupError, match="-1"):
        next(results)
    assert list(results) == [4]


def test_a_map_over_an_empty_pool_is_refused(session):
    with pytest.raises(ValueError, match="has no actors"):
        ActorPool([]).map(double, [1])


# -- submit, get_next ----------------------------------------------------------------------------------------------


def test_get_next_keeps_the_order_of_submission(make):
    pool = make(2)
    for value in range(5):
        pool.submit(double, value)
    assert [pool.get_next() for _ in range(5)] == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("get", ["get_next", "get_next_unordered"])
def test_when_everything_is_fetched_stop_iteration_says_so(get, make):
    pool = make(1)
    with pytest.raises(StopIteration):
        getattr(pool, get)()
    pool.submit(double, 1)
    assert (pool.has_next(), getattr(pool, get)(), pool.has_next()) == (True, 2, False)
    with pytest.raises(StopIteration):
        getattr(pool, get)()


def test_the_idle_actor_that_came_last_is_taken_first(make):
    pool = make(3)
    chosen = []
    for _ in range(2):
        pool.submit(lambda actor, value: chosen.append(actor) or double(actor, value), 1)
        pool.get_next()
    last = pool.pop_idle()
    assert chosen == [last, last]


def test_a_call_beyond_the_free_actors_waits_until_a_result_is_fetched(make, gates):
    pool = make(1)
    for name in ("first", "second"):
        pool.submit(through, name)
    opened(gates, "first", "second")
    came(gates, "first")
    assert actorio.get(gates.all_came.remote()) == ["first"]
    pool.get_next()
    came(gates, "second")
    assert pool.get_next() == "second"


def test_get_next_after_get_next_unordered_is_refused_until_all_is_fetched(make):
    pool = make(2)
    for value in range(3):
        pool.submit(double, value)
    fetched = [pool.get_next_unordered()]
    with pytest.raises(ValueError, match="the order is lost"):
        pool.get_next()
    fetched += [pool.get_next_unordered(), pool.get_next_unordered()]
    assert sorted(fetched) == [0, 2, 4]
    pool.submit(double, 3)
    assert pool.get_next() == 6


def test_get_next_unordered_may_follow_get_next(make):
    pool = make(2)
    for value in range(3):
        pool.submit(double, value)
    assert (pool.get_next(), sorted([pool.get_next_unordered(), pool.get_next_unordered()])) == (0, [2, 4])


# -- timeouts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("get", ["get_next", "get_next_unordered"])
@pytest.mark.parametrize("timeout", [0, 0.01])
def test_a_result_that_is_late_can_be_fetched_later(get, timeout, make, gates):
    pool = make(1)
    pool.submit(through, "late")
    with pytest.raises(TimeoutError, match="later"):
        getattr(pool, get)(timeout=timeout)
    assert (pool.has_next(), pool.has_free()) == (True, False)
    opened(gates, "late")
    assert getattr(pool, get)() == "late"


@pytest.mark.parametrize("get", ["get_next", "get_next_unordered"])
def test_a_result_that_is_late_can_be_given_up(get, make):
    pool = make(1)
    pool.submit(through, "never")
    pool.submit(double, 1)
    with pytest.raises(TimeoutError, match="given up"):
        getattr(pool, get)(timeout=0, ignore_if_timedout=True)
    assert getattr(pool, get)() == 2
    assert (pool.has_next(), pool.has_free()) == (False, True)


@pytest.mark.parametrize("get", ["get_next", "get_next_unordered"])
def test_a_timeout_of_0_gives_what_is_there(get, make):
    pool = make(1)
    refs = []
    pool.submit(lambda actor, value: refs.append(double(actor, value)) or refs[0], 1)
    actorio.wait(refs)
    assert getattr(pool, get)(timeout=0) == 2


@pytest.mark.parametrize("get", ["get_next", "get_next_unordered"])
def test_a_negative_timeout_is_refused_and_loses_nothing(get, make):
    pool = make(1)
    pool.submit(double, 1)
    with pytest.raises(ValueError, match="at least 0"):
        getattr(pool, get)(timeout=-1)
    assert getattr(pool, get)() == 2


# -- what the function returns, and raises --------------------------------------------------------------------------


def pair(actor, value):
    return [actor.double.remote(value), actor.double.remote(-value)]


@pytest.mark.parametrize("kind", ["map", "map_unordered"])
def test_the_function_may_return_a_list_of_references(kind, make):
    assert list(getattr(make(1), kind)(pair, [1, 2])) == [[2, -2], [4, -4]]


@pytest.mark.parametrize("get", ["get_next", "get_next_unordered"])
def test_a_list_of_references_is_there_when_all_of_them_are(get, make, gates):
    pool = make(1)
    pool.submit(lambda actor, _: [actor.double.remote(1), actor.through.remote("gate")], None)
    with pytest.raises(TimeoutError):
        getattr(pool, get)(timeout=0.05)
    opened(gates, "gate")
    assert getattr(pool, get)() == [2, "gate"]


@pytest.mark.parametrize("get", ["get_next", "get_next_unordered"])
def test_an_empty_list_of_references_is_there_at_once(get, make):
    pool = make(1)
    pool.submit(lambda actor, value: [], None)
    assert getattr(pool, get)(timeout=0) == []


@pytest.mark.parametrize("made", [None, 3, ["no reference"]])
def test_a_function_that_returns_no_reference_is_refused_and_leaves_the_pool_as_it_was(made, make):
    pool = make(1)
    with pytest.raises(TypeError, match="returns an ObjectRef or a list"):
        pool.submit(lambda actor, value: made, 1)
    assert (pool.has_free(), pool.has_next()) == (True, False)


def test_what_the_function_raises_is_raised_where_it_ran(make):
    pool = make(1)
    with pytest.raises(AttributeError, match="no method 'nonesuch'"):
        pool.submit(lambda actor, value: actor.nonesuch.remote(value), 1)
    assert (pool.has_free(), pool.has_next()) == (True, False)


def test_what_the_function_raises_for_a_waiting_value_is_that_values_result(make):
    pool = make(1)
    pool.submit(double, 1)
    pool.submit(lambda actor, value: actor.nonesuch.remote(value), 2)
    pool.submit(double, 3)
    first, second, third = rest(pool)
    assert (first, type(second), third) == (2, AttributeError, 6)
    assert pool.has_free()


@pytest.mark.parametrize("get", ["get_next", "get_next_unordered"])
def test_a_call_that_fails_frees_its_actor(get, make):
    pool = make(1)
    pool.submit(double_or_fail, -1)
    pool.submit(double_or_fail, 1)
    with pytest.raises(LookupError):
        getattr(pool, get)()
    assert getattr(pool, get)() == 2
    assert pool.has_free()


# -- members -------------------------------------------------------------------------------------------------------


def test_has_free_is_about_actors_whose_result_is_fetched(make):
    pool = make(1)
    assert pool.has_free()
    pool.submit(double, 1)
    pool.submit(double, 2)
    assert not pool.has_free()
    pool.get_next()
    assert not pool.has_free()
    pool.get_next()
    assert pool.has_free()


def test_pop_idle_takes_an_actor_away_or_gives_none(make):
    pool = make(1)
    pool.submit(double, 1)
    assert pool.pop_idle() is None
    pool.get_next()
    assert actorio.get(pool.pop_idle().double.remote(1)) == 2
    assert (pool.pop_idle(), pool.has_free()) == (None, False)


def test_push_adds_an_actor_which_takes_a_waiting_call(make, gates):
    pool = make(1)
    pool.submit(through, "held")
    pool.submit(double, 1)
    pool.push(Worker.remote())
    opened(gates, "held")
    assert rest(pool) == ["held", 2]
    pool.push(Worker.remote())
    assert [pool.pop_idle() is None for _ in range(4)] == [False, False, False, True]


def test_push_refuses_a_member_idle_or_busy(make):
    pool = make(1)
    worker = pool.pop_idle()
    pool.push(worker)
    for _ in ("idle", "busy"):
        with pytest.raises(ValueError, match="in this pool already"):
            pool.push(worker)
        pool.submit(double, 1)
    assert rest(pool) == [2, 2]


@pytest.mark.parametrize("wrong", [None, Worker, "worker"])
def test_a_member_is_a_handle(wrong, session):
    with pytest.raises(TypeError, match="actors' handles"):
        ActorPool([wrong])
    with pytest.raises(TypeError, match="actors' handles"):
        ActorPool([]).push(wrong)


def test_an_empty_pool_keeps_what_is_submitted_for_the_first_that_is_pushed(session):
    pool = ActorPool([])
    pool.submit(double, 1)
    assert not pool.has_next()
    pool.push(Worker.remote())
    assert pool.get_next() == 2


# -- death ---------------------------------------------------------------------------------------------------------


def test_a_dead_member_costs_one_result_and_leaves_the_pool(make):
    pool = make(2)
    results = []
    for value in (-1, 1, 2, 3, 4):
        pool.submit(double_or_die, value)
    results = rest(pool)
    assert isinstance(results[0], ActorDiedError)
    assert results[1:] == [2, 4, 6, 8]
    pool.pop_idle()
    assert pool.pop_idle() is None


def test_when_the_last_member_is_dead_each_waiting_call_says_so(make):
    pool = make(1)
    for value in (-1, 1, 2):
        pool.submit(double_or_die, value)
    killed, *waiting = rest(pool)
    assert "exited with code 3" in str(killed)
    for error in waiting:
        assert isinstance(error, ActorDiedError)
        assert "the pool has no actor left: this call was not made" in str(error)
        assert "exited with code 3" in str(error)
        assert error.certificate == killed.certificate


def test_a_pushed_actor_takes_the_calls_that_a_dead_one_left_waiting(make):
    pool = make(1)
    for value in (-1, 1, 2):
        pool.submit(double_or_die, value)
    with pytest.raises(ActorDiedError):
        pool.get_next()
    pool.push(Worker.remote())
    assert rest(pool) == [2, 4]


def test_a_member_that_met_another_dead_actor_stays(make):
    pool = make(1)
    pool.submit(lambda actor, other: actor.fail_as_another.remote(other), Worker.remote())
    with pytest.raises(ActorDiedError):
        pool.get_next()
    pool.submit(double, 1)
    assert pool.get_next() == 2


def test_a_pool_that_has_lost_a_member_goes_with_its_last_user(make):
    pool = make(1)
    pool.submit(double_or_die, -1)
    with contextlib.suppress(ActorDiedError):
        pool.get_next()
    gone = weakref.ref(pool)
    gc.disable()
    try:
        del pool
        assert gone() is None
    finally:
        gc.enable()


# -- in actors -----------------------------------------------------------------------------------------------------


@actorio.remote
class Account:
    """As in the seed: keeps a pool that it was given."""

    def __init__(self, pool):
        self.pool = pool

    def save(self, value):
        self.pool.submit(lambda actor, number: actor.double.remote(number), value)

    def fetched(self):
        return rest(self.pool)

    def mapped(self, values):
        return list(self.pool.map(lambda actor, number: actor.double.remote(number), values))

    def made_here(self):
        return list(ActorPool([Worker.remote(), Worker.remote()]).map(double, [1, 2, 3]))

    def given_back(self):
        return self.pool


def test_a_pool_can_be_passed_to_an_actor_and_used_there(make):
    account = Account.remote(make(2))
    for value in range(3):
        account.save.remote(value)
    assert actorio.get(account.fetched.remote()) == [0, 2, 4]
    assert actorio.get(account.mapped.remote([1, 2, 3])) == [2, 4, 6]


def test_a_pool_can_be_passed_inside_a_container(make):
    account = Account.remote(None)
    assert actorio.get(account.__ray_call__.remote(lambda self, pools: list(pools[0].map(double, [1])), [make(1)])) == [
        2
    ]


def test_a_pool_can_be_made_in_an_actor(session):
    assert actorio.get(Account.remote(None).made_here.remote()) == [2, 4, 6]


def test_a_pool_that_was_passed_on_is_one_of_its_own(make):
    pool = make(1)
    account = Account.remote(pool)
    account.save.remote(1)
    pool.submit(double, 2)
    assert (actorio.get(account.fetched.remote()), rest(pool)) == ([2], [4])


def test_calls_under_way_travel_with_a_pool_and_both_can_fetch_them(make, gates):
    pool = make(1)
    pool.submit(through, "under way")
    account = Account.remote(pool)
    fetched = account.fetched.remote()
    opened(gates, "under way")
    assert (actorio.get(fetched), rest(pool)) == (["under way"], ["under way"])
    assert actorio.get(gates.all_came.remote()) == ["under way"]


def test_calls_that_wait_for_an_actor_stay_with_the_original_and_are_made_once(make):
    pool = make(1)
    worker = pool.pop_idle()
    pool.push(worker)
    pool.submit(double, 1)
    pool.submit(double, 2)
    assert actorio.get(Account.remote(pool).fetched.remote()) == [2]
    assert rest(pool) == [2, 4]
    assert actorio.get(worker.counts.remote())[0] == 2


def test_a_pool_that_was_given_back_has_the_same_actors(make):
    pool = make(2)
    returned = actorio.get(Account.remote(pool).given_back.remote())
    assert [returned.pop_idle() for _ in range(3)] == [pool.pop_idle() for _ in range(3)]


def test_a_pool_and_its_pickle_share_no_list(make):
    pool = make(2)
    twin = pickle.loads(pickle.dumps(pool))
    twin.pop_idle()
    twin.submit(double, 1)
    assert (pool.has_next(), twin.has_next()) == (False, True)
    assert pool.pop_idle() is not None
    assert pool.pop_idle() is not None
    assert twin.get_next() == 2


@actorio.remote
class Asynchronous:
    async def blocked(self, pool):
        pool.submit(double, 1)
        try:
            pool.get_next()
        except RuntimeError as error:
            return str(error), pool.has_next()


def test_in_an_async_actor_get_next_raises_and_loses_nothing(make):
    text, has_next = actorio.get(Asynchronous.remote().blocked.remote(make(1)))
    assert "would block the event loop of the async actor Asynchronous" in text
    assert has_next


def test_a_pool_whose_results_nobody_fetches_says_nothing(make, caplog):
    pool = make(1)
    pool.submit(double, 1)
    pool.submit(double, 2)
    with caplog.at_level(logging.WARNING):
        del pool
    assert not caplog.records
