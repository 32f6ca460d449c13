"""The live table, as JSON, as text, and in a terminal."""

import contextlib
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from tests import programs

import actorio as ray
from actorio.cli import render
from actorio.cli.samples import ActorSample
from actorio.cli.top import ORDERS

# As a shell would: the terminal is the program's own, so that Ctrl-C reaches it.
IN_TERMINAL = """
import fcntl, signal, sys, termios
signal.signal(signal.SIGINT, signal.default_int_handler)
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from actorio.cli import main
main()
"""
# As `timeout` does: in a process group that the terminal does not belong to.
IN_BACKGROUND = IN_TERMINAL.replace(
    "from actorio.cli",
    "import os; os.fork() and sys.exit(os.waitstatus_to_exitcode(os.wait()[1])); os.setpgid(0, 0)\nfrom actorio.cli",
)
# What a terminal is told besides text.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PATIENCE = 30


def hold(path):
    while not Path(path).exists():
        time.sleep(0.01)


@ray.remote
class OnLoop:
    async def begin(self):
        return os.getpid()

    async def hold(self, path):
        hold(path)


@ray.remote
class InThreads:
    def work(self):
        return os.getpid()

    def hold(self, path):
        hold(path)


def sample_of(command, *arguments):
    (found,) = command.json("top", *arguments)["actors"]
    return found


def test_a_sample_counts_calls_and_measures_them(command):
    actor = InThreads.remote()
    pid = ray.get([actor.work.remote() for _ in range(100)])[0]
    found = sample_of(command)
    assert (found["pid"], found["state"], found["calls"], found["running"], found["queued"]) == (
        pid,
        "alive",
        100,
        0,
        0,
    )
    assert 0 < found["median"] <= found["slow"]
    assert found["rate"] == 0
    assert found["lag"] > 0
    assert found["memory"] > 1 << 20
    assert found["cpu"] >= 0


def test_running_and_queued_calls_are_told_apart(command, tmp_path):
    release = tmp_path / "release"
    actor = InThreads.options(max_concurrency=2).remote()
    calls = [actor.hold.remote(str(release)) for _ in range(5)]
    assert programs.wait_until(lambda: sample_of(command)["running"] == 2)
    found = sample_of(command)
    assert (found["running"], found["queued"], found["calls"]) == (2, 3, 0)
    release.touch()
    ray.get(calls)


def test_an_actor_whose_loop_is_held_is_called_stuck(command, tmp_path):
    release = tmp_path / "release"
    actor = OnLoop.remote()
    ray.get(actor.begin.remote())
    held = actor.hold.remote(str(release))
    found = sample_of(command)
    assert (found["state"], found["lag"], found["running"]) == ("stuck", None, None)
    assert found["stuck_for"] > 0.5
    assert "stuck" in command("top")
    release.touch()
    ray.get(held)
    assert sample_of(command)["state"] == "alive"


def test_the_session_itself_is_measured_too(command, fresh_session):
    found = command.json("top")
    assert found["node"]["pid"] == fresh_session.address_info["node_pid"]
    assert found["zygote"]["memory"] > 0
    assert [driver["pid"] for driver in found["drivers"]] == [os.getpid()]


def test_as_many_samples_come_as_are_asked_for(command):
    actor = InThreads.remote()
    ray.get(actor.work.remote())
    lines = command("top", "--json", "--count", 3, "--interval", 0.05).splitlines()
    assert len({json.loads(line)["time"] for line in lines}) == 3


def test_an_interval_that_is_none_is_refused(command):
    assert "above 0" in command("top", "--interval", 0, code=2)


def test_where_the_output_is_no_terminal_one_table_is_printed(command):
    actor = InThreads.options(name="worker").remote()
    ray.get(actor.work.remote())
    text = command("top")
    assert text.count("CALLS/S") == 1
    assert "worker" in text
    assert "\x1b" not in text


def an_actor(**values):
    usual = {
        "actor_id": "a", "class_name": "A", "name": "", "pid": 1, "state": "alive", "stuck_for": 0.0, "calls": 0,
        "rate": 0.0, "running": 0, "queued": 0, "median": None, "slow": None, "cpu": 0.0, "memory": 0, "lag": 0.0,
    }  # fmt: skip
    return ActorSample(**usual | values)


@pytest.mark.parametrize(
    ("order", "first", "second"),
    [
        ("cpu", {"cpu": 2.0}, {"cpu": None}),
        ("calls", {"rate": 2.0}, {"rate": 1.0}),
        ("memory", {"memory": 2}, {"memory": 1}),
        ("queued", {"queued": 2}, {"queued": None}),
        ("lag", {"lag": None, "stuck_for": 1.0}, {"lag": 0.5}),
        ("name", {"class_name": "A", "name": "a"}, {"class_name": "A", "name": "b"}),
    ],
)
def test_actors_are_sorted_by_the_column_that_was_chosen(order, first, second):
    one, two = an_actor(**first), an_actor(**second)
    assert sorted([two, one], key=ORDERS[order]) == [one, two]


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (0.0, "0 µs"), (0.0000123, "12 µs"), (0.0031, "3.1 ms"), (2.54, "2.5 s")]
)
def test_durations_have_the_unit_that_suits_them(seconds, text):
    assert render.duration(seconds) == text


# -- in a terminal -------------------------------------------------------------------------------------------------


class Terminal:
    """A program in a pseudo-terminal, and what it has drawn."""

    def __init__(self, *arguments, program=IN_TERMINAL):
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (30, 160))
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        self.drawn = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm-256color"},
        )

    def wait_for(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition(CONTROL.sub("", self.drawn)):
            assert time.monotonic() < deadline, self.drawn
            self._read(0.1)

    def _read(self, timeout):
        if select.select([self._master], [], [], timeout)[0]:
            with contextlib.suppress(OSError):
                self.drawn += os.read(self._master, 1 << 16).decode(errors="replace")

    def press(self, keys):
        os.write(self._master, keys)

    def finish(self):
        """Return the exit code, and what the terminal is set to afterwards."""
        deadline = time.monotonic() + PATIENCE
        # It ends only when what it draws is read.
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(0.05)
        self._read(0.05)
        return self.process.wait(1), termios.tcgetattr(self._slave)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
        os.close(self._slave)


@pytest.fixture
def in_terminal(command):
    with contextlib.ExitStack() as stack:

        def run(*arguments, **options):
            terminal = Terminal(*arguments, "--address", command.address, **options)
            stack.callback(terminal.close)
            return terminal

        yield run


@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "Ctrl-C"])
def test_top_draws_in_a_terminal_until_a_key_ends_it_and_leaves_it_as_it_was(in_terminal, key):
    actor = InThreads.options(name="worker").remote()
    ray.get(actor.work.remote())
    terminal = in_terminal("top", "--interval", 0.2)
    terminal.wait_for(lambda text: text.count("q quits") >= 2 and text.count("worker") >= 2)
    terminal.press(key)
    code, after = terminal.finish()
    assert code == 0
    assert after == terminal.before
    # The screen that was there before is back.
    assert terminal.drawn.rstrip().endswith(("\x1b[?1049l", "\x1b[?25h"))
    assert "Traceback" not in terminal.drawn


def test_top_in_the_background_of_a_terminal_leaves_the_terminal_alone(in_terminal):
    actor = InThreads.options(name="worker").remote()
    ray.get(actor.work.remote())
    terminal = in_terminal("top", "--count", 2, "--interval", 0.2, program=IN_BACKGROUND)
    assert terminal.finish() == (0, terminal.before)
    assert "worker" in terminal.drawn


def test_a_key_chooses_another_order(in_terminal):
    terminal = in_terminal("top", "--interval", 0.2)
    terminal.wait_for(lambda text: "now cpu" in text)
    terminal.press(b"s")
    terminal.wait_for(lambda text: "now calls" in text)
    terminal.press(b"q")
    assert terminal.finish()[0] == 0


def test_top_shows_the_calls_of_a_busy_actor_as_they_come(in_terminal):
    actor = InThreads.options(name="worker").remote()
    terminal = in_terminal("top", "--interval", 0.2)
    terminal.wait_for(lambda text: "q quits" in text)

    def has_rate(text):
        ray.get([actor.work.remote() for _ in range(20)])
        return re.search(r"worker +alive +\d+ +[1-9][\d,]* ", text)

    terminal.wait_for(has_rate)
    terminal.press(b"q")
    assert terminal.finish()[0] == 0


def test_stack_in_a_terminal_shows_an_actor_that_is_stuck_in_a_loop(in_terminal, tmp_path):
    release = tmp_path / "release"
    actor = OnLoop.options(name="held").remote()
    ray.get(actor.begin.remote())
    held = actor.hold.remote(str(release))
    terminal = in_terminal("stack", "held")
    assert terminal.finish()[0] == 0
    release.touch()
    ray.get(held)
    text = CONTROL.sub("", terminal.drawn)
    assert "It does not answer" in text
    assert "in hold" in text
