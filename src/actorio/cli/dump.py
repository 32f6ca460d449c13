"""The stacks of a process that answers nothing: a signal makes it write them to a file, from C, whatever it does."""

from __future__ import annotations

import fcntl
import os
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from actorio._worker.inspection import DUMP_SIGNAL, Frame, ThreadStack
from actorio.cli import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long a process may take to begin its dump, in seconds: a busy machine has to give it a turn.
_TIMEOUT = 3.0
# A dump that has not grown for so long is whole, in seconds.
_SETTLED = 0.05
_PAUSE = 0.005

_THREAD = re.compile(r"(?:Current thread|Thread) 0x([0-9a-f]+)(?: \[([^\]]*)\])?.*\(most recent call first\)")
_FRAME = re.compile(r'  File "(.*)", line (\d+|\?\?\?) in (.*)')


class NoDumpError(Exception):
    """The process has written nothing; the text says why, as far as it can be known."""


def dump(pid: int, path: str) -> list[ThreadStack]:
    """Makes a process write its threads' stacks, and reads them.

    Raises:
        NoDumpError: it has written nothing.
    """
    try:
        with _alone(path) as file:
            size = os.fstat(file).st_size
            if not processes.catches(pid, DUMP_SIGNAL):
                raise NoDumpError("it is too young, or has given up the handler of SIGUSR1")
            os.kill(pid, DUMP_SIGNAL)
            text = _read_from(file, size, pid)
    except FileNotFoundError:
        raise NoDumpError("it has not come so far as to prepare for it") from None
    except ProcessLookupError:
        raise NoDumpError("it has ended") from None
    return parse(text)


@contextmanager
def _alone(path: str) -> Iterator[int]:
    """Opens the file, and keeps others out who want a dump of the same process."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _read_from(file: int, start: int, pid: int) -> str:
    """Waits until nothing is added to a file any more; returns what has come after ``start``."""
    deadline = time.monotonic() + _TIMEOUT
    size, grown = start, 0.0
    while not grown or time.monotonic() - grown < _SETTLED:
        time.sleep(_PAUSE)
        now = os.fstat(file).st_size
        if now > size:
            size, grown = now, time.monotonic()
        elif not grown and time.monotonic() > deadline:
            raise NoDumpError(_silence(pid))
    return os.pread(file, size - start, start).decode(errors="replace")


def _silence(pid: int) -> str:
    found = processes.state(pid)
    hint = {
        "stopped": f"it is stopped; `kill -CONT {pid}` lets it go on",
        "waiting for a device": "it waits in the kernel for a device, and takes no signals meanwhile",
    }.get(found, f"it is {found}, and may have a handler of SIGUSR1 of its own")
    return f"nothing came within {_TIMEOUT:.0f} seconds: {hint}"


def parse(text: str) -> list[ThreadStack]:
    """Reads what the interpreter's fault handler writes; each stack then has its outermost frame first."""
    found: list[ThreadStack] = []
    for line in text.splitlines():
        head, frame = _THREAD.match(line), _FRAME.match(line)
        if head is not None:
            found.append(ThreadStack(head[2] or "", int(head[1], 16), []))
        elif frame is not None and found:
            number = int(frame[2]) if frame[2].isdecimal() else 0
            found[-1].frames.insert(0, Frame(frame[1], number, frame[3]))
    if found and not found[-1].name:
        # Newer threads stand above older ones.
        found[-1].name = "MainThread"
    return found
