"""`num_returns=n`: a list of references, each a reference of its own, whatever becomes of the call."""

import asyncio
import gc
import itertools
import logging
import os
import signal

import pytest

import actorio
from actorio.exceptions import ActorDiedError, UnserializableException

PATIENCE = 20


class Unreadable:
    """Can be pickled, and not unpickled."""

    def __reduce__(self):
        return int, ("no number",)


class Plain:
    def give(self, *values):
        return values

    def give_one(self, value):
        return value

    def iterate(self, count):
        return iter(range(count)) if count is not None else itertools.count()

    def iterate_and_fail(self):
        def generate():
            yield 1
            raise LookupError("on the way")

        return generate()

    def fail(self):
        raise LookupError("on purpose")

    def give_lock(self):
        return 1, __import__("threading").Lock()

    def give_unreadable(self):
        return 1, Unreadable()

    def give_actors(self):
        return [actorio.remote(Plain).remote(), actorio.remote(Plain).remote()]

    def die(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def die_once(self, path, *values):
        if not path.exists():
            path.touch()
            self.die()
        return values

    @actorio.method(num_returns=2)
    def pair(self):
        return "left", "right"


class Async(Plain):
    async def give(self, *values):
        await asyncio.sleep(0)
        return values


@actorio.remote(num_returns=2)
def divide(dividend, divisor):
    return divmod(dividend, divisor)


KINDS = {
    "plain": actorio.remote(Plain),
    "threaded": actorio.remote(Plain).options(max_concurrency=4),
    "async": actorio.remote(Async),
}


@pytest.fixture(params=KINDS)
def actor(request, session):
    return KINDS[request.param].remote()


def get(refs):
    return actorio.get(refs, timeout=PATIENCE)


# -- values --------------------------------------------------------------------------------------------------------


def test_each_value_has_a_reference_of_its_own(actor):
    refs = actor.give.options(num_returns=3).remote(1, [2], None)
    assert len(set(refs)) == 3
    assert get(refs) == [1, [2], None]
    assert get(refs[1]) == [2]


def test_a_method_says_how_many_it_returns_and_a_call_may_say_otherwise(actor):
    left, right = actor.pair.remote()
    assert get([right, left]) == ["right", "left"]
    assert get(actor.pair.options(num_returns=1).remote()) == ("left", "right")


def test_a_function_task_returns_several_values(session):
    assert get(divide.remote(17, 5)) == [3, 2]
    assert get(divide.options(num_returns=1).remote(17, 5)) == (3, 2)
    assert divide.options(num_returns=0).remote(17, 5) is None


@pytest.mark.parametrize("values", [[1, 2], (1, 2), range(1, 3)], ids=repr)
def test_any_sequence_of_the_right_size_will_do(values, actor):
    assert get(actor.give_one.options(num_returns=2).remote(values)) == [1, 2]


def test_an_iterator_will_do_that_has_so_many_values(actor):
    assert get(actor.iterate.options(num_returns=2).remote(2)) == [0, 1]
    for count, text in ((1, "returned 1 values"), (3, "returned more values"), (None, "returned more values")):
        for ref in actor.iterate.options(num_returns=2).remote(count):
            with pytest.raises(ValueError, match=text):
                get(ref)
    for ref in actor.iterate_and_fail.options(num_returns=2).remote():
        with pytest.raises(LookupError, match="on the way"):
            get(ref)


def test_one_value_of_one_is_not_taken_out_of_its_tuple(actor):
    assert get(actor.give.options(num_returns=1).remote(1)) == (1,)


def test_no_value_is_no_reference(actor):
    assert actor.give.options(num_returns=0).remote(1) is None
    # In the order of the calls.
    assert get(actor.give.remote(2)) == (2,)


def test_each_is_awaited_waited_for_and_passed_on_alone(actor):
    async def await_one():
        left, right = actor.pair.remote()
        return await right, await asyncio.wait_for(left, PATIENCE)

    assert asyncio.run(await_one()) == ("right", "left")
    left, right = actor.pair.remote()
    assert actorio.wait([left, right], num_returns=2, timeout=PATIENCE) == ([left, right], [])
    assert right.future().result(PATIENCE) == "right"
    assert get(actor.give.remote(left, [right]))[0] == "left"


def test_references_among_the_arguments_are_resolved(actor):
    left, right = actor.pair.remote()
    assert get(actor.give.options(num_returns=2).remote(right, left)) == ["right", "left"]


def test_handles_among_the_values_keep_their_actors_one_by_one(actor):
    first, second = actor.give_actors.options(num_returns=2).remote()
    gc.collect()
    assert get(get(first).pair.remote()) == ["left", "right"]
    kept = get(second)
    del first, second
    gc.collect()
    assert get(kept.pair.remote()) == ["left", "right"]


# -- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "arguments", "error", "text"),
    [
        ("give", (1, 2), ValueError, r"give\(\) returned 2 values, but num_returns=3"),
        ("give_one", (5,), ValueError, r"returned int, which is not taken apart, but num_returns=3: return a tuple"),
        ("give_one", ("abc",), ValueError, r"returned str, which is not taken apart"),
        ("give_one", ({1: 2, 3: 4, 5: 6},), ValueError, r"returned dict, which is not taken apart"),
        ("fail", (), LookupError, "on purpose"),
        ("die", (), ActorDiedError, "SIGKILL"),
    ],
)
def test_an_error_is_that_of_every_value(method, arguments, error, text, actor):
    for ref in getattr(actor, method).options(num_returns=3).remote(*arguments):
        with pytest.raises(error, match=text):
            get(ref)


def test_a_value_that_cannot_be_pickled_is_named(actor):
    for ref in actor.give_lock.options(num_returns=2).remote():
        with pytest.raises(TypeError, match=r"result\[1\] \(_thread.lock\) cannot be pickled"):
            get(ref)


def test_a_value_that_cannot_be_unpickled_spoils_no_other(actor):
    good, bad = actor.give_unreadable.options(num_returns=2).remote()
    assert get(good) == 1
    with pytest.raises(UnserializableException, match="no number"):
        get(bad)


def test_a_call_that_is_made_again_brings_all_values(session, tmp_path):
    actor = KINDS["plain"].options(max_restarts=1, max_task_retries=1).remote()
    assert get(actor.die_once.options(num_returns=2).remote(tmp_path / "died", 1, 2)) == [1, 2]


@pytest.mark.parametrize("number", [0, 3])
def test_a_failure_that_nobody_looks_at_is_logged_once(number, session, caplog):
    actor = KINDS["plain"].remote()
    actor.fail.options(num_returns=number).remote()
    get(actor.give.remote())
    gc.collect()
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert ["on purpose" in record.getMessage() for record in logged] == [True]


@pytest.mark.parametrize("wrong", [-1, True, 1.5, "two"])
def test_a_wrong_number_is_refused_at_the_call(wrong, session):
    with pytest.raises((ValueError, TypeError), match="num_returns"):
        KINDS["plain"].remote().give.options(num_returns=wrong)
