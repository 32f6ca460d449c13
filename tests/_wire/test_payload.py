import contextlib
import functools
import io
import pickle
import subprocess
import sys
import threading
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorio._store import values
from actorio._wire import payload
from actorio._wire.payload import culprit, dumps, explain, loads

ATOMS = st.none() | st.booleans() | st.integers() | st.binary(max_size=3) | st.sampled_from(["", "a", "__main__"])
VALUES = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner), max_leaves=8
)


class Client:
    def __init__(self):
        self.name = "c"
        self._lock = threading.Lock()


class Service:
    def __init__(self):
        self.client = Client()


class Slots:
    __slots__ = ("lock", "name")

    def __init__(self):
        self.name = "s"
        self.lock = threading.Lock()


class WithState:
    def __getstate__(self):
        return {"kept": threading.Lock()}


class WithOddState:
    def __getstate__(self):
        return [threading.Lock()]


class Reduces:
    def __reduce__(self):
        return Reduces, (threading.Lock(),)


class Refuses:
    def __reduce__(self):
        raise TypeError("not me")


@given(VALUES)
def test_a_plain_value_comes_back_equal(value):
    assert loads(dumps(value)) == value
    assert culprit(value, "value") is None


def test_none_has_its_payload_ready():
    assert loads(payload.NONE) is None


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_a_payload_is_read_from_any_buffer(make):
    assert loads(make(dumps([1, 2]))) == [1, 2]


def test_what_belongs_to_an_importable_module_is_sent_by_name():
    assert dumps(Client) == pickle.dumps(Client, 5)


def test_functions_without_a_name_and_local_classes_are_sent_by_value():
    class Local:
        value = 3

    assert loads(dumps(lambda x: x + 1))(1) == 2
    assert loads(dumps(Local())).value == 3


PROGRAM = """
import sys, subprocess
from actorio._wire.payload import dumps
class Point:
    def __init__(self, x): self.x = x
    def double(self): return helper(self.x)
def helper(x): return 2 * x
reader = "import sys; from actorio._wire.payload import loads; print(loads(sys.stdin.buffer.read())[0].double())"
print(subprocess.run([sys.executable, "-c", reader], input=dumps([Point(4)]), capture_output=True, check=True).stdout)
"""


def test_an_instance_of_a_class_of_main_can_be_read_by_another_process():
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True)
    assert run.stdout == "b'8\\n'\n"


def test_plain_data_is_sent_without_loading_cloudpickle():
    program = "import sys; from actorio._wire.payload import dumps; dumps([1]); print('cloudpickle' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert run.stdout == "False\n"


def closure():
    lock = threading.Lock()
    return lambda: lock


def nested_global():
    def outer():
        def inner():
            return GLOBAL_LOCK

        return inner

    return outer


GLOBAL_LOCK = threading.Lock()
DYNAMIC = type("Dynamic", (), {"lock": threading.Lock(), "__module__": "__main__"})


def by_value(function):
    """Make pickling treat a function of this module as it treats one of `__main__`."""
    return types.FunctionType(
        function.__code__, {**globals(), "__name__": "__main__"}, None, None, function.__closure__
    )


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ((Service(),), "args[0].client._lock (_thread.lock)"),
        ({"a": [1, {2: Client()}]}, "args['a'][1][2]._lock (_thread.lock)"),
        ([Slots()], "args[0].lock (_thread.lock)"),
        ([WithState()], "args[0].kept (_thread.lock)"),
        ([WithOddState()], "args[0].__getstate__()[0] (_thread.lock)"),
        ([Reduces()], "args[0].__reduce__()[1][0] (_thread.lock)"),
        ([Refuses()], f"args[0] ({__name__}.Refuses)"),
        ([closure()], "args[0].__closure__['lock'] (_thread.lock)"),
        ([lambda x=GLOBAL_LOCK: x], "args[0].__defaults__[0] (_thread.lock)"),
        ([by_value(nested_global())], "args[0].__globals__['GLOBAL_LOCK'] (_thread.lock)"),
        ([functools.partial(print, file=threading.Lock())], "args[0].keywords['file'] (_thread.lock)"),
        ([Client().__init__], "args[0].__self__._lock (_thread.lock)"),
        ([type("Dyn", (), {"lock": threading.Lock(), "__module__": "__main__"})], "args[0].lock (_thread.lock)"),
        (
            [type("Dyn", (), {"lock": threading.Lock(), "__module__": "__main__"})()],
            "args[0].__class__.lock (_thread.lock)",
        ),
        (ValueError("x", threading.Lock()), "args.args[1] (_thread.lock)"),
        ((i for i in ()), "args (generator)"),
    ],
)
def test_the_culprit_is_found_wherever_it_hides(value, path):
    assert culprit(value, "args") == path


def test_a_member_of_a_set_is_found():
    member = Client()
    assert culprit({member}, "args").endswith("}._lock (_thread.lock)")


def test_a_cycle_does_not_trap_the_walk():
    value = [1]
    value.append(value)
    value.append({"again": value, "lock": threading.Lock()})
    assert culprit(value, "args") == "args[2]['lock'] (_thread.lock)"


def test_the_walk_is_bounded_and_names_the_nearest_part_it_found():
    value = [[i] for i in range(6_000)]
    value.append(threading.Lock())
    assert culprit({"a": value}, "args") == "args['a'] (list)"


def test_a_value_too_deep_to_be_pickled_is_explained_and_not_a_crash():
    value = []
    for _ in range(100_000):
        value = [value]
    with contextlib.suppress(RecursionError):
        dumps(value)
        raise AssertionError("it is too deep")
    assert "RecursionError" in explain(value, "args", "f")
    while value:
        value = value.pop()


@pytest.mark.parametrize(
    ("part", "remedy"),
    [
        (threading.Lock(), "create it in the actor's __init__"),
        ((i for i in ()), "Send a list of its items"),
        (io.TextIOWrapper(io.BytesIO()), "Send the file's path"),
        (Refuses(), "leave it out in the owner's __getstate__"),
    ],
)
def test_the_explanation_names_the_call_the_path_the_type_the_reason_and_a_remedy(part, remedy):
    text = explain(({"x": part},), "args", "Account.deposit")
    assert text.startswith("Account.deposit(): args[0]['x'] (")
    assert ") cannot be pickled: " in text
    assert "Error: " in text
    assert remedy in text


def test_a_value_that_can_be_pickled_after_all_is_said_to_be():
    assert explain(1, "args", "f") == "args of f() can be pickled here"


# -- plain values --------------------------------------------------------------------------------------------------


class Text(str):
    """Looks like a plain value, and belongs to a module."""

    __slots__ = ()


CYCLE = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"bytes", True),
        ("__main__", True),
        (((b"bytes", 1), {"key": [None, 2.0, True]}), True),
        ({"a", 1}, True),
        (Text("text"), False),
        ([1, Text("text")], False),
        ({Text("key"): 1}, False),
        ({"key": Text("value")}, False),
        (len, False),
        (object(), False),
        # Not worth a longer look.
        ([0] * 1000, False),
        ([[[[[1]]]]], False),
        (CYCLE, False),
    ],
)
def test_a_value_is_plain_when_it_and_its_few_parts_belong_to_no_module(value, expected):
    assert payload.is_plain(value) is expected


@pytest.mark.parametrize("size", [10, 5_000, 100_000])
def test_what_belongs_to_main_is_found_however_long_the_rest_is(size):
    function = types.FunctionType((lambda: 42).__code__, {}, "answer")
    function.__module__ = "__main__"
    sys.modules["__main__"].answer = function
    try:
        for value in ([b"x" * size, function], {"text": "x" * size, "function": function}):
            sent = values.dumps(value)
            assert b"cloudpickle" in sent
    finally:
        del sys.modules["__main__"].answer
