"""A new node for a session whose node was killed. Whoever needs it first starts it; the others find it there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from actorio._transport.locks import hold_lock, let_go_of_lock
from actorio._transport.sockets import connect, listen, unlink

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

# The module that is an actor's life: what the node is told to start.
ENTRY = "actorio._worker.process"
# How often a node that is to end is looked at, in seconds.
_PAUSE = 0.002
# So many characters of a node's standard error are quoted.
_LAST_WORDS = 4000
# Nodes that this process has started, to be waited for when they have ended.
_STARTED: list[subprocess.Popen[bytes]] = []


def connect_or_revive(directory: str) -> socket.socket:
    """Returns a connection to the node of a session, a new one if it was killed. Blocks for a tenth of a second then.

    Raises:
        OSError: the session has ended.
    """
    path = f"{directory}/node"
    try:
        return connect(path, blocking=True)
    except (FileNotFoundError, ConnectionRefusedError):
        with _alone(directory):
            try:
                return connect(path, blocking=True)
            except (FileNotFoundError, ConnectionRefusedError):
                _start(directory, path)
        return connect(path, blocking=True)


@contextmanager
def _alone(directory: str) -> Iterator[None]:
    """Keeps other processes out."""
    fd = hold_lock(f"{directory}/revival", os.O_CREAT | os.O_RDWR)
    try:
        yield
    finally:
        let_go_of_lock(fd)


def _start(directory: str, path: str) -> None:
    unlink(path)
    with listen(path) as listener, open_log(directory) as log:
        fd = listener.fileno()
        command = [sys.executable, "-m", "actorio._node", ENTRY, "--rejoin", directory, str(fd)]
        process = subprocess.Popen(  # noqa: S603  # our own module
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=(fd,),
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(import_path())},
        )
    note_started(process)


def open_log(directory: str) -> BinaryIO:
    """Opens the file that takes what a node and its zygote write to standard error."""
    return open(f"{directory}/node.log", "ab")  # noqa: PTH123  # the caller closes it


def last_words(directory: str) -> str:
    """Returns what a node or zygote has written to standard error, "" when there is nothing."""
    try:
        with open(f"{directory}/node.log", encoding="utf-8", errors="replace") as log:  # noqa: PTH123
            return log.read()[-_LAST_WORDS:].strip()
    except OSError:
        return ""


def note_started(process: subprocess.Popen[bytes]) -> None:
    """Remembers a node that this process has started, to wait for it when it has ended."""
    _STARTED.append(process)


def reap() -> None:
    """Waits for those nodes started here that have ended; leaves the others alone."""
    for process in list(_STARTED):
        if process.poll() is not None:
            _STARTED.remove(process)


def end_all(timeout: float) -> bool:
    """Waits until all nodes started here have ended; kills those that have not after ``timeout`` seconds.

    Returns whether there were any.
    """
    if not _STARTED:
        return False
    deadline = time.monotonic() + timeout
    reap()
    while _STARTED and time.monotonic() < deadline:
        time.sleep(_PAUSE)
        reap()
    for process in _STARTED:
        kill_family(process)
    _STARTED.clear()
    return True


def kill_family(process: subprocess.Popen[bytes]) -> None:
    """Kills a node and a zygote that it has started, which share its process group; actors end with their zygote."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def disown() -> None:
    """Forgets the nodes started here, which live on: somebody else needs them."""
    for process in _STARTED:
        process.returncode = 0
    _STARTED.clear()


def import_path() -> list[str]:
    """Returns the module path for a node, on which it finds this package wherever this process did."""
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    given = os.environ.get("PYTHONPATH", "")
    return [here, *filter(None, given.split(os.pathsep))]
