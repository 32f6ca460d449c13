"""Who watches the sockets of a server: a loop, or a thread in its place. One reads at a time, and nothing is lost."""

import asyncio
import select
import socket
import threading

import pytest

from actorio._transport.lookout import EpollLookout, LoopLookout, new_lookout

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll: the loop watches, and nobody else")
# How long something may take that must happen: only a test that fails takes so long.
PATIENCE = 20


class Reader:
    """A connection: notes what it reads, and which thread reads."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)

    def read(self):
        data = self.theirs.recv(100)
        self.world.seen.append((self.name, data, threading.current_thread() is self.world.thread))
        if not data:
            self.close()

    def close(self):
        if self.theirs.fileno() >= 0:
            self.world.lookout.remove(self.theirs.fileno())
            self.theirs.close()

    def say(self, data):
        self.ours.send(data)


class World:
    """A loop in a thread, and what it watches."""

    def __init__(self):
        self.seen, self.readers = [], []
        self.loop = asyncio.SelectorEventLoop()
        self.lookout = EpollLookout(self.loop)
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def reader(self, name):
        made = Reader(self, name)
        self.readers.append(made)
        self.in_loop(lambda: self.lookout.add(made.theirs.fileno(), made))
        return made

    def in_loop(self, action):
        done = threading.Event()
        self.loop.call_soon_threadsafe(lambda: (action(), done.set()))
        assert done.wait(PATIENCE)

    def turn(self):
        """Have the loop look at what it watches."""
        for _ in range(3):
            self.in_loop(lambda: None)

    def close(self):
        for reader in self.readers:
            self.in_loop(reader.close)
            reader.ours.close()
        self.in_loop(self.lookout.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


def test_the_loop_reads_when_nobody_has_taken_over(world):
    world.reader("a").say(b"1")
    world.turn()
    assert world.seen == [("a", b"1", True)]


def test_the_loop_reads_nothing_while_a_thread_has_the_watch_and_all_of_it_afterwards(world):
    a, b = world.reader("a"), world.reader("b")
    assert world.lookout.take()
    a.say(b"1")
    b.say(b"2")
    world.turn()
    assert world.seen == []
    world.lookout.poll().read()
    assert world.seen == [("a", b"1", False)]
    world.lookout.give_back()
    world.turn()
    assert world.seen == [("a", b"1", False), ("b", b"2", True)]


def test_a_second_thread_cannot_take_over(world):
    taken = []
    assert world.lookout.take()
    for _ in range(2):
        thread = threading.Thread(target=lambda: taken.append(world.lookout.take()))
        thread.start()
        thread.join()
    assert taken == [False, False]
    world.lookout.give_back()
    assert world.lookout.take()
    world.lookout.give_back()


def test_only_who_has_the_watch_gives_it_back(world):
    with pytest.raises(RuntimeError):
        world.lookout.give_back()
    world.reader("a").say(b"1")
    world.turn()
    assert world.seen == [("a", b"1", True)]


def test_what_a_thread_leaves_to_the_loop_is_done_before_anything_else_is_read(world):
    a, held, let_go = world.reader("a"), threading.Event(), threading.Event()

    def hold():
        held.set()
        assert let_go.wait(PATIENCE)

    def leave():
        world.seen.append(("rest", b"", threading.current_thread() is world.thread))

    # The loop hears of what there is to read before it hears of the rest.
    world.loop.call_soon_threadsafe(hold)
    assert held.wait(PATIENCE)
    assert world.lookout.take()
    a.say(b"1")
    world.lookout.give_back(leave)
    # Until it is done nobody reads in the loop's place.
    assert not world.lookout.take()
    let_go.set()
    world.turn()
    assert world.seen == [("rest", b"", True), ("a", b"1", True)]
    assert world.lookout.take()
    world.lookout.give_back()


def test_a_rest_that_fails_leaves_the_watch_to_the_loop(world):
    failed = []
    world.loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))
    a = world.reader("a")
    assert world.lookout.take()
    world.lookout.give_back(lambda: 1 / 0)
    world.turn()
    a.say(b"1")
    world.turn()
    assert [type(error) for error in failed] == [ZeroDivisionError]
    assert world.seen == [("a", b"1", True)]


def test_nothing_is_lost_however_often_a_thread_takes_over_and_gives_back(world):
    readers = [world.reader(str(number)) for number in range(3)]
    for number in range(300):
        readers[number % 3].say(bytes([number % 100 + 1]))
        if world.lookout.take():
            connection = world.lookout.poll()
            if connection is not None:
                connection.read()
            world.lookout.give_back()
    world.turn()
    for number, reader in enumerate(readers):
        got = b"".join(data for name, data, _ in world.seen if name == reader.name)
        assert got == bytes(each % 100 + 1 for each in range(number, 300, 3))


def test_of_many_that_are_ready_each_has_its_turn_before_one_has_another(world):
    readers = [world.reader(str(number)) for number in range(200)]
    assert world.lookout.take()
    for reader in readers:
        reader.say(b"1")
    for _ in readers:
        connection = world.lookout.poll()
        connection.read()
        # Quicker than all others: is ready again at once.
        connection.say(b"2")
    world.lookout.give_back()
    first = [name for name, data, is_loop in world.seen if not is_loop]
    assert sorted(first) == sorted(reader.name for reader in readers)


def test_a_connection_that_was_removed_meanwhile_is_forgotten(world):
    a, b = world.reader("a"), world.reader("b")
    assert world.lookout.take()
    a.say(b"1")
    world.in_loop(a.close)
    world.in_loop(a.close)
    assert world.lookout.poll() is None
    b.say(b"2")
    assert world.lookout.poll() is b
    world.lookout.give_back()
    world.turn()
    assert world.seen == [("b", b"2", True)]


def test_the_end_of_a_connection_is_seen_by_whoever_watches(world):
    a, b = world.reader("a"), world.reader("b")
    assert world.lookout.take()
    a.ours.close()
    assert world.lookout.poll() is a
    world.lookout.give_back()
    b.ours.close()
    world.turn()
    assert sorted(world.seen) == [("a", b"", True), ("b", b"", True)]


def test_without_epoll_the_loop_watches_and_nobody_takes_over(monkeypatch):
    monkeypatch.delattr(select, "epoll")
    loop = asyncio.new_event_loop()
    made = new_lookout(loop)
    assert type(made) is LoopLookout
    assert not made.take()
    made.give_back()
    assert made.poll() is None
    made.close()
    loop.close()
