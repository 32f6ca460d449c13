"""Sessions with a name, which whoever comes first starts, and actors that live as long as their session.

Programs are drivers of their own: workers of one server, as it were.
"""

import os
import signal
from pathlib import Path

import psutil
import pytest
from tests.programs import finish, is_gone, output_of, start, wait_until

import actorio

# A program of the session "shop" that does what it is told, line by line, until there are no more lines.
WORKER = """
    from tests.lives import people
    context = actorio.init(session="shop", namespace="shop")
    def shared(*arguments, **options):
        options = {"name": "shared", "lifetime": "session", "get_if_exists": True} | options
        return people.make("plain", *arguments, **options)
    print(context.address_info["address"], flush=True)
    for line in sys.stdin:
        print(eval(line), flush=True)
"""
PID = "actorio.get(shared().pid.remote())"


@pytest.fixture(autouse=True)
def nobody_says_which(monkeypatch):
    """The rules hold as for a user who has set nothing."""
    monkeypatch.delenv("ACTORIO_ADDRESS")


class Worker:
    """A program of the session."""

    def __init__(self, text=WORKER):
        self.process = start(text)

    def read(self):
        return self.process.stdout.readline().strip()

    def is_told(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def does(self, line):
        self.is_told(line)
        return self.read()

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def leave(self):
        code, output, errors = finish(self.process)
        assert (code, errors) == (0, "")
        return output.splitlines()


@pytest.fixture
def workers():
    """Start programs, all at once; those that still run when the test is over are killed."""
    running = []

    def begin(count=1, text=WORKER):
        new = [Worker(text) for _ in range(count)]
        running.extend(new)
        return new

    yield begin
    for worker in running:
        if not worker.process.stdin.closed:
            worker.kill()


def rooms():
    room = Path(os.environ["XDG_RUNTIME_DIR"]) / "actorio"
    return {str(path) for path in room.iterdir()} if room.is_dir() else set()


# -- a session and its name ----------------------------------------------------------------------------------------


def test_programs_that_begin_at_once_share_the_session_of_their_name(workers):
    addresses = {worker.read() for worker in workers(4)}
    assert len(addresses) == 1
    assert addresses == rooms()


def test_a_named_session_goes_on_without_the_program_that_has_begun_it_and_ends_with_the_last(workers):
    (first,) = workers()
    address = first.read()
    others = workers(2)
    assert {worker.read() for worker in others} == {address}
    first.kill()
    assert others[0].does("actorio.get(people.make().run.remote(sum, [1, 2]))") == "3"
    others[0].leave()
    assert rooms() == {address}
    others[1].leave()
    assert not rooms()


def test_other_programs_join_a_named_session_by_its_name_alone(workers, monkeypatch):
    (worker,) = workers()
    address = worker.read()
    for way in ({"session": "shop"}, {"address": "shop"}, {"address": address}, {"address": Path(address).name}):
        with actorio.init(**way) as context:
            assert context.address_info["address"] == address
    for way in ({}, {"session": "other"}, {"address": "local"}):
        with actorio.init(**way) as context:
            assert context.address_info["address"] != address
    with pytest.raises(ConnectionError, match="there is no running session to join"):
        actorio.init(address="auto")
    with pytest.raises(ConnectionError, match="there is no session 'shp'; running are: shop"):
        actorio.init(address="shp")
    monkeypatch.setenv("ACTORIO_ADDRESS", "shop")
    with actorio.init() as context:
        assert context.address_info["address"] == address


def test_the_name_that_a_program_gives_precedes_what_its_environment_says(monkeypatch):
    monkeypatch.setenv("ACTORIO_ADDRESS", "/nowhere/at/all")
    with actorio.init(session="shop"):
        assert len(rooms()) == 1


def test_what_a_session_is_to_have_is_said_by_whoever_begins_it():
    program = "actorio.init(session='shop', num_cpus=5); print(actorio.cluster_resources()['CPU'])"
    with actorio.init(session="shop", num_cpus=3, preload=["json"]):
        assert output_of(program) == ["3.0"]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"session": ""}, ValueError, "session='' is not allowed: it must not be empty"),
        ({"session": "auto"}, ValueError, "it must be a name, and neither 'auto' nor 'local' nor a path"),
        ({"session": "local"}, ValueError, "it must be a name"),
        ({"session": "a/b"}, ValueError, "it must be a name"),
        ({"session": "two\nlines"}, ValueError, "it must be printable"),
        ({"session": 5}, TypeError, "session=5 is of type int; it must be str or None"),
        ({"session": "shop", "address": "auto"}, ValueError, "both say which session"),
    ],
)
def test_what_is_no_name_is_refused_and_starts_nothing(options, error, said):
    with pytest.raises(error) as caught:
        actorio.init(**options)
    assert said in str(caught.value)
    assert not rooms()


def test_a_program_that_comes_while_its_session_is_ending_begins_another(workers, tmp_path):
    (worker,) = workers()
    address = worker.read()
    path = tmp_path / "is ending"
    pid = worker.does(f"actorio.get(shared(lambda: people.never_end_by_itself({str(path)!r})).pid.remote())")
    worker.kill()
    assert wait_until(path.exists)
    # The actor has a second for its end.
    with actorio.init(session="shop") as context:
        assert context.address_info["address"] != address
        assert is_gone(pid)
        assert wait_until(lambda: rooms() == {context.address_info["address"]})


# -- actors that all share -----------------------------------------------------------------------------------------


def test_an_actor_of_the_session_outlives_its_maker_and_every_handle(workers):
    first, second = workers(2)
    assert first.read() == second.read()
    pid = first.does(PID)
    first.kill()
    assert second.does(PID) == pid
    third, fourth = workers(2)
    assert third.read() == fourth.read()
    second.leave()
    assert third.does(PID) == pid
    third.leave()
    assert fourth.does(PID) == pid


@pytest.mark.parametrize("way", ["leave", "kill"])
def test_an_actor_of_the_session_ends_with_its_last_program(way, workers):
    first, last = workers(2)
    assert first.read() == last.read()
    pid = first.does(PID)
    first.kill()
    getattr(last, way)()
    assert wait_until(lambda: is_gone(pid) and not rooms())


def test_what_an_actor_of_the_session_has_made_stays_when_its_maker_leaves(workers):
    first, second = workers(2)
    assert first.read() == second.read()
    child = first.does("actorio.get(shared(people.have_child).run.remote(people.pid_of_child))")
    first.leave()
    assert second.does("actorio.get(shared().run.remote(people.pid_of_child))") == child
    assert not is_gone(child)


def test_what_an_actor_of_the_session_prints_is_shown_by_its_maker_and_then_by_another(workers):
    first, second = workers(2)
    assert first.read() == second.read()
    pid = first.does(PID)
    for worker, mark in ((first, "one"), (second, "two")):
        worker.is_told(f"actorio.get(shared().run.remote(print, {mark!r}))")
        assert sorted(worker.leave()) == [f"(Plain pid={pid}) {mark}", "None"]


def test_an_actor_of_the_session_is_ended_by_kill_as_any_other(workers):
    (worker,) = workers()
    worker.read()
    pid = worker.does(PID)
    assert worker.does("actorio.kill(shared())") == "None"
    assert wait_until(lambda: is_gone(pid))
    assert worker.does(PID) not in {pid, ""}


def test_an_actor_of_the_session_survives_the_node(workers):
    first, second = workers(2)
    assert first.read() == second.read()
    pid = first.does(PID)
    first.kill()
    node = int(second.does('context.address_info["node_pid"]'))
    psutil.Process(node).kill()
    assert second.does(PID) == pid
    second.leave()
    assert is_gone(pid)


def test_an_actor_of_the_session_ends_when_node_and_programs_are_killed_at_once(workers, leaks):
    (worker,) = workers()
    worker.read()
    pid = worker.does(PID)
    node = int(worker.does('context.address_info["node_pid"]'))
    os.kill(worker.process.pid, signal.SIGSTOP)
    os.kill(node, signal.SIGKILL)
    worker.kill()
    assert wait_until(lambda: is_gone(pid) and not rooms())
