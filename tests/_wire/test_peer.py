import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from actorio._wire import frames
from actorio._wire.frames import ProtocolError
from actorio._wire.messages import Call, Failure, Fetch, Result, encode
from actorio._wire.peer import ActorPeer, CallerPeer

SMALL_LARGE = 16
PAYLOADS = st.sampled_from([0, 1, SMALL_LARGE - 1, SMALL_LARGE, 5 * SMALL_LARGE]).map(lambda size: b"p" * size)
CHUNKS = st.integers(0, 120)
PARTS = st.lists(st.integers(0, 9), max_size=3).map(tuple)
LENT = st.lists(st.tuples(st.sampled_from(["", "ab" * 16]), st.integers(1, 1 << 56)), max_size=2).map(tuple)


@pytest.fixture(autouse=True, scope="module")
def small_limits():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "LARGE", SMALL_LARGE)
        yield


class Peers(RuleBasedStateMachine):
    """Both ends of a lane, and the bytes on their way between them."""

    def __init__(self):
        super().__init__()
        self.caller, self.actor = CallerPeer(), ActorPeer()
        self.to_actor, self.to_caller = bytearray(), bytearray()
        # The model: requests in the order made, how far the actor has come with them, and what it has answered.
        self.made = []
        self.arrived = 0
        self.unanswered = []
        self.answers = {}
        self.returned = []

    def take(self, pipe, count):
        data = bytes(pipe[:count])
        del pipe[:count]
        return data

    @rule(method=st.sampled_from(["", "add", "ü" * 40]), payload=PAYLOADS, parts=PARTS, lent=LENT)
    def call(self, method, payload, parts, lent):
        number = len(self.made)
        self.made.append((Call(number, method, parts, lent), payload))
        self.to_actor += self.caller.call(number, f"token {number}", method, payload, parts, lent)

    @rule(wanted=st.integers(0, 1 << 40))
    def fetch(self, wanted):
        number = len(self.made)
        self.made.append((Fetch(number, wanted), b""))
        self.to_actor += self.caller.fetch(number, f"token {number}", wanted)

    @rule(count=CHUNKS, is_filled=st.booleans())
    def bytes_reach_the_actor(self, count, is_filled):
        data = self.take(self.to_actor, count)
        for request, payload in self.received(self.actor.reader, self.actor.admit, self.actor.receive, data, is_filled):
            assert (request, payload) == self.made[self.arrived]
            self.arrived += 1
            self.unanswered.append(request.id)

    @rule(count=CHUNKS, is_filled=st.booleans())
    def bytes_reach_the_caller(self, count, is_filled):
        data = self.take(self.to_caller, count)
        for token, reply, payload in self.received(
            self.caller.reader, self.caller.match, self.caller.receive, data, is_filled
        ):
            assert token == f"token {reply.id}"
            assert (reply, payload) == self.answers[reply.id]
            self.returned.append(reply.id)

    def received(self, reader, through_gap, at_once, data, is_filled):
        found = []
        while is_filled and data and (gap := reader.gap()) is not None:
            count = min(len(gap), len(data))
            gap[:count] = data[:count]
            found += through_gap(reader.filled(count))
            data = data[count:]
        return found + at_once(data)

    @precondition(lambda self: self.unanswered)
    @rule(data=st.data(), payload=PAYLOADS, answer=st.sampled_from(["result", "failure", "pickled error"]), lent=LENT)
    def answer(self, data, payload, answer, lent):
        number = self.unanswered.pop(data.draw(st.integers(0, len(self.unanswered) - 1)))
        if answer == "result":
            self.answers[number] = (Result(number, lent), payload)
            self.to_caller += self.actor.result(number, payload, lent)
        else:
            is_error = answer == "pickled error"
            self.answers[number] = (Failure(number, is_error), payload)
            self.to_caller += self.actor.failure(number, payload, is_pickled_error=is_error)

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def a_second_answer_is_refused(self, data):
        number = data.draw(st.sampled_from(sorted(self.answers)))
        with pytest.raises(KeyError):
            self.actor.result(number, b"again")

    @invariant()
    def what_is_open_and_owed_is_known_to_both_ends(self):
        assert list(self.actor.owed) == self.unanswered
        assert list(self.caller.open) == [n for n in range(len(self.made)) if n not in set(self.returned)]
        assert len(set(self.returned)) == len(self.returned)

    def teardown(self):
        """Either everything arrives, or the connection is lost: no request stays without an end."""
        self.bytes_reach_the_caller(len(self.to_caller), False)
        lost = self.caller.close()
        assert lost == [f"token {number}" for number in range(len(self.made)) if number not in set(self.returned)]
        assert self.caller.close() == []


def test_two_peers_back_to_back_answer_each_request_once_in_any_order_and_chunking():
    run_state_machine_as_test(Peers, settings=settings(stateful_step_count=40))


def opened(count):
    caller = CallerPeer()
    for number in range(count):
        caller.call(number, f"token {number}", "m", b"")
    return caller


@pytest.mark.parametrize("reply", [Result(1), Failure(1), Result(99)])
def test_a_reply_to_a_request_that_is_not_open_is_a_protocol_error(reply):
    caller = opened(2)
    assert [token for token, _, _ in caller.receive(encode(Result(1)))] == ["token 1"]
    with pytest.raises(ProtocolError, match=str(reply.id)):
        caller.receive(encode(reply))
    assert caller.close() == ["token 0"]


def test_a_wrong_reply_takes_no_other_with_it():
    # Whatever came in one piece with it is either returned or still open: nobody waits for ever.
    caller = opened(3)
    with pytest.raises(ProtocolError):
        caller.receive(encode(Result(0)) + encode(Result(99)) + encode(Result(2)))
    assert caller.close() == ["token 0", "token 1", "token 2"]


def test_bytes_that_are_no_reply_leave_every_request_open():
    caller = opened(2)
    with pytest.raises(ProtocolError):
        caller.receive(encode(Result(0)) + b"\xff" * 40)
    assert caller.close() == ["token 0", "token 1"]


@pytest.mark.parametrize("second", [Call(1, "m"), Fetch(1, 5)])
def test_a_number_that_is_open_cannot_be_used_again(second):
    actor = ActorPeer()
    actor.receive(encode(Call(1, "m")))
    with pytest.raises(ProtocolError, match="1"):
        actor.receive(encode(second))


def test_a_number_may_be_used_again_once_it_is_answered():
    actor = ActorPeer()
    actor.receive(encode(Call(1, "m")))
    actor.result(1, b"")
    assert actor.receive(encode(Call(1, "n"))) == [(Call(1, "n"), b"")]


def test_an_answer_without_a_request_is_refused():
    with pytest.raises(KeyError):
        ActorPeer().failure(1, b"")


def test_closing_returns_the_open_requests_oldest_first():
    caller = opened(4)
    caller.receive(encode(Result(1)))
    caller.fetch(9, "token 9", 3)
    assert caller.close() == ["token 0", "token 2", "token 3", "token 9"]
