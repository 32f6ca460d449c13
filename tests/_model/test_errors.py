import asyncio
import concurrent.futures
import copy
import dataclasses
import gc
import pickle
import sys
import traceback
import weakref

import pytest

from actorio import exceptions
from actorio._model.actor_options import ActorOptions
from actorio._model.certificate import DeathCertificate
from actorio._model.errors import (
    ActorAlreadyExistsError,
    ActorClassInheritanceException,
    ActorDiedError,
    ActorHandleNotFoundError,
    ActorUnavailableError,
    GetTimeoutError,
    ObjectLostError,
    OwnerDiedError,
    RayActorError,
    RayError,
    RayTaskError,
    ReferenceCountingAssertionError,
    TaskCancelledError,
)
from actorio._model.task_error import failure_of
from actorio._wire import payload

PLACE = {"callee": "Account.withdraw", "pid": 20537, "actor_id": "ab" * 16}


class Bank(Exception):
    code = 1

    def __init__(self, text, code=1):
        super().__init__(text, code)
        self.code = code

    @property
    def doubled(self):
        return self.code * 2


class Slotted(Exception):
    __slots__ = ("field",)

    def __reduce__(self):
        return slotted, (self.field,)


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    reason: str

    def __reduce__(self):
        return Frozen, (self.reason,)


class Demanding(Exception):
    """Can be pickled; reading it back calls the class with too few arguments."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def refuse_to_be_read():
    raise TypeError("cannot be read here")


class Unreadable:
    def __reduce__(self):
        return refuse_to_be_read, ()


class Stuck(Exception):
    """Can be pickled; what it holds cannot be read back."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")
        self.guest = Unreadable()


class Final(Exception):
    def __init_subclass__(cls):
        raise TypeError("final")


class Once(Exception):
    """Raised by one test only."""


class Selective(Exception):
    def __new__(cls, *args):
        if cls is not Selective:
            raise AssertionError("no constructor of the user's runs at the caller")
        return super().__new__(cls, *args)


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


def receive(error, **changes):
    """What the caller gets when `error` is raised in an actor."""
    failure = failure_of(raised(error), dumps=payload.dumps, explain=payload.explain, **(PLACE | changes))
    return RayTaskError.from_failure(type(failure).decode(failure.encode()), payload.loads)


# --- the tree


@pytest.mark.parametrize("name", exceptions.__all__)
def test_every_error_has_its_public_home_and_is_documented(name):
    error = getattr(exceptions, name)
    assert (error.__module__, error.__qualname__) == ("actorio.exceptions", name)
    assert error.__doc__


@pytest.mark.parametrize("name", sorted({*exceptions.__all__} - {"RayTaskError"}))
def test_every_error_survives_pickling_and_copying(name):
    error = getattr(exceptions, name)("text")
    error.seen = 1
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(again), str(again), again.seen) == (type(error), str(error), 1)


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (GetTimeoutError, TimeoutError),
        (ActorDiedError, RayActorError),
        (ActorUnavailableError, RayActorError),
        (ActorHandleNotFoundError, ValueError),
        (ActorAlreadyExistsError, ValueError),
        (OwnerDiedError, ObjectLostError),
        (ReferenceCountingAssertionError, AssertionError),
        (RayTaskError, RayError),
        (ActorClassInheritanceException, TypeError),
        (payload.UnpicklableError, TypeError),
    ],
)
def test_an_error_is_caught_by_the_class_that_rays_is_caught_by(error, base):
    assert issubclass(error, base)


def test_an_error_without_a_text_has_one():
    assert str(GetTimeoutError()) == "The value was not there in time."
    assert str(TaskCancelledError()) == "The call was cancelled."
    assert str(TaskCancelledError("ab")) == "The call ab was cancelled."
    assert str(OwnerDiedError("ab")).startswith("The value of ObjectRef(ab) is lost: the process that")


# --- the task error


def test_the_text_is_the_heading_and_the_remote_traceback_without_its_first_line():
    lines = str(receive(Exception("Can not withdraw negative amount"))).splitlines()
    assert lines[0] == f"actorio::Account.withdraw() (pid=20537, actor_id={'ab' * 16})"
    assert lines[1].startswith(f'  File "{__file__}", line ')
    assert lines[1].endswith("in raised")
    assert lines[-1] == "Exception: Can not withdraw negative amount"


def test_it_is_caught_by_the_users_own_class_and_is_a_task_error():
    error = receive(Bank("empty", 7))
    assert isinstance(error, Bank)
    assert isinstance(error, RayTaskError)
    assert type(error).__name__ == "RayTaskError(Bank)"
    assert type(error).__module__ == "actorio.exceptions"
    assert type(error.cause) is Bank
    assert error.args == (error.cause,)


def test_an_exception_of_no_class_of_its_own_is_a_plain_task_error_with_its_cause():
    error = receive(Exception("no"))
    assert type(error) is RayTaskError
    assert error.cause.args == ("no",)
    assert error.args == (error.cause,)


def test_attributes_are_the_causes():
    error = receive(Bank("empty", 7))
    assert (error.code, error.doubled) == (7, 14)
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        _ = error.colour


def test_where_it_happened_can_be_asked_unless_the_cause_has_that_name():
    error = receive(ValueError("x"))
    assert (error.function_name, error.pid, error.actor_id) == ("Account.withdraw", 20537, "ab" * 16)
    assert error.traceback_str.endswith("ValueError: x")
    with_pid = ValueError("x")
    with_pid.pid = 3
    assert receive(with_pid).pid == 3


def slotted(value):
    error = Slotted()
    error.field = value
    return error


@pytest.mark.parametrize(
    ("cause", "name", "value"),
    [
        (OSError(2, "no such file", "f"), "errno", 2),
        (FileNotFoundError(2, "no such file", "f"), "filename", "f"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "start", 0),
        (ImportError("m", name="numpy"), "name", "numpy"),
        (SystemExit(3), "code", 3),
        (StopIteration(5), "value", 5),
        (StopAsyncIteration(), "args", None),
        (KeyError("k"), "args", None),
        (slotted(8), "field", 8),
        (Frozen("why"), "reason", "why"),
    ],
)
def test_attributes_that_live_in_c_can_be_read(cause, name, value):
    error = receive(cause)
    assert type(error.cause) is type(cause)
    assert getattr(error, name) == ((error.cause,) if name == "args" else value)


def test_a_group_can_be_split_and_caught_by_parts():
    error = receive(ExceptionGroup("both", [ValueError(1), KeyError(2)]))
    assert [type(each) for each in error.exceptions] == [ValueError, KeyError]
    matched, rest = error.split(ValueError)
    assert (len(matched.exceptions), len(rest.exceptions)) == (1, 1)
    caught = []
    try:
        try:
            raise error
        except* ValueError as group:
            caught.append(group)
    except ExceptionGroup as left:
        caught.append(left)
    assert [type(each.exceptions[0]) for each in caught] == [ValueError, KeyError]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), asyncio.CancelledError(), StopIteration(1)])
def test_what_a_coroutine_or_a_future_cannot_hold_is_a_plain_task_error_with_its_cause(error):
    received = receive(error)
    assert type(received) is RayTaskError
    assert type(received.cause) is type(error)


@pytest.mark.parametrize("error", [StopIteration(1), ValueError(1), StopAsyncIteration()])
def test_a_task_error_goes_through_futures_and_coroutines_unchanged(error):
    received = receive(error)
    future = concurrent.futures.Future()
    future.set_exception(received)
    assert future.exception() is received

    async def fail():
        waiter = asyncio.get_running_loop().create_future()
        waiter.set_exception(received)
        await waiter

    with pytest.raises(RayTaskError) as caught:
        asyncio.run(fail())
    assert caught.value is received


def test_a_class_that_cannot_be_derived_from_leaves_a_plain_task_error_with_its_cause():
    error = receive(Final("f"))
    assert type(error) is RayTaskError
    assert type(error.cause) is Final


def test_no_constructor_of_the_users_runs_to_make_the_error():
    assert isinstance(receive(Selective("s")), Selective)


def test_the_class_of_both_is_made_once_for_a_cause_and_forgotten_with_its_instances():
    first, second = receive(Once(1)), receive(Once(2))
    assert type(first) is type(second)
    kind = weakref.ref(type(first))
    del first, second
    gc.collect()
    assert kind() is None


@pytest.mark.parametrize(
    "cause",
    [Bank("e", 7), OSError(2, "no"), ExceptionGroup("g", [ValueError(1)]), Exception("x"), SystemExit(3), Frozen("f")],
)
@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_a_pickled_or_copied_task_error_keeps_its_class_cause_text_and_notes(cause, again):
    error = receive(cause)
    error.add_note("seen by the caller")
    other = again(error)
    assert type(other) is type(error)
    assert repr(other.cause) == repr(error.cause)
    assert str(other) == str(error)
    assert other.__notes__ == ["seen by the caller"]


def test_the_error_of_a_class_that_is_pickled_by_value_can_be_pickled():
    class Local(Exception): ...

    error = receive(Local("l"))
    assert isinstance(error, Local)
    assert isinstance(pickle.loads(pickle.dumps(error)), Local)


def test_notes_of_the_cause_are_part_of_the_remote_text_and_not_shown_twice():
    cause = ValueError("v")
    cause.add_note("look here")
    error = receive(cause)
    assert "".join(traceback.format_exception(error)).count("look here") == 1


def test_the_remote_text_shows_causes_and_contexts():
    def fail():
        try:
            raise KeyError("first")
        except KeyError as first:
            raise ValueError("second") from first

    try:
        fail()
    except ValueError as error:
        text = str(receive(error))
    assert "KeyError: 'first'" in text
    assert "direct cause" in text
    assert text.endswith("ValueError: second")


def test_a_failure_of_a_nested_call_is_not_wrapped_twice_and_its_text_shows_the_chain():
    inner = receive(Bank("empty", 7), callee="Vault.open", pid=1)
    outer = receive(inner, callee="Account.withdraw", pid=2)
    assert type(outer) is type(inner)
    assert type(outer.cause) is Bank
    text = str(outer)
    assert text.index("Account.withdraw() (pid=2") < text.index("Vault.open() (pid=1") < text.index("Bank: ")


def test_a_nested_failure_without_its_cause_still_says_why_it_is_missing():
    inner = receive(Stuck(1, 2), callee="Vault.open")
    outer = receive(inner)
    assert type(outer) is RayTaskError
    assert outer.cause is None
    assert "Stuck: 1 and 2" in str(outer)
    assert "could not be unpickled here: TypeError" in str(outer)


def test_a_cause_that_cannot_be_unpickled_leaves_type_message_traceback_and_the_reason():
    error = receive(Stuck(1, 2))
    assert type(error) is RayTaskError
    assert error.cause is None
    assert "in raised" in str(error)
    assert "Stuck: 1 and 2" in str(error)
    assert "(Stuck) is not here: it could not be unpickled here: TypeError" in str(error)


def test_a_cause_whose_class_wants_other_arguments_comes_back_by_what_it_holds():
    cause = Demanding(1, 2)
    cause.extra = "kept"
    error = receive(cause)
    assert isinstance(error, Demanding)
    assert error.cause.args == ("1 and 2",)
    assert error.extra == "kept"


def test_a_cause_that_cannot_be_pickled_leaves_type_message_traceback_and_the_path_to_the_culprit():
    cause = ValueError("stuck")
    cause.frame = sys._getframe()
    error = receive(cause)
    assert type(error) is RayTaskError
    assert error.cause is None
    assert "ValueError: stuck" in str(error)
    assert "Account.withdraw(): exception.frame (frame) cannot be pickled" in str(error)


def test_a_payload_that_is_no_exception_leaves_a_plain_task_error():
    failure = failure_of(ValueError("v"), dumps=lambda _: payload.dumps(17), **PLACE)
    error = RayTaskError.from_failure(failure, payload.loads)
    assert type(error) is RayTaskError
    assert error.cause is None


def test_a_cancelled_call_is_a_task_cancelled_error_that_names_the_call():
    error = receive(asyncio.CancelledError(), kind="cancelled")
    assert type(error) is TaskCancelledError
    assert "Account.withdraw() (pid=20537" in str(error)


# --- making a failure


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


def test_describing_an_exception_never_raises_whatever_its_own_methods_do():
    failure = failure_of(raised(Unspeakable()), dumps=payload.dumps, instance=Unspeakable(), **PLACE)
    assert failure.type_name == "Unspeakable"
    assert failure.repr_text == "<Unspeakable whose repr raised RuntimeError>"
    assert "Unspeakable" in failure.traceback_text


def test_texts_are_bounded():
    failure = failure_of(ValueError("x" * 10**6), dumps=payload.dumps, instance="y" * 10**6, **PLACE)
    assert len(failure.message) < 101_000
    assert len(failure.traceback_text) < 101_000
    assert len(failure.repr_text) == 200


def test_frames_of_the_package_are_left_out():
    with pytest.raises(ValueError) as caught:
        ActorOptions.of({"max_concurrency": 0})
    text = failure_of(caught.value, dumps=payload.dumps, **PLACE).traceback_text
    assert "options.py" not in text
    assert "in test_frames_of_the_package_are_left_out" in text


# --- the death of an actor


def died(**facts):
    certificate = DeathCertificate(actor_id="cd" * 16, class_name="Account", pid=7, **facts)
    return ActorDiedError.from_certificate(certificate, "Account.deposit", may_have_run=True)


def test_a_death_names_the_actor_the_reason_the_call_and_what_to_do():
    text = str(died(cause="signal", code=11, stderr_tail=["Fatal Python error"]))
    for words in (
        f"Account (pid 7, actor id {'cd' * 16}) is dead: its process was ended by SIGSEGV",
        "Fatal Python error",
        "called from the Python line above",
        "The call Account.deposit() may have run",
    ):
        assert words in text


def test_a_call_that_was_certainly_not_started_is_said_not_to_have_run():
    certificate = DeathCertificate(actor_id="cd", class_name="Account")
    error = ActorDiedError.from_certificate(certificate, "Account.deposit", may_have_run=False)
    assert "Account.deposit() was not run" in str(error)


def test_a_failed_constructor_is_told_apart():
    error = died(cause="constructor", detail='  File "a.py", line 1\nValueError: too low')
    assert error.actor_init_failed
    assert "ValueError: too low" in str(error)
    assert not died(cause="exit").actor_init_failed


def unavailable(*, may_have_run=True, **facts):
    facts |= {"actor_id": "cd" * 16, "class_name": "Account", "pid": 7, "will_restart": True}
    return ActorUnavailableError.from_certificate(DeathCertificate(**facts), "Account.deposit", may_have_run)


def test_a_named_actor_is_called_by_its_name():
    assert f"Account 'savings' (pid 7, actor id {'cd' * 16}) is dead" in str(died(cause="exit", name="savings"))


def test_the_death_of_an_actor_that_was_restarted_says_how_often():
    text = str(died(cause="signal", code=9, restarts=2, max_restarts=2))
    assert "is dead" in text
    assert "had been restarted 2 times" in text
    assert "restarted" not in str(died(cause="signal", code=9, max_restarts=2))


def test_an_actor_that_comes_back_is_unavailable_and_the_text_says_how_often_it_will():
    text = str(unavailable(cause="signal", code=11, restarts=1, max_restarts=3, restarts_left=2))
    for words in (
        f"Account (pid 7, actor id {'cd' * 16}) has died and is being restarted (restart 1, 2 left)",
        "its process was ended by SIGSEGV",
        "The call Account.deposit() may have run",
        "max_task_retries",
    ):
        assert words in text
    assert "restart 5, any number left" in str(unavailable(cause="exit", code=1, restarts=5, restarts_left=None))


def test_a_call_that_did_not_reach_an_unavailable_actor_is_said_not_to_have_run():
    assert "Account.deposit() was not run" in str(unavailable(may_have_run=False))


@pytest.mark.parametrize("make", [died, unavailable])
def test_a_death_keeps_its_certificate_when_pickled(make):
    error = make(cause="exit", code=3, name="savings", restarts=1, max_restarts=2)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.certificate, again.actor_id) == (str(error), error.certificate, "cd" * 16)
