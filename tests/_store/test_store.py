"""The store of a process: segments are kept while they are warm, and written to when nobody reads them."""

import gc
import os
import threading

import pytest

from actorio._store import store as module
from actorio._store.store import Store

MIB = 1 << 20


@pytest.fixture
def store():
    store = Store()
    yield store
    store.close()


def kept(store, size=MIB, fill=b"x"):
    return store.keep([fill * size])


def memory_of(payload):
    return os.fstat(payload.files[0].fileno()).st_ino


def test_a_segment_is_used_again_when_its_value_has_gone(store):
    first = kept(store)
    memory = memory_of(first)
    del first
    assert memory_of(kept(store)) == memory


def test_a_segment_is_not_used_again_while_its_value_is_there(store):
    first = kept(store)
    assert memory_of(kept(store)) != memory_of(first)


def test_a_segment_is_not_used_again_while_it_is_read(store):
    first = kept(store)
    memory, reader = memory_of(first), os.dup(first.files[0].fileno())
    del first
    second = kept(store)
    assert memory_of(second) != memory
    os.close(reader)
    assert memory_of(kept(store)) == memory


def test_a_value_of_about_the_size_fits(store):
    memory = memory_of(kept(store, 1_000_000))
    assert memory_of(kept(store, 990_000)) == memory


def test_a_small_value_does_not_take_a_large_segment(store):
    memory = memory_of(kept(store, 8 * MIB))
    assert memory_of(kept(store, MIB)) != memory


def test_values_are_refused_when_there_are_too_many(store, monkeypatch):
    monkeypatch.setattr(store, "_limit", 3)
    values = [kept(store) for _ in range(4)]
    assert [value is None for value in values] == [False, False, False, True]
    del values
    assert kept(store) is not None


def test_segments_that_nobody_needs_are_let_go(store, monkeypatch):
    is_gone = threading.Event()
    original = module.Segment.__del__

    def tell(segment):
        original(segment)
        is_gone.set()

    monkeypatch.setattr(module.Segment, "__del__", tell, raising=False)
    monkeypatch.setattr(module, "WARM", 0.01)
    assert kept(store) is not None
    assert is_gone.wait(10)


def test_the_thread_sleeps_when_no_segment_is_warm(store, monkeypatch):
    monkeypatch.setattr(module, "WARM", 0.0)
    value = kept(store)
    # Nothing has gone yet, so there is no moment to wake up at.
    assert store._cool() is None
    del value
    assert store._cool() is None
    assert store._count == 0


def test_a_closed_store_keeps_nothing_and_values_stay(store):
    value = kept(store, fill=b"v")
    warm = kept(store)
    del warm
    store.close()
    assert kept(store) is None
    assert os.pread(value.files[0].fileno(), 64, 64) == b"v" * 64
    fd = value.files[0].fileno()
    del value
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_segment_that_cannot_be_made_is_no_value(store, monkeypatch):
    def refuse(*_args):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", refuse)
    assert kept(store) is None
