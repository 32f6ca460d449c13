"""The store of a process: segments are kept while they are warm, and written to when nobody reads them."""

import gc
import os
import subprocess
import sys
import threading
import weakref

import pytest
from tests.programs import wait_until

from actorio._store import store as module
from actorio._store.store import Store
from actorio._store.usage import set_limit
from actorio._transport.descriptors import Descriptor
from actorio.exceptions import ObjectStoreFullError

MIB = 1 << 20


@pytest.fixture
def new_store(tmp_path):
    """Return what makes a store in one session, as each of its processes has one."""
    set_limit(str(tmp_path), 100 * MIB, 0.05)
    stores = []

    def make(name="a test"):
        stores.append(Store(str(tmp_path), lambda: name))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(new_store):
    return new_store()


def kept(store, size=MIB, fill=b"x"):
    return store.keep([fill * size])


def memory_of(payload):
    return os.fstat(payload.files[0].fileno()).st_ino


def is_used_again(store, memory, size=MIB):
    """Say whether values come to lie in this memory: the store's thread may be taking it back at this moment."""
    return wait_until(lambda: memory_of(kept(store, size)) == memory)


def test_a_segment_is_used_again_when_its_value_has_gone(store):
    first = kept(store)
    memory = memory_of(first)
    del first
    assert is_used_again(store, memory)


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
    assert is_used_again(store, memory)


def test_a_value_of_about_the_size_fits(store):
    memory = memory_of(kept(store, 1_000_000))
    assert is_used_again(store, memory, 990_000)


def test_a_small_value_does_not_take_a_large_segment(store):
    memory = memory_of(kept(store, 8 * MIB))
    assert memory_of(kept(store, MIB)) != memory


def test_values_are_refused_when_there_are_too_many(store, monkeypatch):
    monkeypatch.setattr(store, "_most", 3)
    values = [kept(store) for _ in range(4)]
    assert [value is None for value in values] == [False, False, False, True]
    del values
    assert wait_until(lambda: kept(store) is not None)


def test_segments_that_nobody_needs_are_let_go(store, monkeypatch):
    monkeypatch.setattr(module, "WARM", 0.01)
    value = kept(store)
    (segment,) = store._full.values()
    is_gone = threading.Event()
    weakref.finalize(segment, is_gone.set)
    del segment, value
    assert is_gone.wait(10)


def test_the_thread_sleeps_when_no_segment_is_warm(store, monkeypatch):
    monkeypatch.setattr(module, "WARM", 0.0)
    value = kept(store)
    # Nothing has gone yet, so there is no moment to wake up at.
    assert not store._cool()
    del value
    assert not store._cool()
    assert not store._sizes


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


# --- the limit ------------------------------------------------------------------------------------------------------


def test_a_value_beyond_the_limit_is_refused_or_waited_for(store):
    values = [kept(store, 30 * MIB) for _ in range(3)]
    assert kept(store, 30 * MIB) is None
    with pytest.raises(ObjectStoreFullError, match=r"a test \(pid \d+\) has [\d,]+ in 3 values"):
        store.keep([b"x" * (30 * MIB)], waits=True)
    del values
    assert store.keep([b"x" * (30 * MIB)], waits=True) is not None


def test_who_waits_gets_what_is_released_meanwhile(tmp_path, new_store):
    set_limit(str(tmp_path), 100 * MIB, 30.0)
    store = new_store()
    values = [kept(store, 90 * MIB)]
    threading.Timer(0.1, values.clear).start()
    assert store.keep([b"x" * (90 * MIB)], waits=True) is not None


def test_a_value_that_is_larger_than_the_limit_is_refused_at_once(store):
    with pytest.raises(ObjectStoreFullError, match="larger than all that the values of this session may take"):
        store.keep([b"x" * (200 * MIB)], waits=True)


def test_warm_segments_make_room_for_values_of_another_size(store):
    values = [kept(store, 30 * MIB) for _ in range(3)]
    del values
    assert kept(store, 99 * MIB // 8) is not None
    assert kept(store, 80 * MIB) is not None


def test_values_of_others_that_arrive_are_counted_until_they_go(store):
    value = kept(store, 60 * MIB)
    (file,) = value.files
    copy = Descriptor(os.dup(file.fileno()))
    store.count_in(copy)
    assert store._usage.total() > 120 * MIB
    del copy
    store._cool()
    assert store._usage.total() < 100 * MIB


def test_what_a_killed_process_had_is_not_counted(tmp_path, store):
    program = f"""
import os, signal
from actorio._store.store import Store
store = Store({str(tmp_path)!r}, lambda: "the dead")
value = store.keep([b"x" * {60 * MIB}])
assert value is not None
print("ready", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.stdout == "ready\n", ended.stderr
    assert kept(store, 60 * MIB) is not None


def test_processes_see_each_other(tmp_path, store):
    program = f"""
from actorio._store.store import Store
store = Store({str(tmp_path)!r}, lambda: "another")
value = store.keep([b"x" * {60 * MIB}])
print("ready", flush=True)
input()
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(ObjectStoreFullError, match=rf"another \(pid {other.pid}\) has"):
            store.keep([b"x" * (60 * MIB)], waits=True)
        other.stdin.write("\n")
