"""The zygote: a single-threaded process that has imported what actors need, and forks itself into them.

It is the actors' parent: it tells the node how each one ended, and kills them all when the node has gone. It never
runs a thread or an event loop, which is what makes forking it safe.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from actorio._transport.directories import remove_session
from actorio._transport.sockets import receive, send_all
from actorio._wire.messages import Exited, Fork, Forked, ForkFailed, Ready, Signal, encode, zygote_reader

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import ModuleType

    from actorio._node.boot import Boot
    from actorio._wire.messages import Message

_PR_SET_PDEATHSIG = 1
# Descriptors that come with each `Fork`: listening socket, birth, stdout, stderr.
_DESCRIPTORS = 4
_PLUGS = 300


def fork_is_safe() -> bool:
    """May a process here fork and go on in Python? Not on macOS, whose system libraries start threads."""
    chosen = os.environ.get("ACTORIO_START_METHOD", "")
    return chosen != "spawn" and sys.platform != "darwin"


class Zygote:
    """The zygote's work. In its own process, in its only thread."""

    def __init__(self, boot: Boot, entry: ModuleType, sock: socket.socket) -> None:
        self._boot = boot
        self._entry = entry
        self._sock = sock
        self._children: set[int] = set()
        self._reader = zygote_reader()
        self._descriptors: list[int] = []
        self._wake_read, self._wake_write = os.pipe()
        self._die_with_parent = _parent_death_signal()

    def run(self) -> None:
        """Serves the node until it has gone; then ends every actor and removes the session's directory."""
        self._send(Ready(self._preload()))
        # Code that has run once in the template is shared by all actors in its final, specialised form.
        self._entry.warm_up(self._boot.surroundings)
        self._plugs = _plug_holes()
        gc.freeze()
        self._watch_children()
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
                self._reap()
            if self._sock.fileno() in ready and not self._serve():
                break
        self._end_all()

    def _preload(self) -> str:
        self._entry.settle_in(self._boot.surroundings)
        for name in self._boot.preload:
            try:
                importlib.import_module(name)
            except BaseException as error:  # a user's module may raise anything
                return f"init(preload=...) could not import {name!r}: {type(error).__name__}: {error}"
        return ""

    def _watch_children(self) -> None:
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _do_nothing)

    def _send(self, message: Message) -> None:
        # When the node has gone, the next read says so.
        with suppress(OSError):
            send_all(self._sock, encode(message))

    def _serve(self) -> bool:
        try:
            data = receive(self._sock, self._descriptors)
        except OSError:
            return False
        if not data:
            return False
        for message, _ in self._reader.feed(data):
            if isinstance(message, Fork):
                descriptors, self._descriptors = self._descriptors[:_DESCRIPTORS], self._descriptors[_DESCRIPTORS:]
                self._start(message.actor_id, descriptors)
            elif isinstance(message, Signal) and message.pid in self._children:
                _signal_group(message.pid, message.number)
        return True

    # --- starting -----------------------------------------------------------------------------------------------

    def _start(self, actor_id: str, descriptors: list[int]) -> None:
        try:
            pid = self._fork(descriptors) if fork_is_safe() else _spawn(self._entry.__name__, descriptors)
        except OSError as error:
            self._send(ForkFailed(actor_id, str(error)))
        else:
            self._children.add(pid)
            self._send(Forked(actor_id, pid))
        for descriptor in descriptors:
            os.close(descriptor)

    def _fork(self, descriptors: list[int]) -> int:
        zygote = os.getpid()
        pid = os.fork()
        if pid:
            # Both do it, so that it is done for whoever comes first.
            with suppress(OSError):
                os.setpgid(pid, pid)
            return pid
        try:
            self._become_actor(zygote, *descriptors)
        except BaseException:  # the child must never return into the zygote's work
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(1)

    def _become_actor(self, zygote: int, listener: int, birth: int, stdout: int, stderr: int) -> NoReturn:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if self._die_with_parent is not None:
            self._die_with_parent(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != zygote:
            # It was killed before the line above.
            os._exit(1)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        for descriptor in (stdout, stderr, null, self._wake_read, self._wake_write, *self._descriptors):
            os.close(descriptor)
        self._sock.close()
        gc.enable()
        self._entry.run(listener, birth)
        raise AssertionError("an actor's life does not return")

    # --- ending -------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._children.discard(pid)
            # Whatever the actor had started goes with it.
            _signal_group(pid, signal.SIGKILL)
            self._send(Exited(pid, os.waitstatus_to_exitcode(status)))

    def _end_all(self) -> None:
        for pid in self._children:
            _signal_group(pid, signal.SIGKILL)
        for pid in self._children:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        remove_session(self._boot.directory)


def _plug_holes() -> list[object]:
    """Returns small objects that fill the holes which start-up has left in the heap.

    New objects of an actor then come to lie together in fresh pages, not one by one in pages shared with the
    template, each of which the kernel would have to copy.
    """
    gc.collect()
    plugs: list[object] = [bytes(size) for size in range(480) for _ in range(20)]
    plugs.extend(float(number) for number in range(_PLUGS))
    plugs.extend(object() for _ in range(_PLUGS))
    return plugs


def _spawn(entry: str, descriptors: list[int]) -> int:
    listener, birth, stdout, stderr = descriptors
    command = [sys.executable, "-m", entry, str(listener), str(birth)]
    process = subprocess.Popen(  # noqa: S603  # our own module
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        pass_fds=(listener, birth),
        process_group=0,
    )
    # Reaped with all other children, not by Popen.
    process.returncode = 0
    return process.pid


def _signal_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _parent_death_signal() -> Callable[[int, int], object] | None:
    """Returns Linux's prctl, by which the kernel kills an actor whose zygote was killed."""
    if sys.platform != "linux":
        return None
    import ctypes  # only here, once, before any fork

    prctl: Callable[[int, int], object] = ctypes.CDLL(None, use_errno=True).prctl
    return prctl


def _do_nothing(_number: int, _frame: object) -> None:
    """A handler, so that SIGCHLD wakes the poll."""
