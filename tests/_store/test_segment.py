"""Segments: who reads one is known to the kernel, whatever becomes of the reader."""

import gc
import mmap
import os
import signal
import socket
import subprocess
import sys

import pytest

from actorio._store.layout import lay_out, parts_of
from actorio._store.segment import Segment

SIZE = 1 << 16


def write(segment, parts):
    segment.write(lay_out(list(map(len, parts))), list(map(memoryview, parts)))


def parts_in(segment):
    with mmap.mmap(segment.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
        return [bytes(part) for part in parts_of(memoryview(bytes(mapping)))]


def test_what_was_written_last_is_read():
    segment = Segment(SIZE)
    # The first time it goes through the file, later through a mapping.
    for parts in ([b"one", b"two" * 1000], [b"x" * 5000], [b"", b"three"], [b"y" * 60_000]):
        write(segment, parts)
        assert parts_in(segment) == parts


def test_a_new_segment_is_read_by_nobody():
    assert not Segment(SIZE).is_read()


def test_a_reader_cannot_write():
    segment = Segment(SIZE)
    fd = segment.reader()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(fd, b"x", 0)
    os.close(fd)


def test_it_is_read_until_the_last_copy_of_the_descriptor_is_closed():
    segment = Segment(SIZE)
    first = segment.reader()
    second = os.dup(first)
    os.close(first)
    assert segment.is_read()
    os.close(second)
    assert not segment.is_read()


def test_a_mapping_reads_though_the_descriptor_is_closed():
    segment = Segment(SIZE)
    write(segment, [b"kept"])
    fd = segment.reader()
    mapping = mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
    os.close(fd)
    view = memoryview(mapping)
    del mapping
    assert segment.is_read()
    assert bytes(next(parts_of(view))) == b"kept"
    view.release()
    gc.collect()
    assert not segment.is_read()


def test_a_descriptor_on_its_way_reads_until_the_socket_has_gone():
    segment = Segment(SIZE)
    ours, theirs = socket.socketpair()
    fd = segment.reader()
    socket.send_fds(ours, [b"x"], [fd])
    os.close(fd)
    assert segment.is_read()
    ours.close()
    theirs.close()
    assert not segment.is_read()


def test_a_killed_reader_reads_no_more():
    segment = Segment(SIZE)
    fd = segment.reader()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[fd])
    os.close(fd)
    assert segment.is_read()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdin.close()
    assert not segment.is_read()
