"""Large values leave nothing, whoever is killed: no file in /dev/shm, none of the session, no memory."""

import os
import signal
from pathlib import Path

import pytest
from tests.programs import output_of, start, wait_until

SHARED = Path("/dev/shm")  # it must stay as it is

# A driver with two actors, each of which has a value of its own and some of the others'.
LOAD = """
import numpy as np
from tests.large import Plain
session = actorio.init()
first, second = Plain.remote(), Plain.remote()
ref = actorio.put(np.ones(5_000_000, np.uint8))
made = first.make.remote(5_000_000)
for actor in (first, second):
    actorio.get([actor.keep.remote("put", ref), actor.keep.remote("made", made), actor.keep.remote("nested", [ref])])
value = actorio.get(made)
pids = actorio.get([actor.__ray_call__.remote(lambda _: os.getpid()) for actor in (first, second)])
print(session.address_info["address"], os.getpid(), *pids, flush=True)
"""


@pytest.fixture
def shared():
    """What is in shared memory; nothing may have come when the test has ended."""
    before = set(SHARED.iterdir())
    yield
    assert set(SHARED.iterdir()) <= before


def values_open():
    """Return how many values the processes of this user have open or mapped."""
    found = 0
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            found += "memfd:actorio" in str(fd.readlink())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("victim", ["driver", "first", "second"])
def test_nothing_is_left_when_an_owner_or_borrower_is_killed(victim, shared, leaks):
    program = start(LOAD + "input()\nprint(value.sum(), actorio.get(ref).sum())\n")
    address, *pids = program.stdout.readline().split()
    pid = int(dict(zip(["driver", "first", "second"], pids, strict=True))[victim])
    os.kill(pid, signal.SIGKILL)
    output, errors = program.communicate("\n", timeout=60)
    if victim != "driver":
        assert output == "5000000 5000000\n"
        assert "was ended by SIGKILL" in errors
    assert wait_until(lambda: not leaks())
    assert not Path(address).exists()


def test_nothing_is_left_when_all_are_killed_at_once(shared, leaks):
    program = start(LOAD + "input()\n")
    address, *pids = program.stdout.readline().split()
    for pid in pids:
        os.kill(int(pid), signal.SIGKILL)
    program.communicate(timeout=60)
    assert wait_until(lambda: not leaks())
    assert not Path(address).exists()


def test_nothing_is_left_when_the_interpreter_exits_with_live_values(shared, leaks):
    (line,) = output_of(LOAD)
    assert not leaks()
    assert not Path(line.split()[0]).exists()


def test_nothing_is_left_after_ten_thousand_puts(shared, leaks):
    program = """
import numpy as np
actorio.init()
kept = []
for number in range(10_000):
    ref = actorio.put(np.full(300_000, number % 100, np.uint8))
    if not number % 100:
        kept.append(ref)
    assert actorio.get(ref)[-1] == number % 100
print(len(os.listdir("/proc/self/fd")) < 500, len(actorio.get(kept)))
actorio.shutdown()
"""
    assert output_of(program) == ["True 100"]
    assert not leaks()


def test_a_killed_actors_memory_is_free_when_its_readers_have_gone():
    program = """
import numpy as np
from tests.large import Plain
actorio.init()
actor = Plain.remote()
value = actorio.get(actor.make.remote(50_000_000))
actorio.kill(actor)
print(value.sum())
del value
print("gone", flush=True)
input()
"""
    before = values_open()
    process = start(program)
    assert [process.stdout.readline().strip() for _ in range(2)] == ["50000000", "gone"]
    assert wait_until(lambda: values_open() <= before)
    process.communicate("\n", timeout=60)
