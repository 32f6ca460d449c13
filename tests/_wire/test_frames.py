import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorio._wire import frames
from actorio._wire.frames import MAX_HEADER, MAX_PAYLOAD, PREFIX, FrameReader, ProtocolError, frame
from actorio._wire.messages import (
    Call,
    Create,
    Exited,
    Failure,
    Fetch,
    Hello,
    Record,
    Result,
    control_reader,
    encode,
    encode_header,
    inbound_reader,
    reply_reader,
    zygote_reader,
)

# Small enough for examples with many frames to have large payloads among them.
SMALL_LARGE = 16
BOUNDARIES = [0, 1, SMALL_LARGE - 1, SMALL_LARGE, SMALL_LARGE + 1, 3 * SMALL_LARGE]

PAYLOADS = st.one_of(
    st.binary(max_size=5), st.sampled_from(BOUNDARIES).flatmap(lambda size: st.binary(min_size=size, max_size=size))
)
MESSAGES = st.lists(st.tuples(st.binary(max_size=20), PAYLOADS), max_size=8)
# How many bytes arrive at once; 0 is what nobody should send and everybody may.
CHUNKS = st.lists(st.sampled_from([0, 1, 2, PREFIX.size - 1, PREFIX.size, PREFIX.size + 1, 17, 40, 200]), max_size=60)

VALID_FRAMES = [
    (inbound_reader, encode(Call(1, "add", (2,)), b"payload")),
    (inbound_reader, encode(Fetch(2, 3))),
    (reply_reader, encode(Result(1), b"x" * 40)),
    (reply_reader, encode(Failure(1, is_pickled_error=True), b"error")),
    (control_reader, encode(Hello(1, "driver", 2))),
    (control_reader, encode(Create("ab", "Account"))),
    (control_reader, encode(Record("A", 1, "log", 20, "text", 0.5, "a.py", 3, {"k": None}))),
    (zygote_reader, encode(Exited(7, -9))),
]


@pytest.fixture(autouse=True, scope="module")
def small_limits():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "LARGE", SMALL_LARGE)
        yield patch


def any_header(header):
    return header


def cut(stream, sizes):
    """Return the stream in pieces of these sizes, and what is left as a last one."""
    pieces = []
    for size in sizes:
        pieces.append(stream[:size])
        stream = stream[size:]
    return [*pieces, stream]


def receive(reader, piece, is_filled):
    """Hand over a piece, through `gap` where that is wanted and possible."""
    found = []
    while is_filled and piece and (gap := reader.gap()) is not None:
        count = min(len(gap), len(piece))
        gap[:count] = piece[:count]
        found += reader.filled(count)
        piece = piece[count:]
    return found + reader.feed(piece)


def stream_of(messages):
    return b"".join(frame(header, payload) for header, payload in messages)


@given(MESSAGES, CHUNKS, st.lists(st.booleans(), min_size=1))
def test_any_chunking_gives_the_same_messages(messages, sizes, filled):
    reader = FrameReader(any_header)
    found = []
    for turn, piece in enumerate(cut(stream_of(messages), sizes)):
        found += receive(reader, piece, filled[turn % len(filled)])
    assert found == messages
    assert reader.is_between_frames()


@given(MESSAGES.filter(bool), st.data())
def test_a_cut_stream_gives_the_messages_before_the_cut_and_says_that_it_was_cut(messages, data):
    stream = stream_of(messages)
    end = data.draw(st.integers(0, len(stream)))
    boundaries = [len(stream_of(messages[:count])) for count in range(len(messages) + 1)]
    reader = FrameReader(any_header)
    found = [message for piece in cut(stream[:end], data.draw(CHUNKS)) for message in reader.feed(piece)]
    assert found == messages[: len([boundary for boundary in boundaries if boundary <= end]) - 1]
    assert reader.is_between_frames() == (end in boundaries)


@pytest.mark.parametrize("size", [frames.LARGE - 1, frames.LARGE, frames.LARGE + 1, 3 * frames.LARGE])
@pytest.mark.parametrize("chunk", [1000, frames.LARGE, 1 << 20])
def test_payloads_at_the_real_limit_arrive_whole(size, chunk, small_limits):
    with small_limits.context() as patch:
        patch.setattr(frames, "LARGE", 1 << 16)
        payload = bytes(range(256)) * (size // 256) + b"e" * (size % 256)
        reader = FrameReader(any_header)
        pieces = cut(frame(b"h", payload) * 2, [chunk] * (2 * size // chunk + 1))
        assert [message for piece in pieces for message in receive(reader, piece, True)] == [(b"h", payload)] * 2


def test_a_large_payload_is_received_into_a_buffer_of_its_own():
    reader = FrameReader(any_header)
    payload = bytes(range(2 * SMALL_LARGE))
    assert reader.feed(frame(b"h", payload)[: -len(payload)]) == []
    gap = reader.gap()
    assert len(gap) == len(payload)
    gap[:] = payload
    assert reader.filled(3) == []
    assert bytes(reader.gap()) == payload[3:]
    assert reader.filled(len(payload) - 3) == [(b"h", payload)]
    assert reader.gap() is None


def test_there_is_no_gap_while_no_large_payload_is_on_its_way():
    reader = FrameReader(any_header)
    assert reader.gap() is None
    reader.feed(frame(b"h", b"small")[:-1])
    assert reader.gap() is None
    with pytest.raises(AssertionError, match="gap"):
        reader.filled(1)


@given(st.sampled_from(VALID_FRAMES), st.binary(min_size=1, max_size=60), CHUNKS, st.booleans(), st.data())
def test_garbage_gives_a_protocol_error_or_nothing(valid, garbage, sizes, filled, data):
    make_reader, good = valid
    # Garbage alone, behind a good frame, or in the middle of one, where it is taken for a prefix, header or payload.
    place = data.draw(st.integers(0, len(good)))
    stream = good[:place] + garbage + good[place + data.draw(st.integers(0, len(garbage))) :]
    reader = make_reader()
    with pytest.MonkeyPatch.context() as patch:
        # What may be declared at most would otherwise be more than there is memory for.
        patch.setattr(frames, "MAX_PAYLOAD", 1 << 16)
        try:
            found = [message for piece in cut(stream, sizes) for message in receive(reader, piece, filled)]
        except ProtocolError:
            return
    assert all(isinstance(message, msgspec.Struct) for message, _ in found)


@pytest.mark.parametrize(
    ("header", "payload"),
    [(MAX_HEADER + 1, 0), (0xFFFFFFFF, 0), (0, MAX_PAYLOAD + 1), (0, (1 << 64) - 1), (0xFFFFFFFF, (1 << 64) - 1)],
)
@pytest.mark.parametrize("cut_at", [1, 11, 12])
def test_a_frame_beyond_the_limits_is_refused_before_it_arrives(header, payload, cut_at):
    reader = FrameReader(any_header)
    prefix = PREFIX.pack(header, payload)
    with pytest.raises(ProtocolError, match=str(max(header, payload))):
        receive(reader, prefix[:cut_at], False) + receive(reader, prefix[cut_at:], False)


@pytest.mark.parametrize(("header", "payload"), [(MAX_HEADER, 0), (1, MAX_PAYLOAD)])
def test_a_frame_at_the_limits_is_waited_for(header, payload):
    reader = FrameReader(any_header)
    assert reader.feed(PREFIX.pack(header, payload)) == []
    assert not reader.is_between_frames()


def test_a_payload_that_no_memory_is_left_for_is_a_protocol_error(small_limits):
    def refuse(_size):
        raise MemoryError

    with small_limits.context() as patch:
        patch.setattr(frames, "bytearray", refuse, raising=False)
        header = encode_header(Result(1))
        with pytest.raises(ProtocolError, match="memory"):
            reply_reader().feed(PREFIX.pack(len(header), MAX_PAYLOAD) + header)


@pytest.mark.parametrize("header", [b"", b"\xc1", b"\x90", b"\x91\x63", pickle.dumps(1)])
@pytest.mark.parametrize("size", [0, SMALL_LARGE])
def test_a_header_that_is_no_message_is_a_protocol_error(header, size):
    # With a large payload the header is looked at before the payload has arrived.
    with pytest.raises(ProtocolError, match="not a message"):
        inbound_reader().feed(PREFIX.pack(len(header), size) + header)


def test_a_reader_is_between_frames_only_when_nothing_is_incomplete():
    reader = FrameReader(any_header)
    assert reader.is_between_frames()
    for payload in (b"small", bytes(3 * SMALL_LARGE)):
        data = frame(b"header", payload)
        for byte in data[:-1]:
            assert reader.feed(bytes([byte])) == []
            assert not reader.is_between_frames()
        assert reader.feed(data[-1:]) == [(b"header", payload)]
        assert reader.is_between_frames()
