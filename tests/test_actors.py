"""Actors at work: their kinds, their threads, how many calls run and in which order, and what arguments become."""

import asyncio
import concurrent.futures
import contextlib
import inspect
import os
import subprocess
import sys
import threading
import time

import pytest

import actorio
from actorio._caller import contexts
from actorio._model import runtime as runtime_port

PATIENCE = 20


@pytest.fixture(scope="module", autouse=True)
def _by_value():
    # Actors that import this module by name import pytest, which takes longer than all that they do here.
    actorio.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    actorio.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def raised_by(act):
    try:
        act()
    except BaseException as error:
        return error
    pytest.fail("nothing was raised")


def in_a_loop(make):
    """Run a coroutine in an event loop of its own: a caller of its own."""

    async def main():
        return await make()

    return asyncio.run(main())


def eventually(holds):
    """Wait until something holds that no event tells of."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@actorio.remote
class Gate:
    """Holds whoever passes until it is opened, and knows how many have come to it."""

    def __init__(self):
        self.is_open = asyncio.Event()
        self.change = asyncio.Condition()
        self.came = 0

    async def passing(self, value=None):
        async with self.change:
            self.came += 1
            self.change.notify_all()
        await self.is_open.wait()
        return value

    async def failing(self):
        await self.passing()
        raise LookupError("failed behind the gate")

    async def until_came(self, count):
        async with self.change:
            await self.change.wait_for(lambda: self.came >= count)

    async def open(self):
        self.is_open.set()

    async def close(self):
        self.is_open.clear()


@pytest.fixture
def gate(session):
    return Gate.remote()


# -- the stall watch: sessions with a limit of their own, before the tests that share one ----------------------------


@actorio.remote
class Stalling:
    def hold(self):
        time.sleep(0.3)

    async def hold_in_a_callback(self):
        asyncio.get_running_loop().call_soon(time.sleep, 0.3)
        await asyncio.sleep(0.01)

    async def hold_in_a_coroutine(self):
        time.sleep(0.3)  # noqa: ASYNC251  # holding the loop is the test

    async def wait_well(self):
        await asyncio.sleep(0.3)
        await asyncio.to_thread(time.sleep, 0.3)


@pytest.mark.parametrize("method", ["hold", "hold_in_a_callback", "hold_in_a_coroutine"])
def test_what_holds_an_actor_s_loop_for_too_long_is_logged_with_its_stack(method, caplog):
    with actorio.init(loop_stall_limit=0.05):
        actorio.get(getattr(Stalling.remote(), method).remote())
    (record,) = caplog.records
    assert (record.levelname, record.name) == ("WARNING", "actorio")
    assert "the event loop of the async actor Stalling has been held" in record.getMessage()
    where = {"hold_in_a_callback": "run_forever"}.get(method, f"in {method}\n")
    assert where in record.getMessage()


def test_what_awaits_for_long_is_not_logged(caplog):
    with actorio.init(loop_stall_limit=0.1):
        actorio.get(Stalling.remote().wait_well.remote())
    assert not caplog.records


# -- the three kinds -----------------------------------------------------------------------------------------------


class Where:
    """Says where its code runs."""

    def __init__(self):
        self.constructed = self.look()

    def look(self):
        loop = asyncio._get_running_loop()
        return {
            "thread": threading.get_ident(),
            "is main": threading.current_thread() is threading.main_thread(),
            "loop": loop and id(loop),
        }

    def plain(self):
        return self.constructed, self.look()


class WithCoroutine(Where):
    async def coroutine(self):
        return self.constructed, self.look()


class WithAsyncGenerator(Where):
    async def numbers(self):
        yield 1


class Inheriting(WithCoroutine):
    pass


class WithStaticCoroutine(Where):
    @staticmethod
    async def coroutine():
        return 1


class WithRayName(Where):
    async def __ray_shutdown__(self):
        return 1


@pytest.mark.parametrize("cls", [WithCoroutine, WithAsyncGenerator, Inheriting, WithStaticCoroutine])
@pytest.mark.parametrize("limit", [None, 1, 5])
def test_one_coroutine_anywhere_in_the_class_makes_an_async_actor(cls, limit, session):
    constructed, called = actorio.get(actorio.remote(cls).options(max_concurrency=limit).remote().plain.remote())
    assert called["is main"]
    assert called["loop"]
    assert constructed == called


@pytest.mark.parametrize("cls", [Where, WithRayName])
def test_a_class_without_coroutines_runs_in_the_main_thread_without_a_loop(cls, session):
    constructed, called = actorio.get(actorio.remote(cls).remote().plain.remote())
    assert called == {"thread": called["thread"], "is main": True, "loop": None}
    assert constructed == called


def test_coroutines_run_where_plain_methods_and_the_constructor_do(session):
    actor = actorio.remote(WithCoroutine).remote()
    one, other = actorio.get([actor.coroutine.remote(), actor.plain.remote()])
    assert one == other


def test_a_plain_method_of_a_single_threaded_actor_may_run_a_loop_of_its_own(session):
    @actorio.remote
    class Runner:
        def run(self):
            return asyncio.run(asyncio.sleep(0, "ran"))

    runner = Runner.remote()
    assert actorio.get([runner.run.remote() for _ in range(3)]) == ["ran"] * 3


def test_what_only_the_main_thread_may_do_works_in_a_single_threaded_actor(session):
    @actorio.remote
    class Particular:
        def __init__(self):
            import sqlite3

            self.database = sqlite3.connect(":memory:")

        def query(self):
            return self.database.execute("select 1").fetchone()

        def handle_signal(self):
            import signal

            seen = []
            signal.signal(signal.SIGUSR1, lambda *_: seen.append(True))
            signal.raise_signal(signal.SIGUSR1)
            return seen

    actor = Particular.remote()
    assert actorio.get([actor.query.remote(), actor.handle_signal.remote()]) == [(1,), [True]]


# -- how many calls run --------------------------------------------------------------------------------------------


class Crowd:
    """Lets calls leave in groups that fill it, and knows how many were ever inside at once."""

    def __init__(self, size):
        self.lock = threading.Lock()
        self.barrier = threading.Barrier(size)
        self.inside = self.most = 0
        self.threads = set()

    def enter(self):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.threads.add(threading.get_ident())
        self.barrier.wait(PATIENCE)
        with self.lock:
            self.inside -= 1

    def seen(self):
        return self.most, len(self.threads)


class AsyncCrowd:
    def __init__(self, size):
        self.barrier = asyncio.Barrier(size)
        self.inside = self.most = 0

    async def enter(self):
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.barrier.wait()
        self.inside -= 1

    def seen(self):
        return self.most, 1


@pytest.mark.parametrize(
    ("cls", "options", "limit", "threads"),
    [
        (Crowd, {}, 1, 1),
        (Crowd, {"max_concurrency": 1}, 1, 1),
        (Crowd, {"max_concurrency": 4}, 4, 4),
        (AsyncCrowd, {}, 1000, 1),
        (AsyncCrowd, {"max_concurrency": 1}, 1, 1),
        (AsyncCrowd, {"max_concurrency": 3}, 3, 1),
    ],
    ids=["plain", "plain, 1", "threaded, 4", "async", "async, 1", "async, 3"],
)
def test_max_concurrency_is_reached_and_never_exceeded(cls, options, limit, threads, session):
    crowd = actorio.remote(**options)(cls).remote(limit) if options else actorio.remote(cls).remote(limit)
    actorio.get([crowd.enter.remote() for _ in range(limit * 3)])
    assert actorio.get(crowd.seen.remote()) == (limit, threads)


def test_a_pool_of_threads_holds_the_main_thread(session):
    @actorio.remote(max_concurrency=2)
    class Pool:
        def __init__(self):
            self.barrier = threading.Barrier(2)

        def meet(self):
            self.barrier.wait(PATIENCE)
            return threading.current_thread() is threading.main_thread()

    pool = Pool.remote()
    assert sorted(actorio.get([pool.meet.remote(), pool.meet.remote()])) == [False, True]


# -- the order of calls --------------------------------------------------------------------------------------------


class Journal:
    """Notes its calls in the order in which they start."""

    def __init__(self):
        self.notes = []

    def note(self, value):
        self.notes.append(value)
        return value

    def read(self):
        return list(self.notes)

    def pause(self):
        time.sleep(0.1)

    def passing(self, gate):
        return actorio.get(gate.passing.remote())


class AsyncJournal(Journal):
    async def note(self, value):
        self.notes.append(value)
        await asyncio.sleep(0)
        return value

    async def passing(self, gate):
        await gate.passing.remote()


# One thread of the pool is kept busy by the tests, so that the notes are those of the other.
KINDS = {
    "single-threaded": (Journal, {}),
    "threaded": (Journal, {"max_concurrency": 2}),
    "async": (AsyncJournal, {}),
    "async, one at a time": (AsyncJournal, {"max_concurrency": 1}),
}


def journal_of(kind):
    cls, options = KINDS[kind]
    return actorio.remote(cls).options(**options).remote()


@pytest.fixture
def journal(request, session, gate):
    actor = journal_of(request.param)
    if request.param == "threaded":
        actor.passing.remote(gate)
        actorio.get(gate.until_came.remote(1))
    yield actor
    actorio.get(gate.open.remote())


def note_in_a_thread(journal, values):
    assert actorio.get([journal.note.remote(value) for value in values]) == values


def note_in_a_loop(journal, values):
    async def main():
        assert await asyncio.gather(*[journal.note.remote(value) for value in values]) == values

    asyncio.run(main())


def note_and_forget(journal, values):
    for value in values:
        journal.note.remote(value)


def note_in_a_loop_and_forget(journal, values):
    async def main():
        for value in values:
            journal.note.remote(value)
        await journal.read.remote()

    asyncio.run(main())


@pytest.mark.parametrize("journal", KINDS, indirect=True)
@pytest.mark.parametrize("note", [note_in_a_thread, note_in_a_loop, note_and_forget, note_in_a_loop_and_forget])
def test_the_calls_of_one_caller_start_in_their_order(note, journal):
    note(journal, list(range(300)))
    eventually(lambda: len(actorio.get(journal.read.remote())) == 300)
    assert actorio.get(journal.read.remote()) == list(range(300))


@pytest.mark.parametrize("journal", KINDS, indirect=True)
def test_each_of_two_callers_keeps_its_order(journal):
    ours, theirs = [("thread", n) for n in range(200)], [("loop", n) for n in range(200)]
    other = threading.Thread(target=note_in_a_loop, args=(journal, theirs))
    other.start()
    note_in_a_thread(journal, ours)
    other.join()
    notes = actorio.get(journal.read.remote())
    assert [note for note in notes if note[0] == "thread"] == ours
    assert [note for note in notes if note[0] == "loop"] == theirs


def test_copies_of_a_handle_share_one_order(session):
    import copy

    journal = journal_of("single-threaded")
    twin = copy.copy(journal)
    for n in range(0, 100, 2):
        journal.note.remote(n)
        twin.note.remote(n + 1)
    assert actorio.get(twin.read.remote()) == list(range(100))


def test_threads_whose_first_calls_meet_share_one_connection(session, monkeypatch):
    meeting, connect = threading.Barrier(2), contexts.connect

    def connect_together(address):
        # Whoever lets one thread in at a time breaks the barrier, and is right to.
        with contextlib.suppress(threading.BrokenBarrierError):
            meeting.wait(0.2)
        return connect(address)

    monkeypatch.setattr(contexts, "connect", connect_together)
    journal = journal_of("single-threaded")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        refs = list(pool.map(journal.note.remote, range(2)))
    assert len({ref._pending.lane for ref in refs}) == 1


# -- a busy actor --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["single-threaded", "threaded"])
def test_the_mailbox_is_read_while_methods_block(kind, gate):
    journal = journal_of(kind)
    for _ in range(2):
        journal.passing.remote(gate)
    actorio.get(gate.until_came.remote(1))
    # Many times what a socket holds: it can only leave this process if the actor reads.
    refs = [journal.note.remote(b"x" * 1_000_000) for _ in range(10)]
    (lane,) = [
        lane
        for address, lane in runtime_port.current().calls.contexts.threads.lanes.items()
        if address == journal._actorio_identity.address
    ]
    eventually(lambda: not lane._out)
    assert not refs[0].done()
    gate.open.remote()
    assert len(actorio.get(refs)) == 10


@pytest.mark.parametrize("limit", [1, 3])
def test_a_reply_is_not_held_back_by_a_long_call_behind_it(limit, gate):
    journal = actorio.remote(Journal).options(max_concurrency=limit).remote()
    for _ in range(5):
        quick = [journal.note.remote(value) for value in range(300)]
        long = [journal.passing.remote(gate) for _ in range(limit)]
        actorio.get(quick, timeout=PATIENCE)
        actorio.get(gate.open.remote())
        actorio.get(long, timeout=PATIENCE)
        actorio.get(gate.close.remote())


def test_calls_that_nobody_waits_for_reach_their_actor(gate):
    journal = actorio.remote(Journal).remote()
    for value in range(1000):
        journal.note.remote(value)
    journal.passing.remote(gate)
    # The word of it comes through another actor and a loop: this thread never waits, and so never reads or sends.

    async def arrival():
        await asyncio.wait_for(gate.until_came.remote(1), PATIENCE)

    asyncio.run(arrival())
    actorio.get(gate.open.remote())


def test_an_async_actor_answers_while_calls_wait(gate):
    journal = journal_of("async")
    waiting = journal.passing.remote(gate)
    assert actorio.get(journal.note.remote(1)) == 1
    assert not waiting.done()
    gate.open.remote()
    actorio.get(waiting)


def test_a_plain_method_of_an_async_actor_takes_its_turn_among_coroutines(session):
    @actorio.remote
    class Mixed:
        def __init__(self):
            self.notes = []

        async def coroutine(self, value):
            self.notes.append(value)

        def plain(self, value):
            self.notes.append(value)
            return self.notes

    mixed = Mixed.remote()
    for n in range(0, 100, 2):
        mixed.coroutine.remote(n)
        last = mixed.plain.remote(n + 1)
    assert actorio.get(last) == list(range(100))


# -- blocking where it can only do harm ----------------------------------------------------------------------------


class Blocking:
    def __init__(self, gate=None):
        self.read = None if gate is None else actorio.get(gate.passing.remote("read by the constructor"))

    def what_was_read(self):
        return self.read

    async def get(self, gate):
        return actorio.get(gate.passing.remote())

    async def get_several(self, gate):
        return actorio.get([gate.passing.remote()], timeout=1)

    def get_in_a_plain_method(self, gate):
        return actorio.get(gate.passing.remote())

    async def wait(self, gate):
        return actorio.wait([gate.passing.remote()])

    async def get_beside_the_loop(self, gate):
        return await asyncio.to_thread(actorio.get, gate.passing.remote("beside"))

    async def wait_beside_the_loop(self, gate):
        return len((await asyncio.to_thread(actorio.wait, [gate.passing.remote()]))[0])

    async def get_what_is_there(self, gate):
        ref = gate.passing.remote("there")
        await asyncio.wait([ref])
        return actorio.get(ref)

    async def answer(self):
        return "answered"


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("get", "write `await ref`"),
        ("get_several", "await asyncio.gather(*refs)"),
        ("get_in_a_plain_method", "write `await ref`"),
        ("wait", "write `done, pending = await asyncio.wait(refs)`"),
    ],
)
def test_a_blocking_call_on_an_async_actor_s_loop_is_refused_at_once(name, instead, gate):
    actor = actorio.remote(Blocking).remote()
    error = raised_by(lambda: actorio.get(getattr(actor, name).remote(gate)))
    assert isinstance(error, RuntimeError)
    line = inspect.getsourcelines(getattr(Blocking, name))[1] + 1
    assert f"{__file__}:{line} would block the event loop of the async actor Blocking" in str(error)
    assert instead in str(error)
    assert actorio.get(actor.answer.remote()) == "answered"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("get_beside_the_loop", "beside"),
        ("wait_beside_the_loop", 1),
        ("get_what_is_there", "there"),
    ],
)
def test_what_blocks_no_loop_is_let_through(name, expected, gate):
    actor = actorio.remote(Blocking).remote()
    gate.open.remote()
    assert actorio.get(getattr(actor, name).remote(gate)) == expected


def test_the_constructor_of_an_async_actor_may_block(gate):
    actor = actorio.remote(Blocking).remote(gate)
    answer = actor.what_was_read.remote()
    actorio.get(gate.until_came.remote(1))
    gate.open.remote()
    assert actorio.get(answer) == "read by the constructor"


@pytest.mark.parametrize("name", ["get", "get_in_a_plain_method", "wait"])
def test_a_blocking_get_can_be_allowed(name, gate):
    actor = actorio.remote(Blocking).options(allow_blocking_get=True).remote()
    gate.open.remote()
    actorio.get(getattr(actor, name).remote(gate))


# -- actors that use actors ----------------------------------------------------------------------------------------


@actorio.remote
class Parent:
    def __init__(self):
        self.children = []

    def bear(self, count):
        self.children = [journal_of_child() for _ in range(count)]
        return actorio.get([child.note.remote(n) for n, child in enumerate(self.children)])


@actorio.remote
class AsyncParent:
    async def bear(self, count):
        children = [journal_of_child() for _ in range(count)]
        return await asyncio.gather(*[child.note.remote(n) for n, child in enumerate(children)])


def journal_of_child():
    return actorio.remote(Journal).remote()


@pytest.mark.parametrize("parent", [Parent, AsyncParent])
def test_an_actor_makes_and_calls_actors(parent, session):
    assert actorio.get(parent.remote().bear.remote(3)) == [0, 1, 2]


def test_two_actors_call_each_other(session):
    @actorio.remote
    class Player:
        async def play(self, other, rounds):
            if not rounds:
                return 0
            me = actorio.get_runtime_context().current_actor
            return 1 + await other.play.remote(me, rounds - 1)

    assert actorio.get(Player.remote().play.remote(Player.remote(), 20)) == 20


def test_an_async_actor_may_call_itself(session):
    @actorio.remote
    class Recursive:
        async def factorial(self, n):
            me = actorio.get_runtime_context().current_actor
            return 1 if n < 2 else n * await me.factorial.remote(n - 1)

    assert actorio.get(Recursive.remote().factorial.remote(10)) == 3628800


# -- references as arguments ---------------------------------------------------------------------------------------


@actorio.remote
class Receiver:
    def __init__(self, *given, **named):
        self.given = given, named

    def was_given(self):
        return self.given

    def receive(self, *args, **kwargs):
        return args, kwargs

    def kinds(self, *args):
        return [type(value).__name__ for value in args]

    def get_inside(self, refs):
        return actorio.get(refs)


@actorio.remote
class AsyncReceiver:
    async def receive(self, *args, **kwargs):
        return args, kwargs

    async def get_inside(self, refs):
        return await asyncio.gather(*refs)


RECEIVERS = pytest.mark.parametrize("receiver", [Receiver, AsyncReceiver])


@RECEIVERS
def test_a_reference_that_is_an_argument_arrives_as_its_value(receiver, gate):
    kept, pending = actorio.put([1]), gate.passing.remote("passed")
    answer = receiver.remote().receive.remote(kept, 2, pending, name=pending)
    gate.open.remote()
    assert actorio.get(answer) == (([1], 2, "passed"), {"name": "passed"})


@RECEIVERS
def test_a_reference_inside_a_container_arrives_as_a_reference(receiver, gate):
    pending = [gate.passing.remote("passed"), actorio.put(2)]
    answer = receiver.remote().get_inside.remote(pending)
    gate.open.remote()
    assert actorio.get(answer) == ["passed", 2]


def test_only_references_inside_containers_stay_references(session):
    ref = actorio.put(1)
    assert actorio.get(Receiver.remote().kinds.remote(ref, [ref], {"x": ref})) == ["int", "list", "dict"]


def test_a_constructor_gets_the_values_of_references(gate):
    actor = Receiver.remote(actorio.put(1), gate.passing.remote(2), name=actorio.put(3))
    gate.open.remote()
    assert actorio.get(actor.was_given.remote()) == ((1, 2), {"name": 3})


def test_the_result_of_one_actor_is_handed_on_to_another(session):
    first, second = Receiver.remote(), Receiver.remote()
    ref = first.receive.remote(1)
    for _ in range(5):
        ref = second.receive.remote(ref)
    assert str(actorio.get(ref)).count("1") == 1


def test_an_actor_hands_on_a_result_that_it_does_not_wait_for(gate):
    @actorio.remote
    class Forwarder:
        def forward(self, gate, receiver):
            return [receiver.receive.remote(gate.passing.remote("handed on"))]

    (ref,) = actorio.get(Forwarder.remote().forward.remote(gate, Receiver.remote()))
    gate.open.remote()
    assert actorio.get(ref) == (("handed on",), {})


@pytest.mark.parametrize("journal", KINDS, indirect=True)
def test_a_call_whose_argument_failed_is_not_run_and_has_its_error(journal, gate):
    failing = gate.failing.remote()
    ref = journal.note.remote(failing)
    gate.open.remote()
    error = raised_by(lambda: actorio.get(ref))
    assert isinstance(error, LookupError)
    assert "failed behind the gate" in str(error)
    assert raised_by(lambda: actorio.get(journal.note.remote(failing))).cause.args == error.cause.args
    assert actorio.get(journal.read.remote()) == []


def test_a_constructor_whose_argument_failed_is_not_run(gate):
    gate.open.remote()
    actor = Receiver.remote(gate.failing.remote())
    error = raised_by(lambda: actorio.get(actor.was_given.remote()))
    assert isinstance(error, actorio.exceptions.ActorDiedError)
    assert "failed behind the gate" in str(error)


def test_an_ordered_actor_holds_back_the_caller_s_later_calls_until_the_argument_is_there(gate):
    journal = journal_of("single-threaded")
    first, second = journal.note.remote(gate.passing.remote("first")), journal.note.remote("second")
    actorio.get(gate.until_came.remote(1))
    assert in_a_loop(lambda: journal.note.remote("another caller's")) == "another caller's"
    assert not second.done()
    gate.open.remote()
    assert actorio.get([first, second]) == ["first", "second"]
    assert actorio.get(journal.read.remote()) == ["another caller's", "first", "second"]


def test_held_back_calls_keep_their_order_whichever_argument_comes_first(session):
    journal, gates = journal_of("single-threaded"), [Gate.remote() for _ in range(3)]
    refs = [journal.note.remote(gate.passing.remote(n)) for n, gate in enumerate(gates)]
    for gate in reversed(gates):
        actorio.get(gate.open.remote())
    assert actorio.get(refs) == [0, 1, 2]
    assert actorio.get(journal.read.remote()) == [0, 1, 2]


def test_calls_made_while_an_argument_arrives_keep_their_order(session):
    # Threads change places often, so that arguments arrive at every point of a call.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        journal, receiver = journal_of("single-threaded"), journal_of("single-threaded")
        for start in range(0, 3000, 60):
            journal.note.remote(receiver.note.remote(start))
            for n in range(start + 1, start + 60):
                journal.note.remote(n)
        assert actorio.get(journal.read.remote()) == list(range(3000))
    finally:
        sys.setswitchinterval(interval)


def test_a_blocking_get_inside_a_running_loop_waits_for_arguments_too(session):
    async def cell_of_a_notebook(first, second):
        first.pause.remote()
        return actorio.get(second.note.remote(first.note.remote(1)), timeout=5)

    assert asyncio.run(cell_of_a_notebook(journal_of("single-threaded"), journal_of("single-threaded"))) == 1


@pytest.mark.parametrize("kind", ["single-threaded", "async"])
def test_a_call_that_waits_for_its_argument_ends_with_its_actor_and_was_not_run(kind, gate):
    journal = journal_of(kind)
    ref = journal.note.remote(gate.passing.remote("never"))
    actorio.get(journal.__ray_ready__.remote() if kind == "async" else gate.until_came.remote(1))
    actorio.kill(journal)
    error = raised_by(lambda: actorio.get(ref, timeout=5))
    assert isinstance(error, actorio.exceptions.ActorDiedError)
    assert "The call" in str(error)
    assert "was not run" in str(error)


def test_a_failed_argument_releases_the_calls_held_back_behind_it(gate):
    journal = journal_of("single-threaded")
    first, second = journal.note.remote(gate.failing.remote()), journal.note.remote("second")
    gate.open.remote()
    assert actorio.get(second) == "second"
    assert isinstance(raised_by(lambda: actorio.get(first)), LookupError)


@pytest.mark.parametrize("journal", ["async", "async, one at a time", "threaded"], indirect=True)
def test_other_actors_let_calls_overtake_one_whose_argument_is_missing(journal, gate):
    first, second = journal.note.remote(gate.passing.remote("first")), journal.note.remote("second")
    assert actorio.get(second) == "second"
    assert not first.done()
    gate.open.remote()
    assert actorio.get(first) == "first"
    assert actorio.get(journal.read.remote()) == ["second", "first"]


# -- functions -----------------------------------------------------------------------------------------------------


@actorio.remote
def task(a, b=2, *, c=3):
    return a, b, c


@actorio.remote
async def async_task(a, b=2, *, c=3):
    await asyncio.sleep(0)
    return a, b, c


@actorio.remote
def failing_task():
    raise ValueError("failed in a task")


@actorio.remote
async def failing_async_task():
    raise ValueError("failed in a task")


@pytest.mark.parametrize("function", [task, async_task, task.options(num_cpus=1)])
def test_a_function_is_called_with_its_arguments(function, session):
    assert actorio.get(function.remote(1, c=5)) == (1, 2, 5)


def test_a_function_runs_in_another_process(session):
    @actorio.remote
    def process():
        return os.getpid()

    assert actorio.get(process.remote()) != os.getpid()


def test_an_async_function_runs_on_a_loop(session):
    @actorio.remote
    async def has_loop():
        return asyncio.get_running_loop().is_running()

    assert actorio.get(has_loop.remote())


@pytest.mark.parametrize("function", [failing_task, failing_async_task])
def test_an_error_in_a_function_is_named_after_it(function, session):
    error = raised_by(lambda: actorio.get(function.remote()))
    assert isinstance(error, ValueError)
    assert str(error).startswith(f"actorio::{function.__name__}() (pid=")


def test_many_tasks_all_end(session):
    assert actorio.get([task.remote(n) for n in range(500)]) == [(n, 2, 3) for n in range(500)]


def test_a_task_takes_references_as_arguments(gate):
    ref = task.remote(gate.passing.remote("passed"), b=task.remote(1))
    gate.open.remote()
    assert actorio.get(ref) == ("passed", (1, 2, 3), 3)


def test_a_task_whose_argument_is_missing_holds_up_no_other(gate):
    waiting = [task.remote(gate.passing.remote(n)) for n in range(8)]
    assert actorio.get(task.remote(1)) == (1, 2, 3)
    gate.open.remote()
    assert actorio.get(waiting) == [(n, 2, 3) for n in range(8)]


def test_tasks_call_tasks(session):
    @actorio.remote
    def fibonacci(n):
        return n if n < 2 else sum(actorio.get([fibonacci.remote(n - 1), fibonacci.remote(n - 2)]))

    assert actorio.get(fibonacci.remote(4)) == 3


def test_async_tasks_call_tasks_and_actors(session):
    @actorio.remote
    async def combine(journal):
        return await asyncio.gather(task.remote(1), async_task.remote(2), journal.note.remote(3))

    assert actorio.get(combine.remote(journal_of("async"))) == [(1, 2, 3), (2, 2, 3), 3]


def test_a_task_uses_an_actor(session):
    @actorio.remote
    def note(journal, value):
        return actorio.get(journal.note.remote(value))

    journal = journal_of("single-threaded")
    assert sorted(actorio.get([note.remote(journal, n) for n in range(5)])) == list(range(5))
    assert sorted(actorio.get(journal.read.remote())) == list(range(5))


# -- where classes come from ---------------------------------------------------------------------------------------


LIMITS = {"highest": 7}


def clipped(value):
    return min(value, LIMITS["highest"])


@actorio.remote
class UsesGlobals:
    def clip(self, value):
        return clipped(value), LIMITS["highest"], asyncio.iscoroutinefunction(self.clip)


def test_a_class_uses_the_globals_of_its_module(session):
    assert actorio.get(UsesGlobals.remote().clip.remote(10)) == (7, 7, False)


def test_a_class_made_in_a_function_uses_what_is_around_it(session):
    factor = 3

    class Local:
        def times(self, value):
            return factor * clipped(value)

    assert actorio.get(actorio.remote(Local).remote().times.remote(10)) == 21


def test_instances_of_a_class_made_in_a_function_travel(session):
    class Point:
        def __init__(self, x):
            self.x = x

    @actorio.remote
    class Mover:
        def move(self, point):
            return Point(point.x + 1)

    assert actorio.get(Mover.remote().move.remote(Point(1))).x == 2


MAIN = """
import asyncio
import dataclasses
import enum
import actorio

FACTOR = 3

class Color(enum.Enum):
    RED = 1

@dataclasses.dataclass
class Point:
    x: int
    color: Color = Color.RED

def scaled(point):
    return Point(point.x * FACTOR)

class Base:
    def name(self):
        return type(self).__name__

@actorio.remote
class Mover(Base):
    def __init__(self, start):
        self.point = start

    async def move(self, by):
        self.point = Point(scaled(self.point).x + by.x)
        return self.point

    async def same(self, color):
        return color is Color.RED

    def apply(self, function):
        return function(self.point)

@actorio.remote
def double(point):
    return Point(2 * point.x)

mover = Mover.remote(Point(1))
moved = actorio.get(mover.move.remote(Point(2)))
print(moved, moved == Point(5), isinstance(moved, Point), moved.color is Color.RED)
print(actorio.get([mover.name.remote(), mover.apply.remote(lambda point: point.x + FACTOR)]))
print(actorio.get(mover.same.remote(Color.RED)))
print(actorio.get(double.remote(Point(4))) == Point(8))

async def main():
    return await mover.move.remote(actorio.put(Point(0)))

print(asyncio.run(main()).x)
"""


@pytest.mark.parametrize("way", ["a file", "-c", "standard input"])
def test_classes_and_functions_of_main_work_without_a_guard_from(way, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(MAIN)
    arguments = {"a file": [program], "-c": ["-c", MAIN], "standard input": ["-"]}[way]
    ended = subprocess.run(
        [sys.executable, *arguments],
        input=MAIN if way == "standard input" else None,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [
        "Point(x=5, color=<Color.RED: 1>) True True True",
        "['Mover', 8]",
        "True",
        "True",
        "15",
    ]


def test_classes_of_a_module_beside_the_program_are_the_same_here_and_there(tmp_path):
    (tmp_path / "shop.py").write_text(
        """
import actorio

class Item:
    pass

@actorio.remote
class Shop:
    def sell(self, item):
        assert type(item) is Item
        return item
"""
    )
    program = tmp_path / "program.py"
    program.write_text(
        """
import actorio, shop
print(type(actorio.get(shop.Shop.remote().sell.remote(shop.Item()))) is shop.Item)
"""
    )
    ended = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.stdout, ended.stderr) == ("True\n", "")
