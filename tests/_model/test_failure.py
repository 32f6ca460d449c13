import pickle
import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorio._model.certificate import DeathCause, DeathCertificate, signal_name
from actorio._model.failure import TaskFailure

TEXT = st.text(st.sampled_from("ab\n\x00é€\udc80😀"), max_size=8)


def failure(**changes):
    values = {
        "callee": "Account.withdraw",
        "pid": 20537,
        "actor_id": "ab" * 16,
        "repr_text": "<Account>",
        "traceback_text": '  File "account.py", line 19, in withdraw\nException: Can not withdraw negative amount',
        "type_name": "Exception",
        "message": "Can not withdraw negative amount",
    }
    return TaskFailure(**(values | changes))


@given(TEXT, TEXT, st.none() | st.binary(max_size=4), st.sampled_from(["error", "cancelled"]))
def test_a_failure_travels_with_any_text_in_it(message, trace, cause, kind):
    sent = failure(message=message, traceback_text=trace, cause=cause, kind=kind)
    received = TaskFailure.decode(sent.encode())
    assert (received.cause, received.kind) == (cause, kind)
    assert received.message == message.replace("\udc80", "\\udc80")
    assert received.traceback_text == trace.replace("\udc80", "\\udc80")


def test_a_failure_can_be_pickled():
    assert pickle.loads(pickle.dumps(failure(cause=b"x"))) == failure(cause=b"x")


@pytest.mark.parametrize("data", [b"", b"\xc0", b"\x91\xa1a", msgspec.msgpack.encode([1, 2, 3])])
def test_bytes_that_are_no_failure_are_refused(data):
    with pytest.raises(msgspec.DecodeError):
        TaskFailure.decode(data)


def test_the_heading_names_the_call_the_process_the_actor_and_its_repr():
    expected = f"actorio::Account.withdraw() (pid=20537, actor_id={'ab' * 16}, repr=<Account>)"
    assert failure().heading() == expected


def test_the_heading_of_a_task_names_no_actor():
    assert failure(callee="f", actor_id="", repr_text="").heading() == "actorio::f() (pid=20537)"


def test_the_story_says_why_the_exception_is_missing():
    text = failure(note="it could not be pickled").describe()
    assert text.endswith("The exception itself (Exception) is not here: it could not be pickled")


def certificate(**changes):
    values = {"actor_id": "cd" * 16, "class_name": "Account", "pid": 7}
    return DeathCertificate(**(values | changes))


@given(TEXT, st.lists(TEXT, max_size=3), TEXT, st.integers(0, 255))
def test_a_certificate_travels_with_any_text_in_it(detail, lines, name, code):
    sent = certificate(cause="exit", code=code, detail=detail, stderr_tail=lines, name=name)
    received = DeathCertificate.decode(sent.encode())
    assert received.code == code
    assert received.detail == detail.replace("\udc80", "\\udc80")
    assert received.stderr_tail == [line.replace("\udc80", "\\udc80") for line in lines]
    assert received.name == name.replace("\udc80", "\\udc80")


COUNTS = st.integers(0, (1 << 63) - 1)


@given(COUNTS, COUNTS | st.just(-1), COUNTS | st.none(), st.booleans(), st.booleans())
def test_a_certificate_says_what_was_restarted_and_whether_the_actor_comes_back(used, most, left, comes_back, is_short):
    sent = certificate(
        restarts=used, max_restarts=most, restarts_left=left, will_restart=comes_back, is_memory_short=is_short
    )
    assert DeathCertificate.decode(sent.encode()) == sent


def test_a_certificate_without_what_was_added_later_can_be_read():
    short = msgspec.msgpack.encode(["ab", "Account", 7, "exit", 3, "", ["last"]])
    read = DeathCertificate.decode(short)
    assert (read.name, read.restarts, read.max_restarts, read.restarts_left) == ("", 0, 0, 0)
    assert not read.will_restart
    assert not read.is_memory_short


def test_a_cause_of_death_that_does_not_exist_is_refused():
    with pytest.raises(msgspec.DecodeError):
        DeathCertificate.decode(msgspec.msgpack.encode(["ab", "Account", 7, "boredom"]))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"cause": "exit", "code": 3}, ["exited with code 3", "os._exit"]),
        ({"cause": "signal", "code": 9}, ["SIGKILL", "out-of-memory"]),
        ({"cause": "signal", "code": 11}, ["SIGSEGV", "native code", "the Python line above"]),
        ({"cause": "signal", "code": 12}, ["SIGUSR2", "who sends that signal"]),
        ({"cause": "signal", "code": 250}, ["signal 250"]),
        ({"cause": "constructor", "detail": "ValueError: too low"}, ["constructor raised", "ValueError: too low"]),
        ({"cause": "killed"}, ["killed by kill()"]),
        ({"cause": "killed", "detail": "its owner's end"}, ["killed by its owner's end"]),
        ({"cause": "exit_actor"}, ["left by exit_actor()", "Create the actor again"]),
        ({"cause": "terminated"}, ["__ray_terminate__()", "Create the actor again"]),
        ({"cause": "stopped", "detail": "the command line (pid 9)"}, ["asked to end", "the command line (pid 9)"]),
        ({"cause": "out_of_scope"}, ["its last handle is gone", "Keep a handle", 'lifetime="detached"']),
        ({"cause": "owner_died"}, ["the process that made it has ended", 'lifetime="detached"']),
        ({"cause": "supervised"}, ["its supervisor ended it", "failed first"]),
        ({"cause": "shutdown"}, ["shut down", "init()"]),
        ({"cause": "node_lost"}, ["node process", "init()"]),
        ({"cause": "zygote_lost"}, ["starts actors", "max_restarts"]),
        ({"cause": "unknown", "detail": "connection closed"}, ["nobody saw how", "connection closed"]),
    ],
)
def test_each_cause_of_death_is_told_in_words_with_what_to_do(facts, words):
    text = certificate(**facts).describe()
    for word in words:
        assert word in text


@pytest.mark.parametrize("cause", typing.get_args(DeathCause))
def test_every_cause_of_death_has_a_reason_and_an_advice(cause):
    found = certificate(cause=cause)
    assert found.reason()
    assert found.advice().endswith(".")
    assert found.describe() == f"{found.reason()}\n{found.advice()}"


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        ({}, "is dead"),
        ({"restarts": 2, "max_restarts": 2}, "is dead"),
        ({"will_restart": True, "restarts": 1, "restarts_left": 2}, "is being restarted (restart 1, 2 left)"),
        ({"will_restart": True, "restarts": 3, "restarts_left": 0}, "is being restarted (restart 3, 0 left)"),
        (
            {"will_restart": True, "restarts": 9, "restarts_left": None},
            "is being restarted (restart 9, any number left)",
        ),
    ],
)
def test_what_becomes_of_the_actor_is_said_with_the_restarts_that_are_left(facts, verdict):
    assert certificate(**facts).verdict().endswith(verdict)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"restarts": 1, "max_restarts": 1}, "restarted 1 time."),
        ({"restarts": 7, "max_restarts": -1}, "restarted 7 times."),
    ],
)
def test_restarts_that_were_used_are_told_of_the_dead_alone(facts, words):
    assert words in certificate(**facts).describe()
    assert "restarted" not in certificate(**facts, will_restart=True).describe()


@pytest.mark.parametrize(
    ("cause", "code", "is_unexpected"),
    [
        ("exit", 0, False),
        ("exit", 1, True),
        ("signal", 9, True),
        ("constructor", 0, True),
        ("unknown", 0, True),
        ("exit_actor", 0, False),
        ("terminated", 0, False),
        ("stopped", 0, False),
        ("killed", 0, False),
        ("out_of_scope", 0, False),
        ("owner_died", 0, False),
        ("shutdown", 0, False),
    ],
)
def test_an_end_that_nobody_asked_for_is_unexpected(cause, code, is_unexpected):
    assert certificate(cause=cause, code=code).is_unexpected() == is_unexpected


def test_the_last_line_on_stderr_that_is_not_blank_is_shown_where_it_explains():
    tail = ["first", "terminate called after throwing", "  "]
    assert "stderr: terminate called" in certificate(cause="signal", code=6, stderr_tail=tail).describe()
    assert "stderr: " not in certificate(cause="killed", stderr_tail=tail).describe()


def test_the_dump_of_a_crash_is_shown_where_it_explains():
    tail = ["first", "Fatal Python error: Segmentation fault", "", *(f"line {n}" for n in range(20)), "last"]
    text = certificate(cause="signal", code=11, stderr_tail=tail).describe()
    assert "Its last words on stderr:\n  Fatal Python error: Segmentation fault\n  line 0\n" in text
    assert "first" not in text
    assert "last\n" not in text
    assert "Fatal" not in certificate(cause="killed", stderr_tail=tail).describe()


def test_short_memory_is_what_to_do_something_about():
    text = certificate(cause="signal", code=9, is_memory_short=True).describe()
    assert "out-of-memory killer has just run" in text
    assert "dmesg" not in text


def test_the_actor_is_named_by_class_process_and_id():
    assert certificate().who() == f"Account (pid 7, actor id {'cd' * 16})"
    assert certificate(pid=0).who() == f"Account (actor id {'cd' * 16})"
    assert certificate(name="savings").who() == f"Account 'savings' (pid 7, actor id {'cd' * 16})"


def test_signals_are_told_by_name():
    assert signal_name(15) == "SIGTERM"
