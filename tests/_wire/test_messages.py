import functools
import pickle
import subprocess
import sys
import typing

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorio._wire import messages
from actorio._wire.frames import ProtocolError, frame
from actorio._wire.messages import (
    Call,
    Control,
    Hello,
    Inbound,
    Reply,
    Result,
    Zygote,
    control_reader,
    encode,
    inbound_reader,
    reply_reader,
    zygote_reader,
)
from actorio._wire.version import VERSION

# Every message with the reader of whoever receives it.
READERS = {
    kind: reader
    for union, reader in (
        (Inbound, inbound_reader),
        (Reply, reply_reader),
        (Control, control_reader),
        (Zygote, zygote_reader),
    )
    for kind in typing.get_args(union)
}
NAMES = {kind.__name__: kind for kind in READERS}
EVERY_MESSAGE = pytest.mark.parametrize("kind", NAMES.values(), ids=NAMES)
# Fields are few and independent, and there are many messages.
FEW = settings(max_examples=settings().max_examples // 4)
EVERY_READER = pytest.mark.parametrize("make_reader", sorted(set(READERS.values()), key=lambda make: make.__name__))

# What msgpack can say: integers of 64 bits, text that UTF-8 can. Not a number is equal to nothing, itself included.
NUMBERS = st.integers(-(1 << 63), (1 << 64) - 1)
BY_TYPE = {
    int: NUMBERS,
    str: st.text(max_size=20),
    bool: st.booleans(),
    float: st.floats(allow_nan=False),
    type(None): st.none(),
    bytes: st.binary(max_size=20),
}

EXTRA = st.recursive(
    st.one_of(*BY_TYPE.values()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def values_of(annotation):
    """Return a strategy for the values of a field's type."""
    if annotation in BY_TYPE:
        return BY_TYPE[annotation]
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple and parts[-1] is ...:
        return st.lists(values_of(parts[0]), max_size=4).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values_of, parts))
    if origin is list:
        return st.lists(values_of(parts[0]), max_size=4)
    if origin is dict:
        return st.dictionaries(values_of(parts[0]), values_of(parts[1]), max_size=4)
    return st.one_of(*map(values_of, parts))


@functools.cache
def messages_of(kind):
    return st.builds(kind, **{field.name: values_of(field.type) for field in msgspec.structs.fields(kind)})


def array_of(message):
    """Return what is on the wire: the tag, then the fields."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(message))


def received(kind, array, payload=b""):
    return READERS[kind]().feed(frame(msgspec.msgpack.encode(array), payload))


def has_default(field):
    return field.default is not msgspec.NODEFAULT or field.default_factory is not msgspec.NODEFAULT


def test_every_message_of_the_module_belongs_to_a_reader():
    assert set(messages.Message.__subclasses__()) == set(READERS)


@EVERY_MESSAGE
@FEW
@given(data=st.data())
def test_a_message_comes_back_equal_with_its_payload(kind, data):
    message, payload = data.draw(messages_of(kind)), data.draw(st.binary(max_size=50))
    ((found, found_payload),) = READERS[kind]().feed(encode(message, payload))
    assert (found, found_payload) == (message, payload)
    assert type(found) is kind


@EVERY_MESSAGE
@FEW
@given(data=st.data())
def test_fields_that_a_newer_sender_has_added_are_ignored(kind, data):
    message = data.draw(messages_of(kind))
    extra = data.draw(st.lists(EXTRA, min_size=1, max_size=3))
    assert received(kind, [*array_of(message), *extra]) == [(message, b"")]


@EVERY_MESSAGE
@FEW
@given(data=st.data())
def test_fields_that_an_older_sender_does_not_know_have_their_defaults(kind, data):
    message = data.draw(messages_of(kind))
    fields = msgspec.structs.fields(kind)
    required = len([field for field in fields if not has_default(field)])
    kept = data.draw(st.integers(required, len(fields)))
    known = {field.name: getattr(message, field.name) for field in fields[:kept]}
    assert received(kind, array_of(message)[: 1 + kept]) == [(kind(**known), b"")]


@EVERY_MESSAGE
def test_fields_with_defaults_stand_at_the_end(kind):
    defaults = [has_default(field) for field in msgspec.structs.fields(kind)]
    assert defaults == sorted(defaults)


@EVERY_MESSAGE
@FEW
@given(data=st.data())
def test_a_message_without_a_required_field_is_refused(kind, data):
    required = len([field for field in msgspec.structs.fields(kind) if not has_default(field)])
    short = array_of(data.draw(messages_of(kind)))[: data.draw(st.integers(0, required))]
    if len(short) == 1 + required:
        return
    with pytest.raises(ProtocolError, match="not a message"):
        received(kind, short)


@EVERY_READER
@FEW
@given(tag=st.integers(-5, 300) | st.text(max_size=3) | st.none())
def test_an_unknown_tag_is_refused(make_reader, tag):
    known = {kind.__struct_config__.tag for kind, reader in READERS.items() if reader is make_reader}
    if tag in known:
        return
    with pytest.raises(ProtocolError, match="not a message"):
        make_reader().feed(frame(msgspec.msgpack.encode([tag, 1, 2, 3])))


def test_tags_are_unique_within_what_one_reader_takes():
    taken = [(reader, kind.__struct_config__.tag) for kind, reader in READERS.items()]
    assert len(set(taken)) == len(taken)


class Bomb:
    went_off = False

    def __reduce__(self):
        return setattr, (Bomb, "went_off", True)


@EVERY_READER
def test_a_payload_is_handed_on_unread(make_reader):
    kind = next(kind for kind, reader in READERS.items() if reader is make_reader)
    bomb = pickle.dumps(Bomb())
    # A minimal message of this kind, by the types of its fields.
    array = [kind.__struct_config__.tag]
    array += [msgspec.convert(0, field.type, strict=False) if field.type is int else "" for field in _required(kind)]
    ((_, payload),) = make_reader().feed(frame(msgspec.msgpack.encode(array), bomb))
    assert payload == bomb
    with pytest.raises(ProtocolError):
        make_reader().feed(frame(bomb))
    assert not Bomb.went_off


def _required(kind):
    return [field for field in msgspec.structs.fields(kind) if not has_default(field)]


# Audit hooks stay for ever, so this one has an interpreter of its own.
FUZZER = """
import random, sys
from actorio._wire.frames import PREFIX, ProtocolError
from actorio._wire.messages import control_reader, inbound_reader, reply_reader, zygote_reader
from actorio._wire.messages import Call, Create, Record, encode_header

draw = random.Random(0)
good = [
    encode_header(Call(1, "m", (1, 2), (("a", 3),))),
    encode_header(Record("a", 1, "b", 2, "c", 1.5, "d", 3, {"e": None})),
    encode_header(Create("a", "b", 1, "c", "d", True, True, -1, b"e", ("f", "g"))),
]
seen = []

def headers():
    yield from (draw.randbytes(draw.randrange(40)) for _ in range(2000))
    for header in good * 1000:
        place = draw.randrange(len(header))
        yield header[:place] + draw.randbytes(1) + header[place + 1:]

def feed(make_reader, header):
    try:
        make_reader().feed(PREFIX.pack(len(header), 3) + header + b"abc")
    except ProtocolError:
        pass

def watch(event, args):
    seen.append(event)

cases = list(headers())
for make_reader in (control_reader, inbound_reader, reply_reader, zygote_reader):
    feed(make_reader, b"")
sys.addaudithook(watch)
for header in cases:
    for make_reader in (control_reader, inbound_reader, reply_reader, zygote_reader):
        feed(make_reader, header)
print(sorted(set(seen)))
"""


def test_reading_random_headers_imports_compiles_opens_and_runs_nothing():
    ended = subprocess.run([sys.executable, "-c", FUZZER], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "[]"


def test_a_message_is_an_array_so_that_fields_cost_no_names():
    assert array_of(Call(1, "add")) == [1, 1, "add", [], [], 1, 0, 0, None]
    assert array_of(Call(1, "add", (3,), (("ab", 5),), 2, 1, 9)) == [1, 1, "add", [3], [["ab", 5]], 2, 1, 9, None]
    assert array_of(Result(7)) == [1, 7, [], 0]
    assert array_of(Result(7, (("ab", 5),), 2)) == [1, 7, [["ab", 5]], 2]


@pytest.mark.parametrize(
    ("kind", "array"),
    [(Call, [1, 1, "add", [], [["ab"]]]), (Call, [1, 1, "add", [], ["ab"]]), (Result, [1, 7, [["ab", 5, 6]]])],
)
def test_a_handle_on_its_way_is_an_actor_and_a_token_and_nothing_else(kind, array):
    with pytest.raises(ProtocolError, match="not a message"):
        received(kind, array)


def test_the_version_is_a_number_that_a_greeting_can_carry():
    ((hello, _),) = control_reader().feed(encode(Hello(VERSION, "driver", 1)))
    assert (hello.version, hello.peer, hello.actor_id) == (VERSION, "", "")
