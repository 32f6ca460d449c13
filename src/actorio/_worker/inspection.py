"""Looking into an actor while it works: how busy it is, where its threads are, what its tasks wait for.

Two ways in. `Meter` answers questions that come in on the actor's own socket, in the thread of the loop that reads it;
methods in other threads may run on. When that loop is stuck, a signal makes the process write its threads' stacks to a
file, from C and whatever it does: see `install_stack_dump`.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import threading
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from actorio._model.status import ActorStatistics
from actorio._wire.messages import Inspect, Limit, Room
from actorio._wire.payload import dumps
from actorio._worker.executor import decline

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from actorio._transport.serving import Connection
    from actorio._wire.messages import Inbound
    from actorio._worker.wait_report import WaitReport


# What `Inspect` may ask for; the summary is for programs, and comes pickled.
STATISTICS, STACKS, SUMMARY, WAITS = "stats", "tasks", "summary", "waits"
# The signal that makes an actor write its threads' stacks.
DUMP_SIGNAL = signal.SIGUSR1

# Percentiles are of calls that ended so recently, in seconds, and of so many of them at most.
_RECENT = 5.0
_KEPT = 512
# Of calls shorter than this, in seconds, one in sixteen is timed: reading the clock would cost more than they can bear.
_TINY = 0.0005
_SKIPPED = 15
_DEEPEST = 100
_TO_ITS_END = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
# Where a loop enters this package to read a question.
_READS = "Connection._read"


class Queue(Protocol):
    """What is read of a mailbox: how many calls run, and by its length how many wait."""

    @property
    def running(self) -> int: ...

    def __len__(self) -> int: ...


class Intake(Protocol):
    """What is read of whatever stands around a mailbox."""

    @property
    def mailbox(self) -> Queue: ...

    def waits(self, connection: Connection) -> WaitReport: ...

    def answer(self, connection: Connection, request: Room | Limit) -> None:
        """Answers who wants to know when there is room, or wants another number of calls to run."""


class Frame(msgspec.Struct, array_like=True):
    """One line of a stack."""

    file: str
    line: int
    function: str


class ThreadStack(msgspec.Struct, array_like=True):
    """Where a thread is, outermost frame first."""

    name: str
    ident: int
    frames: list[Frame]


class TaskStack(msgspec.Struct, array_like=True):
    """What a task waits for: the coroutines that await each other, outermost first, and what the last one awaits."""

    name: str
    awaits: str
    frames: list[Frame]


class Stacks(msgspec.Struct, array_like=True):
    """All threads of an actor, and the tasks of its loop."""

    threads: list[ThreadStack]
    tasks: list[TaskStack]


class Meter:
    """Counts and times one actor's calls, and answers questions about them.

    The dispatcher does its part inline, since every call pays for it: it adds the requests of a batch to ``arrived``;
    and before a call it takes the time, unless ``skipped`` is positive: then it takes one off instead. After a call
    whose time was taken it calls `note`. Threads may do so at once: what they may spoil is one sample.
    """

    __slots__ = ("_times", "arrived", "skipped")

    def __init__(self) -> None:
        self.arrived = 0
        self.skipped = 0
        # When a call ended and how long it took, on the monotonic clock.
        self._times: deque[tuple[float, float]] = deque(maxlen=_KEPT)

    def note(self, started: float) -> None:
        """A call that began at ``started`` has ended."""
        ended = monotonic()
        self._times.append((ended, ended - started))
        if ended - started < _TINY:
            self.skipped = _SKIPPED

    def statistics(self, mailbox: Queue) -> ActorStatistics:
        """Returns how busy the actor is."""
        running, queued = mailbox.running, len(mailbox)
        since = monotonic() - _RECENT
        recent = sorted(took for ended, took in self._snapshot() if ended >= since)
        calls = max(0, self.arrived - running - queued)
        if not recent:
            return ActorStatistics(calls, running, queued, None, None)
        return ActorStatistics(calls, running, queued, recent[len(recent) // 2], recent[len(recent) * 99 // 100])

    def _snapshot(self) -> list[tuple[float, float]]:
        # Threads go on adding; a copy that they disturb is made again.
        for _ in range(3):
            with suppress(RuntimeError):
                return list(self._times)
        return []

    def answer(self, connection: Connection, request: Inbound, intake: Intake) -> None:
        """Answers a request that is no call. In the thread of the loop that read it."""
        self.arrived -= 1
        if isinstance(request, Room | Limit):
            intake.answer(connection, request)
            return
        if type(request) is not Inspect:
            decline(connection, request)
            return
        if request.what == SUMMARY:
            payload = dumps(self.statistics(intake.mailbox))
        else:
            payload = msgspec.msgpack.encode(self._told(connection, request.what, intake))
        connection.reply_now(connection.peer.result(request.id, payload))

    def _told(self, connection: Connection, what: str, intake: Intake) -> ActorStatistics | Stacks | WaitReport:
        if what == STATISTICS:
            return self.statistics(intake.mailbox)
        return intake.waits(connection) if what == WAITS else stacks(asyncio.get_running_loop())


# --- stacks, as the actor tells them ---------------------------------------------------------------------------------


def stacks(loop: asyncio.AbstractEventLoop) -> Stacks:
    """Returns where this process's threads are, and what the tasks of a loop wait for. In the loop's thread."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    found = [
        ThreadStack(names.get(ident, "(not Python's)"), ident, _frames_of(frame))
        for ident, frame in sys._current_frames().items()  # noqa: SLF001  # the documented way to see other threads
    ]
    for thread in found:
        if thread.ident == threading.get_ident():
            # Without this question it would wait.
            functions = [frame.function for frame in thread.frames]
            del thread.frames[functions.index(_READS) if _READS in functions else len(functions) :]
    return Stacks(found, describe_tasks(loop))


def describe_tasks(loop: asyncio.AbstractEventLoop) -> list[TaskStack]:
    """Returns what the tasks of a loop wait for, in the order of their names. In the loop's thread."""
    found = [_describe(task) for task in asyncio.all_tasks(loop)]
    return sorted(found, key=lambda task: (len(task.name), task.name))


def _describe(task: asyncio.Task[Any]) -> TaskStack:
    frames: list[Frame] = []
    awaited: Any = task.get_coro()
    # A suspended task shows its outermost frame alone: the others hang on what it awaits.
    while awaited is not None and len(frames) < _DEEPEST:
        state = _state_of(awaited)
        if state is None:
            break
        frame, following = state
        if frame is not None:
            frames.append(_frame(frame.f_code, frame.f_lineno))
        awaited = following
    kind = type(awaited)
    # What a future of C hands out instead of itself.
    name = "a future" if kind.__module__ == "_asyncio" else f"{kind.__module__}.{kind.__qualname__}"
    return TaskStack(task.get_name(), "" if awaited is None else name, frames)


def _state_of(awaited: Any) -> tuple[FrameType | None, Any] | None:
    """Returns the frame of a coroutine or generator, and what it awaits; None for anything else."""
    for frame, following in (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await")):
        # By the type: an object of the user's may answer to any name.
        if hasattr(type(awaited), frame):
            return getattr(awaited, frame), getattr(awaited, following)
    return None


def _frames_of(frame: FrameType | None) -> list[Frame]:
    found: list[Frame] = []
    while frame is not None and len(found) < _DEEPEST:
        found.append(_frame(frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return found[::-1]


def _frame(code: CodeType, line: int | None) -> Frame:
    return Frame(code.co_filename, line or 0, code.co_qualname)


# --- stacks, as the interpreter writes them --------------------------------------------------------------------------


def dump_path(address: str) -> str:
    """Returns the file that the actor that listens at ``address`` writes its threads' stacks to."""
    return f"{address}.stack"


def install_stack_dump(path: str) -> int:
    """Has `DUMP_SIGNAL` write all threads' stacks to the end of a file; without it where the file cannot be made.

    The signal is handled in C, so neither a busy loop nor a call that never returns keeps the stacks back. Returns the
    file's descriptor, -1 when there is none.
    """
    try:
        file = os.open(path, _TO_ITS_END, 0o600)
    except OSError:
        return -1
    faulthandler.register(DUMP_SIGNAL, file=file, all_threads=True, chain=False)
    return file


def remove_stack_dump(file: int) -> None:
    """Undoes `install_stack_dump`."""
    if file >= 0:
        faulthandler.unregister(DUMP_SIGNAL)
        os.close(file)
