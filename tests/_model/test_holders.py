import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorio._model.holders import Holders

ACTORS = st.sampled_from("ab")
PEERS = st.sampled_from("xyz")


@st.composite
def histories(draw):
    """What four connections say, each in its order: peers hold, drop and end, and handles travel between them."""
    connections = {peer: [] for peer in "xyz"}
    for actor_id, peer, count in draw(st.lists(st.tuples(ACTORS, PEERS, st.integers(1, 3)), max_size=4)):
        connections[peer] += [("hold", actor_id, 0)] * count
    for token, (actor_id, sender, receiver) in enumerate(
        draw(st.lists(st.tuples(ACTORS, PEERS, PEERS), max_size=6)), 1
    ):
        connections[sender].append(("lend", actor_id, token))
        if draw(st.booleans()):
            connections[receiver].append(("hold", actor_id, token))
    for peer in "xyz":
        held = {actor_id: sum(each[:2] == ("hold", actor_id) for each in connections[peer]) for actor_id in "ab"}
        for actor_id, count in held.items():
            dropped = draw(st.integers(0, count))
            if dropped:
                connections[peer].append(("drop", actor_id, dropped))
        if draw(st.integers(0, 3)) == 0:
            connections[peer].append(("gone", "", 0))
    return connections


class Noted:
    """What a person would write down: every reason on a line of its own."""

    def __init__(self):
        self.held = []
        self.lent, self.arrived = {}, set()

    def say(self, peer, verb, actor_id, number):
        if verb == "hold":
            self.held.append((actor_id, peer))
            self.arrived.add(number)
        elif verb == "lend":
            self.lent[number] = actor_id
        elif verb == "drop":
            for _ in range(number):
                self.held.remove((actor_id, peer))
        else:
            self.held = [each for each in self.held if each[1] != peer]

    def is_held(self, actor_id):
        on_their_way = {lent for token, lent in self.lent.items() if token not in self.arrived}
        return any(held == actor_id for held, _ in self.held) or actor_id in on_their_way


def say(holders, peer, verb, actor_id, number):
    if verb == "hold":
        holders.hold(actor_id, peer, number)
    elif verb == "lend":
        holders.lend(actor_id, number)
    elif verb == "drop":
        holders.drop(actor_id, peer, number)
    else:
        holders.gone(peer)


def interleaved(data, connections):
    left = {peer: list(said) for peer, said in connections.items() if said}
    while left:
        peer = data.draw(st.sampled_from(sorted(left)))
        yield peer, *left[peer].pop(0)
        if not left[peer]:
            del left[peer]


@given(histories(), st.data())
def test_an_actor_is_held_exactly_while_somebody_has_a_reason(connections, data):
    holders, noted = Holders(), Noted()
    for said in interleaved(data, connections):
        say(holders, *said)
        noted.say(*said)
        assert [holders.is_held(actor_id) for actor_id in "ab"] == [noted.is_held(actor_id) for actor_id in "ab"]


@given(histories(), st.data())
def test_what_is_held_at_last_does_not_depend_on_whose_news_came_first(connections, data):
    ends = []
    for _ in range(2):
        holders = Holders()
        for said in interleaved(data, connections):
            say(holders, *said)
        ends.append((holders._held, holders._lent, holders._travelling, holders._early))
    assert ends[0] == ends[1]


@given(st.permutations(["lend", "hold"]), st.integers(1, 1 << 56))
def test_a_handle_that_has_arrived_is_kept_by_its_receiver_alone(order, token):
    holders = Holders()
    for verb in order:
        say(holders, "x", verb, "a", token)
        assert holders.is_held("a")
    holders.drop("a", "x", 1)
    assert not holders.is_held("a")


def test_a_handle_that_is_taken_back_is_on_its_way_no_more():
    holders = Holders()
    holders.lend("a", 5)
    assert holders.unlend(5) == "a"
    assert not holders.is_held("a")
    assert holders.unlend(5) is None


def test_a_handle_that_has_arrived_cannot_be_taken_back():
    holders = Holders()
    holders.lend("a", 5)
    holders.hold("a", "x", 5)
    assert holders.unlend(5) is None
    assert holders.is_held("a")


@pytest.mark.parametrize("count", [1, 2, 9])
def test_more_is_not_dropped_than_was_held(count):
    holders = Holders()
    holders.hold("a", "x")
    holders.drop("a", "x", count)
    holders.drop("a", "y", count)
    assert not holders.is_held("a")
    holders.hold("a", "x")
    assert holders.is_held("a")


def test_a_birth_keeps_what_it_needs_once_for_each_mention():
    holders = Holders()
    holders.need(("a", "a", "b"))
    holders.need(("a",))
    holders.need_no_more(("a", "a", "b"))
    assert (holders.is_held("a"), holders.is_held("b")) == (True, False)
    holders.need_no_more(("a",))
    assert not holders.is_held("a")


def test_a_peer_that_has_gone_is_said_to_have_held_what_it_held():
    holders = Holders()
    holders.hold("a", "x")
    holders.hold("b", "x")
    holders.hold("b", "y")
    assert sorted(holders.gone("x")) == ["a", "b"]
    assert (holders.is_held("a"), holders.is_held("b")) == (False, True)
    assert holders.gone("x") == []


def test_nothing_is_kept_of_an_actor_that_is_dead():
    holders = Holders()
    holders.hold("a", "x")
    holders.lend("a", 5)
    holders.hold("a", "y", 6)
    holders.forget("a")
    assert not holders.is_held("a")
    assert not any((holders._held, holders._lent, holders._travelling, holders._early))
