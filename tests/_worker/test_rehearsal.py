"""What the template of all actors does beforehand leaves nothing behind that an actor could notice."""

import asyncio
import json
import subprocess
import sys

import pytest

from actorio._transport.loops import find_buffer, new_slim_loop

PROGRAM = """
import asyncio, atexit, json, os, signal, sys, tempfile, threading
from actorio._caller.surroundings import capture
from actorio._worker import process

def state():
    return {
        "threads": threading.active_count(),
        "tasks in the kernel": len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 1,
        "SIGTERM": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
        "SIGURG": signal.getsignal(signal.SIGURG) == signal.SIG_DFL,
        "SIGINT": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "wakeup": signal.set_wakeup_fd(-1),
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "exit functions": atexit._ncallbacks(),
        "profile": sys.getprofile() is own and threading.getprofile() is own,
        "loop": asyncio.get_event_loop_policy().get_event_loop() is loop,
        "files": sorted(os.listdir(directory)),
    }

def own(*_):
    pass

def descriptors():
    return len(os.listdir("/dev/fd"))

out = os.dup(1)
directory = tempfile.mkdtemp()
surroundings = capture().encode()
process.settle_in(surroundings)
# What the modules that a program preloads may do.
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
threading.setprofile(own)
sys.setprofile(own)
process.warm_up(surroundings, directory)
before, opened = state(), descriptors()
process.warm_up(surroundings, directory)
after = [state(), descriptors()]
os.rmdir(directory)
os.write(out, json.dumps([before, opened, *after]).encode())
"""


@pytest.fixture(scope="module")
def told():
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(ended.stdout)


def test_a_rehearsal_leaves_no_thread_no_handler_no_exit_function_and_no_file(told):
    state = told[0]
    assert state["threads"] == state["tasks in the kernel"] == 1
    assert all(state[name] for name in ("SIGTERM", "SIGURG", "SIGINT"))
    assert (state["wakeup"], state["mask"], state["files"]) == (-1, [], [])


def test_what_a_preloaded_module_has_set_is_still_there(told):
    assert told[0]["profile"]
    assert told[0]["loop"]


def test_another_rehearsal_changes_nothing(told):
    before, opened, after, opened_after = told
    assert (before, opened) == (after, opened_after)


def test_a_loop_whose_buffer_was_given_back_reads_streams():
    async def echo(reader, writer):
        writer.write(await reader.readexactly(300_000))
        writer.close()

    async def there_and_back():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(data)
        found = await reader.read(-1)
        writer.close()
        server.close()
        return found

    find_buffer()
    data = bytes(range(250)) * 1200
    loop = new_slim_loop()
    try:
        assert loop.run_until_complete(there_and_back()) == data
    finally:
        loop.close()
