"""Where an actor is: running, waiting, or stuck in a loop."""

import asyncio
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from tests import programs

import actorio as ray
from actorio._worker.inspection import Frame
from actorio.cli import dump
from actorio.cli.stack import users

WRITTEN = """\
Thread 0x00007f0e156676c0 (most recent call first):
  File "/lib/actorio/_caller/node.py", line 277 in _read_all
  File "/lib/python3.11/threading.py", line 982 in run

Current thread 0x00007f0e1b0a9740 (most recent call first):
  File "/home/me/feed.py", line 13 in hang
  File "/home/me/my file in odd, line 3.py", line ??? in <module>
"""


def hold(path):
    while not Path(path).exists():
        time.sleep(0.01)


@ray.remote
class OnLoop:
    async def begin(self):
        return os.getpid()

    async def hold(self, path):
        hold(path)

    async def outer(self):
        await self.inner()

    async def inner(self):
        await asyncio.Event().wait()


@ray.remote
class InThreads:
    def begin(self):
        return os.getpid()

    def spin(self, path):
        while not Path(path).exists():
            pass

    def wait(self):
        threading.Event().wait()


def functions_of(thread):
    return [frame["function"].rpartition(".")[2] for frame in thread["frames"]]


def main_thread(found):
    return next(thread for thread in found["threads"] if thread["name"] == "MainThread")


def test_an_actor_whose_loop_is_held_shows_where(command, tmp_path):
    actor = OnLoop.options(name="held", max_concurrency=2).remote()
    pid = ray.get(actor.begin.remote())
    release = tmp_path / "release"
    held = actor.hold.remote(str(release))
    found = command.json("stack", "held")
    assert programs.wait_until(lambda: "hold" in functions_of(main_thread(command.json("stack", "held"))))
    found = command.json("stack", "held")
    assert (found["is_stuck"], found["tasks"], found["pid"]) == (True, None, pid)
    text = command("stack", "held")
    assert "It does not answer" in text
    assert f'File "{__file__}", line' in text
    assert "in hold\n" in text
    release.touch()
    ray.get(held)
    assert command.json("stack", "held")["is_stuck"] is False


def test_a_busy_actor_shows_where_its_method_is(command, tmp_path):
    actor = InThreads.options(name="busy").remote()
    ray.get(actor.begin.remote())
    release = tmp_path / "release"
    spinning = actor.spin.remote(str(release))
    assert programs.wait_until(lambda: "spin" in functions_of(main_thread(command.json("stack", "busy"))))
    text = command("stack", "busy")
    assert "thread MainThread\n" in text
    assert "in InThreads.spin\n" in text
    release.touch()
    ray.get(spinning)
    assert main_thread(command.json("stack", "busy"))["is_own"] is True


def test_tasks_show_each_coroutine_that_waits_for_another(command):
    actor = OnLoop.options(name="waiting").remote()
    ray.get(actor.begin.remote())
    actor.outer.remote()
    assert programs.wait_until(lambda: command.json("stack", "waiting")["tasks"])
    (task,) = command.json("stack", "waiting")["tasks"]
    assert [name for name in functions_of(task) if name in {"outer", "inner", "wait"}] == ["outer", "inner", "wait"]
    text = command("stack", "waiting")
    assert "await self.inner()" in text
    assert "actorio/_worker/dispatcher.py" not in text


def test_each_thread_of_an_actor_is_shown_by_its_name(command):
    actor = InThreads.options(name="threads", max_concurrency=2).remote()
    ray.get(actor.begin.remote())
    for _ in range(2):
        actor.wait.remote()

    def waiting():
        return [each["name"] for each in command.json("stack", "threads")["threads"] if "wait" in functions_of(each)]

    assert programs.wait_until(lambda: {"MainThread", "actor-2"} <= set(waiting()))


def test_an_actor_that_is_stopped_says_that_it_is(command, monkeypatch):
    monkeypatch.setattr(dump, "_TIMEOUT", 0.1)
    actor = InThreads.options(name="stopped").remote()
    pid = ray.get(actor.begin.remote())
    os.kill(pid, signal.SIGSTOP)
    try:
        text = command("stack", "stopped", code=1)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert f"(pid {pid}) does not tell where it is" in text
    assert f"kill -CONT {pid}" in text
    assert ray.get(actor.begin.remote()) == pid


def test_a_process_that_does_not_handle_the_signal_is_spared_it(tmp_path):
    program = programs.start("input()")
    try:
        path = tmp_path / "file"
        path.touch()
        with pytest.raises(dump.NoDumpError, match="SIGUSR1"):
            dump.dump(program.pid, str(path))
        with pytest.raises(dump.NoDumpError, match="has not come so far"):
            dump.dump(program.pid, str(tmp_path / "none"))
    finally:
        program.kill()
        programs.finish(program)
    with pytest.raises(dump.NoDumpError, match="has ended"):
        dump.dump(program.pid, str(path))


def test_the_file_of_an_actor_goes_with_it(command):
    actor = InThreads.options(name="short").remote()
    ray.get(actor.begin.remote())
    assert list(Path(command.address).glob("*.stack"))
    command("kill", "short", "--force")
    assert programs.wait_until(lambda: not list(Path(command.address).glob("*.stack")))


def test_what_the_interpreter_writes_is_read():
    reader, main = dump.parse(WRITTEN)
    assert (reader.name, reader.ident) == ("", 0x7F0E156676C0)
    assert reader.frames[-1] == Frame("/lib/actorio/_caller/node.py", 277, "_read_all")
    assert main.name == "MainThread"
    assert main.frames == [
        Frame("/home/me/my file in odd, line 3.py", 0, "<module>"),
        Frame("/home/me/feed.py", 13, "hang"),
    ]
    assert dump.parse("") == []


def test_a_stack_begins_with_the_first_function_of_the_user():
    own = Frame(ray.__file__, 1, "run")
    mine = Frame("/home/me/feed.py", 1, "poll")
    assert users([Frame("<frozen runpy>", 1, "_run"), own, mine, own]) == [mine, own]
    assert users([own, own]) == []
