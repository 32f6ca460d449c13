"""No silent deadlock: a call that would wait for itself is refused, with what waits for what."""

import pytest
from tests.links import AsyncLink, Gate, Link

import actorio
from actorio.exceptions import DeadlockError

pytestmark = pytest.mark.usefixtures("session")


def ring(length, cls=Link):
    links = [cls.remote() for _ in range(length)]
    actorio.get([link.link.remote(following) for link, following in zip(links, links[1:] + links[:1], strict=True)])
    return links


@pytest.mark.parametrize("cls", [Link, AsyncLink])
@pytest.mark.parametrize("length", [1, 2, 3, 20])
def test_a_circle_of_calls_is_refused_at_any_depth(cls, length):
    first = ring(length, cls)[0]
    with pytest.raises(DeadlockError) as raised:
        actorio.get(first.walk.remote(length))
    assert isinstance(raised.value, RuntimeError)
    story = str(raised.value).rpartition("would wait for itself")[2]
    assert story.count("waits for") == length
    assert "reentrant=True" in story
    # The others are free.
    assert actorio.get(first.walk.remote(0)) == 0


def test_as_many_steps_as_there_are_actors_are_no_circle():
    assert actorio.get(ring(4)[0].walk.remote(3)) == 0


def test_a_diamond_is_no_circle():
    top, left, right, bottom = (Link.remote() for _ in range(4))
    actorio.get([left.link.remote(bottom), right.link.remote(bottom)])
    assert actorio.get(top.both.remote(left, right)) == [0, 0]


def test_two_that_wait_for_each_other_are_told_though_nobody_has_called_itself():
    one, other, gate = Link.remote(), Link.remote(), Gate.remote(2)
    refs = [one.meet.remote(gate, other), other.meet.remote(gate, one)]
    actorio.wait(refs, num_returns=2)
    errors = [ref.exception() for ref in refs]
    # One of them is refused, and the other one goes on.
    assert sorted(isinstance(error, DeadlockError) for error in errors) == [False, True]
    assert "which has to wait for Link.meet()" in str(next(filter(None, errors)))


def test_a_circle_through_a_task_is_refused():
    link = Link.remote()
    with pytest.raises(DeadlockError, match=r"ask\(\)"):
        actorio.get(link.through_task.remote(link))


def test_a_circle_through_an_argument_is_refused():
    link, other = Link.remote(), Link.remote()
    with pytest.raises(DeadlockError):
        actorio.get(link.through_argument.remote(other, link))


def test_a_reentrant_method_is_let_in():
    assert actorio.get(ring(2)[0].walk_on.remote(7)) == 0


def test_a_call_that_nobody_waits_for_is_no_circle():
    links = ring(2)
    assert actorio.get(actorio.get(links[0].send.remote(links[1]))) == [0]


def test_who_waits_with_a_timeout_of_his_own_is_left_to_it():
    links = ring(2)
    assert actorio.get(links[0].walk_with_timeout.remote(links[1])) == "timeout"


def test_several_threads_make_room_for_each_other():
    one, other = Link.options(max_concurrency=2).remote(), Link.options(max_concurrency=2).remote()
    actorio.get([one.link.remote(other), other.link.remote(one)])
    assert actorio.get(one.walk.remote(3)) == 0


def test_whoever_waits_behind_a_circle_gets_his_turn():
    links = ring(2)
    stuck = links[0].walk.remote(2)
    behind = [links[0].one.remote() for _ in range(50)]
    with pytest.raises(DeadlockError):
        actorio.get(stuck)
    assert actorio.get(behind) == [1] * 50


@pytest.mark.parametrize("options", [{"concurrency_groups": {"io": 1}}, {"max_concurrency": 2}])
def test_a_reentrant_method_is_let_in_whatever_kind_of_actor_it_is(options):
    one, other = Link.options(**options).remote(), Link.options(**options).remote()
    actorio.get([one.link.remote(other), other.link.remote(one)])
    assert actorio.get([one.walk_on.remote(9), one.walk_on.remote(9)]) == [0, 0]


def test_what_a_method_does_in_the_background_is_no_circle():
    one, other = ring(2, AsyncLink)
    # Until the actor itself is asked, by whom its background task has asked; nobody waits for that task yet.
    assert actorio.get(one.begin.remote(other)) == "begun"
    assert actorio.get(one.begun.remote()) == 1
