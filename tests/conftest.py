"""What every test runs under: a runtime directory of its own, and the promise that nothing is left behind.

`nothing_is_left` looks at the machine before and after each test. It knows a process as ours by a variable in the
environment that it was started with, so neither runs of the suite beside this one nor a developer's own session
is mistaken for a leak. While a session is up, nothing can be said; it is looked at when the session ends.
"""

import contextlib
import gc
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, settings

import actorio

# A shell that runs the suite in the background has it ignore Ctrl-C, and with it whatever it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is slow, and no property is about how long an example takes. The suite runs often, and looks a little
# each time; `make properties` looks long.
settings.register_profile(
    "actorio", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("thorough", settings.get_profile("actorio"), max_examples=400)
settings.load_profile("actorio")

RUN_VARIABLE = "ACTORIO_TEST_RUN"
RUN_MARK = f"{RUN_VARIABLE}={uuid.uuid4().hex}"

PROC = Path("/proc")
# Elsewhere than on Linux only directories are looked at.
HAS_PROC = (PROC / "self" / "fd").is_dir()

# `shutdown()` promises to end everything within two seconds.
GRACE_SECONDS = 2.0

# Started by the standard library for whoever shares memory first, and kept until the interpreter ends.
LASTING_PROGRAM = "multiprocessing.resource_tracker"
# Opened once by whoever needs them first and kept.
LASTING_FILES = ("/dev/null", "/dev/random", "/dev/urandom", "/dev/tty")


# -- what is there -------------------------------------------------------------------------------------------------


class Processes:
    """Finds the processes which this run has started, whoever their parent is by now."""

    def __init__(self) -> None:
        self._foreign: set[str] = set()

    def ours(self) -> dict[str, str]:
        """Return the command line of each process of ours by its id; an exited one that nobody waited for counts."""
        here = str(os.getpid())
        alive = {name for name in os.listdir(PROC) if name.isdigit() and name != here}
        self._foreign &= alive
        found = {}
        for pid in alive - self._foreign:
            if not self._is_ours(pid, here):
                self._foreign.add(pid)
            elif LASTING_PROGRAM not in (command := _command(pid)):
                found[pid] = command
        return found

    def _is_ours(self, pid: str, here: str) -> bool:
        # A child that was forked shows the environment which this process was started with, so its parents tell.
        return RUN_MARK.encode() in _read(pid, "environ") or here in _ancestors(pid)


def _read(pid: str, name: str) -> bytes:
    # Gone meanwhile, or another user's: none of ours.
    with contextlib.suppress(OSError):
        return (PROC / pid / name).read_bytes()
    return b""


def _command(pid: str) -> str:
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip() or "(exited, not waited for)"


def _ancestors(pid: str) -> Iterator[str]:
    while pid not in {"", "0", "1"}:
        # The command's name may hold spaces and parentheses; the parent is the second field after the last one.
        fields = _read(pid, "stat").rpartition(b")")[2].split()
        pid = fields[1].decode() if len(fields) > 1 else ""
        yield pid


def _descriptors() -> set[tuple[str, str]]:
    found = set()
    for name in os.listdir(PROC / "self" / "fd"):
        # The descriptor that lists the others is closed by now.
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")
            if target not in LASTING_FILES:
                found.add((name, target))
    return found - _tracker_pipe()


def _tracker_pipe() -> set[tuple[str, str]]:
    tracker = sys.modules.get("multiprocessing.resource_tracker")
    descriptor = getattr(getattr(tracker, "_resource_tracker", None), "_fd", None)
    # Its descriptor is closed already in a child that was forked.
    with contextlib.suppress(OSError):
        return {(str(descriptor), os.readlink(f"/proc/self/fd/{descriptor}"))}
    return set()


def _session_directories() -> set[str]:
    # Only where this run's sessions live: those of other programs on the machine come and go.
    room = Path(os.environ["XDG_RUNTIME_DIR"]) / "actorio"
    try:
        return {str(entry) for entry in room.iterdir()}
    except FileNotFoundError:
        # It goes with the last session.
        return set()


def _is_initialized() -> bool:
    # Engines are imported by whatever starts a session; a test of a pure room never does, and pays nothing here.
    return "actorio.engines" in sys.modules and actorio.is_initialized()


# -- before and after ----------------------------------------------------------------------------------------------


class Before:
    """The machine as it was; `leaks` names what has come to it since."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._running = set(processes.ours()) if HAS_PROC else set()
        self._open = _descriptors() if HAS_PROC else set()
        self._directories = _session_directories()

    def leaks(self) -> list[str]:
        """Return what is left, after waiting for it to go for as long as `shutdown` may take."""
        if not self._look():
            return []
        deadline = time.monotonic() + GRACE_SECONDS
        while left := self._look():
            if time.monotonic() > deadline:
                return left
            gc.collect()
            time.sleep(0.02)
        return []

    def _look(self) -> list[str]:
        left = [f"session directory {path}" for path in sorted(_session_directories() - self._directories)]
        if HAS_PROC:
            left += [
                f"process {pid}: {line}" for pid, line in self._processes.ours().items() if pid not in self._running
            ]
            left += [f"descriptor {number}: {target}" for number, target in sorted(_descriptors() - self._open)]
        return left

    def check(self, when: str) -> None:
        """Fail if anything is left; `when` says after what."""
        if left := self.leaks():
            pytest.fail(f"left behind by {when}:\n  " + "\n  ".join(left), pytrace=False)


class Sessions:
    """Which session fixture, if any, has a session up."""

    def __init__(self) -> None:
        self.processes = Processes()
        self.is_open = False

    @contextlib.contextmanager
    def open(self, owner: str, options: dict[str, Any] | None = None) -> Iterator[Any]:
        """Run a session from `init` to `shutdown` and see that nothing of it is left."""
        before = Before(self.processes)
        self.is_open = True
        try:
            context = actorio.init(**options or {})
            try:
                yield context
            finally:
                actorio.shutdown()
        finally:
            self.is_open = False
        before.check(f"the session of {owner}")


# -- fixtures ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def runtime_directory() -> Iterator[Path]:
    """Give this run a runtime directory of its own; its path is short, as a socket's address must be."""
    with tempfile.TemporaryDirectory(prefix="at-") as folder, pytest.MonkeyPatch.context() as patch:
        # Unbuffered, print() writes a text and its line's end apart, and another thread's line may come between.
        patch.delenv("PYTHONUNBUFFERED", raising=False)
        # Said by whoever runs the tests; a terminal that a test makes has a width of its own.
        patch.delenv("COLUMNS", raising=False)
        patch.setenv("XDG_RUNTIME_DIR", folder)
        # A program of a test joins no session of another test, unless it is told to.
        patch.setenv("ACTORIO_ADDRESS", "local")
        patch.setenv(*RUN_MARK.split("="))
        yield Path(folder)


@pytest.fixture(scope="session")
def _sessions(runtime_directory: Path) -> Sessions:
    # uvloop's first loop opens a pipe for signals that stays: opened here, it is no test's leak.
    uvloop.new_event_loop().close()
    return Sessions()


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest, _sessions: Sessions) -> Iterator[None]:
    """Fail a test that leaves a process, a descriptor, a session directory or a whole session behind."""
    if _sessions.is_open:
        yield
        return
    before = Before(_sessions.processes)
    yield
    if _sessions.is_open:
        return
    if _is_initialized():
        actorio.shutdown()
        pytest.fail(f"{request.node.name} left its session running: end it, or use a session fixture", pytrace=False)
    before.check(request.node.name)


@pytest.fixture(scope="module")
def session(request: pytest.FixtureRequest, _sessions: Sessions) -> Iterator[Any]:
    """A session that the tests of one module share, with its SESSION_OPTIONS; the value is what `init` returned.

    The module is imported once for all actors: each would import it for its classes, and pytest with it, which takes
    longer than all the rest of an actor's start.
    """
    options = {"preload": [request.module.__name__]} | getattr(request.module, "SESSION_OPTIONS", {})
    with _sessions.open(request.node.name, options) as context:
        yield context


@pytest.fixture
def fresh_session(request: pytest.FixtureRequest, nothing_is_left: None, _sessions: Sessions) -> Iterator[Any]:
    """A session for one test alone; the value is what `init` returned."""
    with _sessions.open(request.node.name) as context:
        yield context


@pytest.fixture
def leaks(_sessions: Sessions) -> Callable[[], list[str]]:
    """For tests that end things the hard way: call it for what is left of whatever came after this fixture."""
    return Before(_sessions.processes).leaks


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Run each test marked `anyio` on both event loops."""
    return "asyncio", {"use_uvloop": request.param == "uvloop"}
