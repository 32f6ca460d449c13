"""Actors that meet a fault, and the faults: what the fault table does to them, see `test_fault_table.py`.

A module of its own, because each actor imports it anew: it needs nothing but the standard library.
"""

import asyncio
import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import actorio

# What an actor that runs out of memory may still take, in bytes. Not 64 MiB: glibc reserves as much for a thread, and
# would take all of it where it just fits.
HEADROOM = 48 << 20


# -- the faults ----------------------------------------------------------------------------------------------------


def fail():
    raise LookupError("nothing there")


def run_out_of_memory():
    limit_memory()
    bytearray(1 << 40)


def limit_memory():
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + HEADROOM, hard))


def use_up_all_memory():
    limit_memory()
    hoard = []
    # What the traceback holds is there until the failure has been described.
    while True:
        hoard.append(bytes(4000))


def be_stopped():
    subprocess.run(["sh", "-c", "kill -STOP $PPID; kill -KILL $PPID"], check=False)


FAULTS = {
    "segfault": lambda: ctypes.string_at(0),
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stopped": be_stopped,
    "sys.exit": lambda: sys.exit(3),
    "os._exit": lambda: os._exit(4),
    "exception": fail,
    "memory": run_out_of_memory,
    "all memory": use_up_all_memory,
}


def commit(fault):
    FAULTS[fault]()


def commit_once(fault, mark):
    """Commit a fault, unless that has been done before: a restarted actor does not meet it again."""
    try:
        Path(mark).touch(exist_ok=False)
    except FileExistsError:
        return
    commit(fault)


class FailsToPickle:
    def __init__(self, fault):
        self.fault = fault

    def __reduce__(self):
        commit(self.fault)
        return str, ("pickled",)


class FailsToUnpickle:
    def __init__(self, fault):
        self.fault = fault

    def __reduce__(self):
        return commit, (self.fault,)


# -- the actors ----------------------------------------------------------------------------------------------------


class Plain:
    def __init__(self, fault="", mark="", spared="", gate=""):
        # The file `spared`: the first life goes well. The next one waits for the file `gate`.
        if spared and not Path(spared).exists():
            Path(spared).touch()
        elif fault:
            while gate and not Path(gate).exists():
                time.sleep(0.005)
            commit_once(fault, mark)
        self.count = 0

    def pid(self):
        return os.getpid()

    def counted(self):
        return self.count

    def echo(self, value):
        self.count += 1
        return value

    def run(self, fault):
        commit(fault)

    def end(self):
        os._exit(9)

    def give_unpicklable(self, fault):
        return FailsToPickle(fault)

    def give(self, fault):
        self.count += 1
        return FailsToUnpickle(fault)

    def send_unpicklable(self, other, fault):
        return actorio.get(other.echo.remote(FailsToPickle(fault)))

    def ask(self, other, fault):
        return actorio.get(other.give.remote(fault))

    def fail_later(self, fault, fifo):
        self.thread = threading.Thread(target=fail_when_told, args=(fault, fifo), daemon=True)
        self.thread.start()

    def join(self):
        self.thread.join()
        return "joined"


class Async(Plain):
    async def echo(self, value):
        self.count += 1
        return value

    async def run(self, fault):
        commit(fault)

    async def send_unpicklable(self, other, fault):
        return await other.echo.remote(FailsToPickle(fault))

    async def ask(self, other, fault):
        return await other.give.remote(fault)

    async def fail_in_task(self, fault, fifo):
        self.task = asyncio.create_task(self.fail_when_told(fault, fifo))

    async def fail_when_told(self, fault, fifo):
        await asyncio.to_thread(wait_for_word, fifo)
        commit(fault)

    async def joined_task(self):
        await asyncio.wait([self.task])
        # What it has raised is what is tested; nobody is to be warned of it.
        return repr(self.task.exception())


def wait_for_word(fifo):
    Path(fifo).read_bytes()


def fail_when_told(fault, fifo):
    wait_for_word(fifo)
    commit(fault)


KINDS = {"plain": actorio.remote(Plain), "async": actorio.remote(Async)}
