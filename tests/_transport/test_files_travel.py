"""Files travel with their frames: whatever is sent at once, each frame arrives with its own."""

import contextlib
import errno
import os
import resource
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorio._model.travel import KeepingBytes, files_of
from actorio._transport.descriptors import Descriptor
from actorio._transport.incoming import Incoming
from actorio._transport.outgoing import Outgoing
from actorio._wire.frames import ProtocolError
from actorio._wire.messages import Call, encode, inbound_reader

# Some are sent whole, some in many pieces, one is received into a buffer of its own.
PAYLOADS = st.sampled_from([b"", b"x", b"y" * 500, b"z" * 100_000])
FRAMES = st.lists(st.tuples(PAYLOADS, st.sampled_from([0, 0, 1, 2, 3])), max_size=12)
# After how many frames the sender tries to send.
PAUSES = st.integers(1, 5)


def file_with(number):
    fd = os.memfd_create("test")
    os.write(fd, str(number).encode())
    return Descriptor(fd)


def content(file):
    return int(os.pread(file.fileno(), 20, 0))


class Way:
    """A connection, with both ends in this process."""

    def __init__(self):
        self.ours, self.theirs = socket.socketpair()
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for sock in (self.ours, self.theirs):
            sock.setblocking(False)
        self.outgoing = Outgoing()
        self.incoming = Incoming(self.theirs, inbound_reader())
        self.arrived = []

    def add(self, number, payload, files):
        frame = encode(Call(number, "m", files=len(files)), payload)
        self.outgoing.add(KeepingBytes.of(frame, {}, tuple(files)) if files else frame)

    def go_on(self):
        with contextlib.suppress(BlockingIOError):
            self.outgoing.send_all(self.ours)
        with contextlib.suppress(BlockingIOError):
            self.arrived += self.incoming.receive()

    def finish(self, count):
        while len(self.arrived) < count:
            self.go_on()

    def close(self):
        self.arrived.clear()
        self.ours.close()
        self.theirs.close()


@pytest.fixture
def way():
    way = Way()
    yield way
    way.close()


@given(FRAMES, PAUSES)
def test_each_frame_arrives_with_its_own_files(frames, pause):
    way = Way()
    for number, (payload, count) in enumerate(frames):
        way.add(number, payload, [file_with(10 * number + index) for index in range(count)])
        if not number % pause:
            way.go_on()
    way.finish(len(frames))
    got = [(message.id, payload, [content(file) for file in files_of(payload)]) for message, payload in way.arrived]
    way.close()
    assert got == [
        (number, payload, [10 * number + index for index in range(count)])
        for number, (payload, count) in enumerate(frames)
    ]


def test_a_frame_may_have_more_files_than_the_kernel_passes_at_once(way):
    file = file_with(7)
    way.add(0, b"", [file] * 600)
    way.add(1, b"", [file_with(8)])
    way.finish(2)
    counts = [[content(file) for file in files_of(payload)] for _, payload in way.arrived]
    assert counts == [[7] * 600, [8]]


class Crowded:
    """A socket of a user who has too many descriptors on their way, for some attempts."""

    def __init__(self, sock, attempts):
        self._sock = sock
        self._attempts = attempts

    def send(self, data):
        return self._sock.send(data)

    def sendmsg(self, *arguments):
        if self._attempts:
            self._attempts -= 1
            raise OSError(errno.ETOOMANYREFS, "Too many references: cannot splice")
        return self._sock.sendmsg(*arguments)


def test_files_that_the_kernel_has_no_room_for_are_sent_later(way):
    way.ours = Crowded(way.ours, 3)
    way.add(0, b"first", [file_with(1)])
    way.add(1, b"second", [])
    way.finish(2)
    got = [(payload, [content(file) for file in files_of(payload)]) for _, payload in way.arrived]
    assert got == [(b"first", [1]), (b"second", [])]
    way.ours = way.ours._sock


def test_files_that_were_not_sent_are_closed_with_the_connection(way):
    file = file_with(1)
    fd = file.fileno()
    way.add(0, b"", [file])
    del file
    way.outgoing.drop()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_files_that_this_process_has_no_room_for_break_the_connection_in_clear_words(way):
    way.add(0, b"", [file_with(1)])
    way.outgoing.send_all(way.ours)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
    try:
        with pytest.raises(ProtocolError, match="no file descriptors left"):
            way.incoming.receive()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
