"""What goes wrong elsewhere is known here: exceptions, values that cannot travel, deaths, and great amounts of both."""

import asyncio
import concurrent.futures
import faulthandler
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import traceback

import pytest

import actorio
from actorio.exceptions import (
    ActorDiedError,
    GetTimeoutError,
    RayActorError,
    RayError,
    RayTaskError,
    TaskCancelledError,
    UnserializableException,
)

PATIENCE = 30


def raised_by(act):
    try:
        act()
    except BaseException as error:
        return error
    pytest.fail("nothing was raised")


def error_of(ref):
    return raised_by(lambda: actorio.get(ref, timeout=PATIENCE))


# -- what is raised ------------------------------------------------------------------------------------------------


class Refusal(Exception):
    """Has an attribute and a text of its own, and survives pickling."""

    def __init__(self, amount, reason="none"):
        super().__init__(amount, reason)
        self.amount = amount
        self.reason = reason

    def __str__(self):
        return f"refused {self.amount}: {self.reason}"


class Demanding(Exception):
    """Cannot be unpickled: pickle calls the class with `args`, which are not what it takes."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class Locked(Exception):
    """Cannot be pickled."""

    def __init__(self, message):
        super().__init__(message)
        self.guard = threading.Lock()


class Halt(BaseException):
    pass


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Raising:
    """Raises whatever a function makes; by value, so that this module is imported only where it must be."""

    def __init__(self):
        self.raised = 0

    def raise_it(self, make):
        self.raised += 1
        raise make()

    def divide(self, a, b):
        return a / b

    def chain(self):
        try:
            self.divide(1, 0)
        except ZeroDivisionError as error:
            raise KeyError("outer") from error

    def noted(self):
        error = ValueError("noted")
        error.add_note("a note")
        raise error

    def count(self):
        return self.raised

    def __repr__(self):
        return "<Raising here>"


class AsyncRaising(Raising):
    async def raise_it(self, make):
        self.raised += 1
        await asyncio.sleep(0)
        raise make()


KINDS = {"single-threaded": (Raising, 1), "threaded": (Raising, 3), "async": (AsyncRaising, None)}


@pytest.fixture(scope="module", params=KINDS)
def raising(request, session):
    cls, limit = KINDS[request.param]
    return actorio.remote(cls).options(max_concurrency=limit).remote()


# -- the task error ------------------------------------------------------------------------------------------------

CAUSES = {
    "ValueError": lambda: ValueError("wrong", 3),
    "KeyError": lambda: KeyError("absent"),
    "MemoryError": lambda: MemoryError("no room"),
    "FileNotFoundError": lambda: FileNotFoundError(2, "No such file", "/nowhere"),
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    "an exception of this module": lambda: Refusal(30, reason="too much"),
    "an exception group": lambda: ExceptionGroup("both", [ValueError(1), TypeError(2)]),
    "TimeoutError": lambda: TimeoutError("late"),
    "GeneratorExit's cousin": lambda: StopAsyncIteration("done"),
}


@pytest.mark.parametrize("make", CAUSES.values(), ids=CAUSES)
def test_an_exception_is_caught_by_its_own_class_and_as_a_task_error(make, raising):
    error, sent = error_of(raising.raise_it.remote(make)), make()
    assert isinstance(error, type(sent))
    assert isinstance(error, RayTaskError)
    assert isinstance(error, RayError)
    assert type(error.cause) is type(sent)
    assert str(error.cause) == str(sent)


def test_the_attributes_of_an_exception_arrive(raising):
    error = error_of(raising.raise_it.remote(lambda: Refusal(30, reason="too much")))
    assert (error.amount, error.reason, error.cause.amount, error.cause.args) == (30, "too much", 30, (30, "too much"))
    error = error_of(raising.raise_it.remote(lambda: FileNotFoundError(2, "No such file", "/nowhere")))
    assert (error.errno, error.filename) == (2, "/nowhere")


def test_an_exception_group_is_split_by_except_star(raising):
    seen = []
    try:
        actorio.get(raising.raise_it.remote(lambda: ExceptionGroup("both", [ValueError(1), TypeError(2)])))
    except* ValueError as group:
        seen.append([str(error) for error in group.exceptions])
    except* TypeError as group:
        seen.append([str(error) for error in group.exceptions])
    assert seen == [["1"], ["2"]]


def test_the_text_names_the_call_its_process_and_its_actor(raising):
    error = error_of(raising.divide.remote(1, 0))
    heading, *lines = str(error).splitlines()
    actor_id = raising._actorio_identity.actor_id
    assert re.fullmatch(
        rf"actorio::(Async)?Raising\.divide\(\) \(pid=\d+, actor_id={actor_id}, repr=<Raising here>\)", heading
    )
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_the_text_has_the_remote_traceback_and_none_of_our_frames(raising):
    text = str(error_of(raising.chain.remote()))
    assert f'File "{__file__}", line {Raising.chain.__code__.co_firstlineno + 2}, in chain' in text
    assert f'File "{__file__}", line {Raising.divide.__code__.co_firstlineno + 1}, in divide' in text
    assert "direct cause" in text
    assert f"{os.sep}_worker{os.sep}" not in text


def test_the_remote_traceback_is_in_what_is_printed(raising):
    printed = "".join(traceback.format_exception(error_of(raising.divide.remote(1, 0))))
    assert f"line {Raising.divide.__code__.co_firstlineno + 1}, in divide" in printed
    assert printed.rstrip().endswith("ZeroDivisionError: division by zero")


def test_notes_arrive(raising):
    error = error_of(raising.noted.remote())
    assert error.cause.__notes__ == ["a note"]
    assert "a note" in str(error)


def test_an_exception_without_a_text_arrives(raising):
    error = error_of(raising.raise_it.remote(Unprintable))
    assert isinstance(error, Unprintable)
    assert "Unprintable" in str(error)


def test_an_exception_whose_class_wants_other_arguments_is_caught_by_its_class(raising):
    error = error_of(raising.raise_it.remote(lambda: Demanding("this", "that")))
    assert isinstance(error, Demanding)
    assert error.cause.args == ("this and that",)
    for text in ("in raise_it", "Demanding: this and that"):
        assert text in str(error)


class Untouchable(Exception):
    def __getattribute__(self, name):
        raise RuntimeError(name)


def test_an_exception_that_resists_being_looked_at_is_answered_with_its_name(raising):
    assert "Untouchable" in str(error_of(raising.raise_it.remote(Untouchable)))
    with pytest.raises(ZeroDivisionError):
        actorio.get(raising.raise_it.remote(ZeroDivisionError))


def ends_the_reader():
    raise SystemExit(3)


class Ending:
    def __reduce__(self):
        return ends_the_reader, ()


def test_a_result_whose_unpickling_asks_to_exit_does_not_end_its_reader(raising):
    ref = raising.__ray_call__.remote(lambda _: Ending())
    with pytest.raises(actorio.exceptions.UnserializableException):
        actorio.get(ref)


def test_an_exception_that_cannot_be_pickled_arrives_as_text_that_names_the_culprit(raising):
    error = error_of(raising.raise_it.remote(lambda: Locked("behind a lock")))
    assert type(error) is RayTaskError
    assert error.cause is None
    for text in ("in raise_it", "Locked: behind a lock", "exception.guard (_thread.lock) cannot be pickled"):
        assert text in str(error)


def test_a_base_exception_of_the_user_s_arrives_and_the_actor_lives_on(raising):
    error = error_of(raising.raise_it.remote(Halt))
    assert type(error) is RayTaskError
    assert type(error.cause) is Halt
    assert actorio.get(raising.count.remote()) > 0


@pytest.mark.parametrize("make", [asyncio.CancelledError, KeyboardInterrupt])
def test_cancelling_and_interrupting_itself_ends_the_call_and_not_the_actor(make, raising):
    before = actorio.get(raising.count.remote())
    assert type(error_of(raising.raise_it.remote(make))) is TaskCancelledError
    assert actorio.get(raising.count.remote()) == before + 1


@pytest.mark.parametrize("read", [error_of, lambda ref: raised_by(lambda: asyncio.run(_await(ref)))])
def test_stop_iteration_arrives_as_the_cause_of_a_task_error(read, session):
    actor = actorio.remote(Raising).remote()
    error = read(actor.raise_it.remote(lambda: StopIteration(3)))
    assert isinstance(error, RayTaskError)
    assert not isinstance(error, StopIteration)
    assert (type(error.cause), error.cause.value) == (StopIteration, 3)


def test_an_exception_of_actorio_s_own_arrives_as_itself(raising):
    error = error_of(raising.raise_it.remote(lambda: GetTimeoutError("inner")))
    assert isinstance(error, GetTimeoutError)
    assert isinstance(error, RayTaskError)


def test_errors_of_many_calls_do_not_mix(raising):
    refs = [raising.raise_it.remote(lambda n=n: Refusal(n)) for n in range(100)]
    assert [error_of(ref).amount for ref in refs] == list(range(100))


async def _await(ref):
    return await ref


# -- whoever reads it ----------------------------------------------------------------------------------------------


async def _gathered(ref):
    (error,) = await asyncio.gather(ref, return_exceptions=True)
    return error


async def _waited_for(ref):
    done, _ = await asyncio.wait([ref])
    return done.pop().exception()


async def _called_back(ref):
    arrived = asyncio.get_running_loop().create_future()
    ref.add_done_callback(lambda done: arrived.set_result(done.exception()))
    return await arrived


async def _wrapped(ref):
    try:
        await asyncio.wrap_future(ref.future())
    except Exception as error:
        return error


def _completed(ref):
    (future,) = concurrent.futures.as_completed([ref.future()], timeout=PATIENCE)
    return future.exception()


def _waited(ref):
    ((done,), _) = actorio.wait([ref], timeout=PATIENCE)
    return done.exception()


READERS = {
    "get": error_of,
    "get of a list": lambda ref: raised_by(lambda: actorio.get([actorio.put(1), ref])),
    "await": lambda ref: raised_by(lambda: asyncio.run(_await(ref))),
    "gather": lambda ref: asyncio.run(_gathered(ref)),
    "wait": _waited,
    "asyncio.wait": lambda ref: asyncio.run(_waited_for(ref)),
    "add_done_callback": lambda ref: asyncio.run(_called_back(ref)),
    "future": lambda ref: ref.future().exception(PATIENCE),
    "as_completed": _completed,
    "wrap_future": lambda ref: asyncio.run(_wrapped(ref)),
}


def _dead():
    actor = actorio.remote(Raising).remote()
    return actor.__ray_call__.remote(lambda self: os._exit(3))


FAILURES = {
    "a task error": lambda: actorio.remote(Raising).remote().raise_it.remote(lambda: Refusal(30, "too much")),
    "a cancelled call": lambda: actorio.remote(Raising).remote().raise_it.remote(KeyboardInterrupt),
    "a death": _dead,
}


@pytest.mark.parametrize("make", FAILURES.values(), ids=FAILURES)
def test_an_error_is_the_same_whoever_reads_it(make, session):
    ref = make()
    errors = {name: read(ref) for name, read in READERS.items()}
    known = error_of(ref)
    assert {name: (type(error), str(error)) for name, error in errors.items()} == dict.fromkeys(
        READERS, (type(known), str(known))
    )


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_an_error_reaches_a_reader_that_waits_for_it(read, session):
    error = read(actorio.remote(Raising).remote().raise_it.remote(lambda: Refusal(30)))
    assert isinstance(error, Refusal)
    assert error.amount == 30


def test_each_read_raises_an_exception_of_its_own(session):
    ref = actorio.remote(Raising).remote().divide.remote(1, 0)
    assert error_of(ref) is not error_of(ref)


# -- failures that pass through actors -----------------------------------------------------------------------------


class Middle:
    def through(self, inner):
        return actorio.get(inner.raise_it.remote(lambda: Refusal(30, "inside")))

    def around(self, inner):
        try:
            self.through(inner)
        except Refusal as error:
            raise LookupError("outside") from error


class AsyncMiddle(Middle):
    async def through(self, inner):
        return await inner.raise_it.remote(lambda: Refusal(30, "inside"))

    async def around(self, inner):
        try:
            await self.through(inner)
        except Refusal as error:
            raise LookupError("outside") from error


@pytest.mark.parametrize("middle", [Middle, AsyncMiddle])
def test_a_failure_passes_through_an_actor_without_being_wrapped_twice(middle, raising):
    error = error_of(actorio.remote(middle).remote().through.remote(raising))
    assert isinstance(error, Refusal)
    assert (type(error.cause), error.cause.amount) == (Refusal, 30)
    assert f"{middle.__name__}.through()" in str(error)
    assert "Raising.raise_it()" in str(error)


@pytest.mark.parametrize("middle", [Middle, AsyncMiddle])
def test_the_text_of_a_failure_raised_from_another_shows_both(middle, raising):
    error = error_of(actorio.remote(middle).remote().around.remote(raising))
    assert isinstance(error, LookupError)
    assert not isinstance(error, Refusal)
    assert "refused 30: inside" in str(error)
    assert str(error).rstrip().endswith("LookupError: outside")


def test_a_failed_argument_of_a_call_is_its_error_in_the_actor_and_here(raising):
    failed = raising.raise_it.remote(lambda: Refusal(30))
    error = error_of(actorio.remote(Raising).remote().divide.remote(failed, 1))
    assert isinstance(error, Refusal)
    assert error.amount == 30


def test_an_error_is_an_ordinary_value_when_it_is_returned(session):
    @actorio.remote
    class Careful:
        def make(self):
            return ValueError("a value")

        def pass_on(self, error):
            return error

    actor = Careful.remote()
    assert repr(actorio.get(actor.make.remote())) == "ValueError('a value')"
    error = error_of(actorio.remote(Raising).remote().divide.remote(1, 0))
    back = actorio.get(actor.pass_on.remote(error))
    assert (type(back), str(back)) == (type(error), str(error))


# -- values that cannot travel -------------------------------------------------------------------------------------


class Client:
    def __init__(self):
        self._lock = threading.Lock()


class Service:
    def __init__(self):
        self.client = Client()


class BreaksHere:
    """Can be pickled, but not unpickled in the process that made it; in any other it becomes the text `fine`."""

    def __init__(self):
        self.pid = os.getpid()

    def __reduce__(self):
        return _break_in, (self.pid, False)


class BreaksThere:
    """Can be pickled, but not unpickled in any process but the one that made it."""

    def __init__(self):
        self.pid = os.getpid()

    def __reduce__(self):
        return _break_in, (self.pid, True)


def _break_in(pid, elsewhere):
    if (os.getpid() != pid) == elsewhere:
        raise RuntimeError("broken on arrival")
    return "fine"


@actorio.remote
class Exchange:
    def __init__(self, given=None, *, named=None):
        self.given = given
        self.calls = 0

    def take(self, value, *, named=None):
        self.calls += 1
        return type(value).__name__

    def make(self, function):
        self.calls += 1
        return function()

    async def make_async(self, function):
        self.calls += 1
        return function()

    def count(self):
        return self.calls


@pytest.fixture(scope="module")
def exchange(session):
    return Exchange.remote()


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda e: e.take.remote(Service()), "Exchange.take(): args[0].client._lock (_thread.lock)"),
        (
            lambda e: e.take.remote({"a": [1, Service()]}),
            "Exchange.take(): args[0]['a'][1].client._lock (_thread.lock)",
        ),
        (lambda e: e.take.remote(1, named=Service()), "Exchange.take(): named.client._lock (_thread.lock)"),
        (lambda e: e.take.remote(actorio.put(1), named=Client()), "Exchange.take(): named._lock (_thread.lock)"),
        (lambda _: Exchange.remote(Service()), "Exchange.__init__(): args[0].client._lock (_thread.lock)"),
        (lambda _: Exchange.remote(named=Client()), "Exchange.__init__(): named._lock (_thread.lock)"),
        (lambda _: idle.remote(Service()), "idle(): args[0].client._lock (_thread.lock)"),
        (lambda _: actorio.put(Service()), "put(): value.client._lock (_thread.lock)"),
        (lambda e: e.take.remote([(n for n in ())]), "Exchange.take(): args[0][0] (generator)"),
    ],
    ids=[
        "a method",
        "deep",
        "by keyword",
        "beside a reference",
        "a constructor",
        "by keyword, too",
        "a task",
        "put",
        "a generator in a list",
    ],
)
def test_an_argument_that_cannot_be_pickled_is_a_type_error_at_the_call_naming_the_culprit(call, path, exchange):
    with pytest.raises(TypeError, match=re.escape(path)):
        call(exchange)


@actorio.remote
def idle(value):
    return value


def test_a_call_that_was_refused_leaves_the_actor_and_the_lane_as_they_were(exchange):
    before = actorio.get(exchange.count.remote())
    with pytest.raises(TypeError):
        exchange.take.remote(Service())
    assert actorio.get(exchange.count.remote()) == before


def test_a_class_that_cannot_be_pickled_says_which_part(session):
    lock = threading.Lock()

    @actorio.remote
    class Holding:
        def use(self):
            return lock

    with pytest.raises(TypeError, match=r"Holding.*cannot be (sent|pickled).*lock"):
        Holding.remote()


@pytest.mark.parametrize("method", ["make", "make_async"])
def test_a_result_that_cannot_be_pickled_names_the_culprit_and_the_call(method, exchange):
    error = error_of(getattr(exchange, method).remote(lambda: [Service()]))
    assert isinstance(error, TypeError)
    assert isinstance(error, RayTaskError)
    assert f"Exchange.{method}(): result[0].client._lock (_thread.lock) cannot be pickled" in str(error)
    assert actorio.get(exchange.take.remote(1)) == "int"


@pytest.mark.parametrize("cls", [Raising, AsyncRaising])
def test_a_generator_that_a_plain_method_returns_is_refused_in_the_same_words_by_every_kind(cls, session):
    class Generating(cls):
        def generate(self):
            return (each for each in ())

    error = error_of(actorio.remote(Generating).remote().generate.remote())
    assert isinstance(error, TypeError)
    assert "Generating.generate(): result (generator) cannot be pickled" in str(error)


def test_a_result_of_a_task_that_cannot_be_pickled_names_the_task(session):
    @actorio.remote
    def make():
        return Service()

    with pytest.raises(TypeError, match=re.escape("make(): result.client._lock (_thread.lock)")):
        actorio.get(make.remote())


def test_an_argument_that_cannot_be_unpickled_in_the_actor_fails_its_call_alone(exchange):
    before = actorio.get(exchange.count.remote())
    error = error_of(exchange.take.remote(BreaksThere()))
    assert isinstance(error, RuntimeError)
    assert "broken on arrival" in str(error)
    assert "Exchange.take()" in str(error)
    assert actorio.get(exchange.count.remote()) == before


def test_an_argument_of_a_constructor_that_cannot_be_unpickled_is_its_failure(session):
    error = error_of(Exchange.remote(BreaksThere()).count.remote())
    assert isinstance(error, ActorDiedError)
    assert "broken on arrival" in str(error)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_result_that_cannot_be_unpickled_here_says_so(read, exchange):
    error = read(exchange.make.remote(BreaksThere))
    assert type(error) is UnserializableException
    assert "the result of Exchange.make() arrived, but cannot be unpickled" in str(error)
    assert "RuntimeError: broken on arrival" in str(error)


def test_a_result_that_cannot_be_unpickled_here_can_be_handed_back(exchange):
    ref = exchange.make.remote(BreaksThere)
    assert actorio.get(exchange.take.remote(ref)) == "str"


# -- constructors that fail ----------------------------------------------------------------------------------------


@actorio.remote
class Unborn:
    def __init__(self, divisor=0):
        self.value = 1 / divisor

    def read(self):
        return self.value


@actorio.remote
class AsyncUnborn:
    def __init__(self, divisor=0):
        self.value = 1 / divisor

    async def read(self):
        return self.value


@actorio.remote
class Reader:
    def read(self, handle):
        return actorio.get(handle.read.remote())


UNBORN = pytest.mark.parametrize("cls", [Unborn, AsyncUnborn])


@UNBORN
def test_a_constructor_s_failure_reaches_every_call_with_its_traceback(cls, session):
    actor = cls.remote()
    refs = [actor.read.remote() for _ in range(20)]
    errors = [error_of(ref) for ref in refs] + [error_of(actor.read.remote()) for _ in range(3)]
    for error in errors:
        assert type(error) is ActorDiedError
        assert isinstance(error, RayActorError)
        assert error.actor_init_failed
        assert f"{cls.__name__} (pid" in str(error)
        assert "its constructor raised an exception" in str(error)
        assert ", in __init__" in str(error)
        assert "ZeroDivisionError: division by zero" in str(error)


@UNBORN
def test_a_constructor_s_failure_is_not_its_own_class(cls, session):
    assert not isinstance(error_of(cls.remote().read.remote()), ZeroDivisionError)


@UNBORN
def test_a_constructor_s_failure_reaches_callers_on_loops_in_threads_and_in_actors(cls, session):
    actor = cls.remote()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        errors = [
            pool.submit(lambda: error_of(actor.read.remote())).result(PATIENCE),
            raised_by(lambda: asyncio.run(_call(actor))),
            error_of(Reader.remote().read.remote(actor)),
        ]
    for error in errors:
        assert isinstance(error, ActorDiedError)
        assert "ZeroDivisionError: division by zero" in str(error)


async def _call(actor):
    return await actor.read.remote()


def test_a_constructor_may_raise_what_cannot_be_pickled(session):
    @actorio.remote
    class Broken:
        def __init__(self):
            raise Locked("behind a lock")

        def read(self):
            return 1

    assert "Locked: behind a lock" in str(error_of(Broken.remote().read.remote()))


@pytest.mark.parametrize("make", [KeyboardInterrupt, Halt, asyncio.CancelledError])
def test_a_constructor_may_raise_a_base_exception(make, session):
    @actorio.remote
    class Broken:
        def __init__(self):
            raise make

        async def read(self):
            return 1

    error = error_of(Broken.remote().read.remote())
    assert isinstance(error, ActorDiedError)
    assert make.__name__ in str(error)


# -- deaths --------------------------------------------------------------------------------------------------------


@actorio.remote(max_concurrency=2)
class Mortal:
    def __init__(self):
        self.started = threading.Event()

    def die(self, how):
        how()

    def wait_for_ever(self):
        self.started.set()
        threading.Event().wait()

    def until_started(self):
        self.started.wait()


def _say_and_exit():
    print("last words", file=sys.stderr)
    os._exit(7)


DEATHS = {
    "os._exit": (lambda: os._exit(3), ["its process exited with code 3", "Look for sys.exit() or os._exit()"]),
    "sys.exit": (lambda: sys.exit(4), ["its process exited with code 4"]),
    "sys.exit without a code": (sys.exit, ["its process exited with code 0"]),
    "sys.exit with a text": (lambda: sys.exit("no more"), ["its process exited with code 1"]),
    "SIGKILL": (lambda: os.kill(os.getpid(), signal.SIGKILL), ["was ended by SIGKILL", "out-of-memory killer"]),
    # Raised by the thread itself: a signal that is sent may end the process only after the method has returned.
    "SIGSEGV": (faulthandler._sigsegv, ["was ended by SIGSEGV", "A crash in native code"]),
    "a last word": (_say_and_exit, ["exited with code 7", "Its last line on stderr: last words"]),
}


@pytest.mark.parametrize(("how", "texts"), DEATHS.values(), ids=DEATHS)
def test_a_death_is_told_in_words_to_every_call(how, texts, session):
    actor = Mortal.remote()
    running = actor.wait_for_ever.remote()
    actorio.get(actor.until_started.remote())
    errors = [error_of(actor.die.remote(how)), error_of(running)]
    for error in errors:
        assert type(error) is ActorDiedError
        assert re.search(rf"^Mortal \(pid \d+, actor id {actor._actorio_identity.actor_id}\) is dead", str(error))
        for text in texts:
            assert text in str(error)
        assert not error.actor_init_failed
        assert error.actor_id == actor._actorio_identity.actor_id
    assert "The call Mortal.die() may have run, or part of it." in str(errors[0])
    assert "The call Mortal.wait_for_ever() may have run, or part of it." in str(errors[1])


def test_sys_exit_in_an_async_actor_ends_it(session):
    @actorio.remote
    class Leaver:
        async def leave(self):
            sys.exit(5)

    assert "its process exited with code 5" in str(error_of(Leaver.remote().leave.remote()))


def test_a_call_made_after_the_death_was_not_run(session):
    actor = Mortal.remote()
    error_of(actor.die.remote(lambda: os._exit(3)))
    error = error_of(actor.until_started.remote())
    assert isinstance(error, ActorDiedError)
    assert "its process exited with code 3" in str(error)
    assert "The call Mortal.until_started() was not run." in str(error)


def test_kill_is_the_reason_that_is_given(session):
    actor = Mortal.remote()
    running = actor.wait_for_ever.remote()
    actorio.get(actor.until_started.remote())
    actorio.kill(actor)
    for ref in (running, actor.until_started.remote()):
        error = error_of(ref)
        assert isinstance(error, ActorDiedError)
        assert "it was killed by" in str(error)


def test_a_death_passes_through_an_actor_as_what_it_is(session):
    @actorio.remote
    class Watcher:
        def watch(self, mortal):
            return actorio.get(mortal.die.remote(lambda: os._exit(3)))

    error = error_of(Watcher.remote().watch.remote(Mortal.remote()))
    assert isinstance(error, ActorDiedError)
    assert "its process exited with code 3" in str(error)


def test_an_actor_that_dies_takes_no_other_with_it(session):
    mortal, other = Mortal.remote(), Exchange.remote()
    error_of(mortal.die.remote(lambda: os._exit(3)))
    assert actorio.get(other.take.remote(1)) == "int"


# -- exceptions of __main__ ----------------------------------------------------------------------------------------

MAIN = """
import asyncio
import actorio

class Refusal(Exception):
    def __init__(self, amount):
        super().__init__(amount)
        self.amount = amount

class Special(Refusal):
    pass

@actorio.remote
class Account:
    def withdraw(self, amount):
        raise Special(amount)

@actorio.remote
def task():
    raise Refusal(4)

account = Account.remote()
try:
    actorio.get(account.withdraw.remote(3))
except Refusal as error:
    print(isinstance(error, Special), error.amount, type(error.cause) is Special, error.cause.amount)

async def main():
    try:
        await task.remote()
    except Refusal as error:
        print(type(error.cause) is Refusal, error.amount)

asyncio.run(main())
actorio.get(account.withdraw.remote(5))
"""


def test_exceptions_of_main_are_caught_and_an_uncaught_one_ends_with_the_remote_traceback(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(MAIN)
    ended = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, timeout=60)
    assert ended.stdout.splitlines() == ["True 3 True 3", "True 4"]
    assert ended.returncode == 1
    line = MAIN.splitlines().index("        raise Special(amount)") + 1
    assert f'File "{program}", line {line}, in withdraw' in ended.stderr
    assert ended.stderr.rstrip().endswith("Special: 5")


# -- great amounts -------------------------------------------------------------------------------------------------

HUGE = 20_000_000


@pytest.mark.parametrize("asynchronous", [False, True], ids=["get", "await"])
def test_twenty_megabytes_travel_both_ways(asynchronous, raising):
    data = os.urandom(1000) * (HUGE // 1000)

    async def main():
        return await raising.__ray_call__.remote(lambda _, value: value, data)

    if asynchronous:
        assert asyncio.run(main()) == data
    else:
        assert actorio.get(raising.__ray_call__.remote(lambda _, value: value, data)) == data


def test_huge_values_of_many_calls_travel_at_once(raising):
    refs = [raising.__ray_call__.remote(lambda _, value: value[::-1], bytes([n]) * 4_000_000) for n in range(8)]
    assert [actorio.get(ref) == bytes([n]) * 4_000_000 for n, ref in enumerate(refs)] == [True] * 8


def test_a_huge_constructor_argument_and_a_huge_put_arrive(session):
    data = bytes(HUGE)
    assert actorio.get(Exchange.remote(data).__ray_call__.remote(lambda self: len(self.given))) == HUGE
    assert actorio.get(Exchange.remote().take.remote(actorio.put(data))) == "bytes"


def test_a_huge_exception_is_cut_in_its_text_and_whole_in_its_cause(raising):
    error = error_of(raising.raise_it.remote(lambda: ValueError("x" * 2_000_000)))
    assert len(str(error)) < 300_000
    assert "characters left out" in str(error)
    assert len(error.cause.args[0]) == 2_000_000


@actorio.remote
class Tally:
    def __init__(self):
        self.total = 0

    def add(self, n=1):
        self.total += n
        return self.total


@actorio.remote
class AsyncTally:
    def __init__(self):
        self.total = 0

    async def add(self, n=1):
        self.total += n
        return self.total


TALLIES = pytest.mark.parametrize("cls", [Tally, AsyncTally])


@TALLIES
def test_calls_whose_references_are_dropped_all_run(cls, session):
    tally = cls.remote()
    for _ in range(3000):
        tally.add.remote()
    assert actorio.get(tally.add.remote(0)) == 3000


@TALLIES
def test_calls_made_on_a_loop_whose_references_are_dropped_all_run(cls, session):
    async def main():
        tally = cls.remote()
        for _ in range(3000):
            tally.add.remote()
        return await tally.add.remote(0)

    assert asyncio.run(main()) == 3000


@TALLIES
def test_two_threads_and_two_loops_hammer_one_actor_and_nothing_is_lost(cls, session):
    tally = cls.remote()

    def block():
        one_by_one = [actorio.get(tally.add.remote()) for _ in range(200)]
        return one_by_one + actorio.get([tally.add.remote() for _ in range(300)])

    async def awaiting():
        one_by_one = [await tally.add.remote() for _ in range(200)]
        return one_by_one + await asyncio.gather(*[tally.add.remote() for _ in range(300)])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(job) for job in (block, block, *[lambda: asyncio.run(awaiting())] * 2)]
        answers = [job.result(60) for job in jobs]
    assert sorted(itertools.chain(*answers)) == list(range(1, 2001))
    assert all(answer == sorted(answer) for answer in answers)


@TALLIES
def test_references_made_in_one_context_are_read_in_the_others(cls, session):
    tally = cls.remote()

    async def read(refs):
        return await asyncio.gather(*refs)

    async def make():
        return [tally.add.remote() for _ in range(200)]

    from_thread = [tally.add.remote() for _ in range(200)]
    assert asyncio.run(read(from_thread)) == list(range(1, 201))
    assert actorio.get(asyncio.run(make())) == list(range(201, 401))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(actorio.get, asyncio.run(make())).result(PATIENCE) == list(range(401, 601))
