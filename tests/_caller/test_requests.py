"""What was asked of a node is kept, with its descriptors, until somebody has answered."""

import os
import threading

import pytest
from tests.descriptors import is_open

from actorio._caller.requests import Requests
from actorio._wire.messages import Create, Drop, Find, List
from actorio.exceptions import RaySystemError


def creation(actor_id="a", **options):
    return lambda number: Create(actor_id, "Account", id=number, **options)


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        if is_open(end):
            os.close(end)


def asked(requests):
    return [each.message for _, each in requests.unanswered()]


def test_what_was_sent_and_not_answered_is_asked_again_with_all_that_goes_along(pipe):
    requests = Requests()
    request = requests.open(creation(), b"identity", pipe)
    request.note_sent()
    ((_, again),) = requests.unanswered()
    assert (again.message, again.payload, again.descriptors) == (
        Create("a", "Account", id=request.number),
        b"identity",
        pipe,
    )
    assert all(map(is_open, pipe))


def test_what_is_about_to_be_sent_is_left_to_its_sender():
    requests = Requests()
    requests.open(List)
    assert asked(requests) == []


def test_an_answer_closes_the_descriptors_and_ends_the_request(pipe):
    requests = Requests()
    request = requests.open(creation(), b"", pipe)
    request.note_sent()
    requests.end(request.number, b"answer")
    assert request.wait(0)
    assert request.payload == b"answer"
    assert not any(map(is_open, pipe))
    assert asked(requests) == []


def test_a_second_answer_is_none():
    requests = Requests()
    request = requests.open(List)
    requests.end(request.number, b"first")
    requests.end(request.number, b"second")
    assert request.payload == b"first"


def test_a_refusal_is_raised_where_the_answer_is_waited_for():
    requests = Requests()
    request = requests.open(lambda number: Find(number, "bob", "here"))
    requests.end(request.number, failure=ValueError("there is no bob"))
    with pytest.raises(ValueError, match="there is no bob"):
        request.wait(0)


def test_an_actor_that_this_process_keeps_no_more_is_asked_for_and_let_go_of():
    requests = Requests()
    requests.open(creation("given away")).note_sent()
    requests.open(creation("kept")).note_sent()
    requests.note_dropped("given away")
    first, second, third = asked(requests)
    assert (first.actor_id, second, third.actor_id) == ("given away", Drop("given away"), "kept")


def test_at_the_end_of_the_session_whoever_waits_is_told():
    requests = Requests()
    request = requests.open(List)
    requests.end_all("the session has ended")
    with pytest.raises(RaySystemError, match="the session has ended"):
        request.wait(0)


def test_the_oldest_creation_makes_room_for_the_next_one():
    requests = Requests()
    first, second = requests.open(creation()), requests.open(creation("b"))
    first.is_unattended = second.is_unattended = True
    has_room = threading.Event()
    thread = threading.Thread(target=lambda: [requests.make_room(2, 60), has_room.set()])
    thread.start()
    assert not has_room.wait(0.05)
    requests.end(first.number)
    assert has_room.wait(10)
    thread.join()


def test_a_creation_that_somebody_waits_for_takes_no_room():
    requests = Requests()
    requests.open(creation(name="bob"))
    requests.make_room(1, 60)
