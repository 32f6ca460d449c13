import contextlib
import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.descriptors import is_open

from actorio._node.cradles import Cradle, Cradles, is_alive, runs


@pytest.fixture
def pipes():
    """Make pipes; whichever of their ends is open after the test is closed."""
    made = []

    def make():
        ends = os.pipe()
        made.extend(ends)
        return ends

    yield make
    for descriptor in made:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_what_is_kept_stays_open_until_it_is_forgotten(pipes):
    cradles, ends, others = Cradles(), pipes(), pipes()
    cradles.keep("a", Cradle(b"", ends, 1))
    cradles.keep("b", Cradle(b"", others, 1))
    assert all(map(is_open, (*ends, *others)))
    cradles.forget("a")
    assert [is_open(each) for each in (*ends, *others)] == [False, False, True, True]
    assert list(cradles.by_id) == ["b"]


def test_nobody_is_forgotten_twice(pipes):
    cradles, ends = Cradles(), pipes()
    cradles.keep("a", Cradle(b"", ends, 1))
    cradles.forget("a")
    # The numbers are somebody else's by now.
    again = pipes()
    cradles.forget("a")
    cradles.forget("never kept")
    assert all(map(is_open, again))


def test_the_descriptors_of_the_next_process_take_the_place_of_those_before(pipes):
    cradles, before, after = Cradles(), pipes(), pipes()
    cradles.keep("a", Cradle(b"first", before, 1))
    cradles.keep("a", Cradle(b"second", after, 1))
    assert [is_open(each) for each in (*before, *after)] == [False, False, True, True]
    assert cradles.by_id["a"].spec == b"second"


def test_a_child_closes_exactly_what_it_has_inherited(pipes):
    cradles, strangers, kept = Cradles(), [], []
    for number in range(4):
        ends = pipes()
        kept += ends
        cradles.keep(f"{number}", Cradle(b"", ends, 1))
        strangers += pipes()
    for low, high in runs(cradles.descriptors()):
        os.closerange(low, high)
    assert not any(map(is_open, kept))
    assert all(map(is_open, strangers))


def test_there_may_be_nothing_to_inherit():
    assert not list(runs(Cradles().descriptors()))


@given(st.sets(st.integers(0, 60)))
def test_runs_hold_each_number_once_and_no_other_and_do_not_touch(numbers):
    found = list(runs(numbers))
    assert [each for low, high in found for each in range(low, high)] == sorted(numbers)
    assert all(high < low for (_, high), (low, _) in itertools.pairwise(found))


@pytest.mark.parametrize(("owners", "are_missed"), [([], False), ([0], True), (["here"], True), (["gone"], False)])
def test_actors_are_missed_by_living_owners_and_when_they_are_detached(owners, are_missed):
    cradles = Cradles()
    pids = {0: 0, "here": os.getpid(), "gone": pid_of_nobody()}
    for number, owner in enumerate(owners):
        cradles.keep(f"{number}", Cradle(b"", (), pids[owner]))
    assert cradles.are_missed() == are_missed


def pid_of_nobody():
    """Return the id of a process that has ended and been waited for."""
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def test_a_process_lives_until_it_has_been_waited_for():
    assert is_alive(os.getpid())
    # The first process is somebody else's, mostly.
    assert is_alive(1)
    assert not is_alive(pid_of_nobody())
