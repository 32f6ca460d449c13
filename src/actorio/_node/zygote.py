"""The zygote: a single-threaded process that has imported what actors need, and forks itself into them.

It is the actors' parent: it tells the node how each one ended, and kills them all at the end of the session. When it
forks, it has no other thread and no event loop, which is what makes that safe: those of the rehearsal have ended.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

from actorio._node.boot import encode as encode_boot
from actorio._node.cradles import Cradle, Cradles, is_alive, runs
from actorio._transport.descriptors import close_all
from actorio._transport.directories import remove_session
from actorio._transport.signals import DEFAULT, set_handler, set_mask
from actorio._transport.sockets import accept, receive, send_all
from actorio._wire.frames import ProtocolError
from actorio._wire.messages import (
    Drivers,
    Exited,
    Finish,
    Forget,
    Fork,
    Forked,
    ForkFailed,
    Kept,
    Ready,
    Signal,
    encode,
    zygote_reader,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import ModuleType

    from actorio._node.boot import Boot
    from actorio._wire.messages import Message

# The zygote's socket in the session's directory, where a new node finds it.
ADOPTION = "zygote"
_PR_SET_PDEATHSIG = 1
# Descriptors that come with each `Fork`: four for the actor itself, two that are kept for the next node.
_DESCRIPTORS, _OWN = 6, 4
# Without a node: how long the zygote waits for a new one, and how often it looks whether anybody would, in seconds.
_ORPHAN_LIMIT, _ORPHAN_PAUSE = 30.0, 0.25
_PLUGS = 300


def fork_is_safe() -> bool:
    """May a process here fork and go on in Python? Not on macOS, whose system libraries start threads."""
    chosen = os.environ.get("ACTORIO_START_METHOD", "")
    return chosen != "spawn" and sys.platform != "darwin"


class Zygote:
    """The zygote's work. In its own process, in its only thread.

    It outlives its node: when that is killed, the actors go on, and a new node finds the zygote at its socket. Only
    when none comes does it end them.

    Args:
        sock: the connection to the node.
        adoption: listens for another node.
    """

    def __init__(self, boot: Boot, entry: ModuleType, sock: socket.socket, adoption: socket.socket) -> None:
        self._boot = boot
        self._entry = entry
        self._sock: socket.socket | None = sock
        self._adoption = adoption
        self._cradles = Cradles()
        # Of each living child: the actor that it is.
        self._children: dict[int, str] = {}
        # For whom the session stays.
        self._drivers: list[int] = []
        # What no node has heard yet.
        self._unheard: list[Message] = []
        # Of each actor that has died without a node: its process.
        self._departed: dict[str, int] = {}
        self._reader = zygote_reader()
        self._descriptors: list[int] = []
        self._wake_read, self._wake_write = os.pipe()
        self._die_with_parent = _parent_death_signal()
        self._orphaned_at = 0.0

    def run(self) -> None:
        """Serves the node until the session is over; then ends every actor and removes the session's directory."""
        self._send(Ready(self._preload()))
        if fork_is_safe():
            self._become_template()
        self._watch_children()
        self._poll = select.poll()
        for descriptor in (self._wake_read, self._adoption.fileno()):
            self._poll.register(descriptor, select.POLLIN)
        self._listen_to_node()
        while self._turn():
            pass
        self._end_all()

    def _preload(self) -> str:
        self._entry.settle_in(self._boot.surroundings)
        for name in self._boot.preload:
            try:
                importlib.import_module(name)
            except BaseException as error:  # a user's module may raise anything
                return f"init(preload=...) could not import {name!r}: {type(error).__name__}: {error}"
        return ""

    def _become_template(self) -> None:
        """Does once what every actor would have to do."""
        try:
            self._entry.warm_up(self._boot.surroundings, self._boot.directory)
        except Exception:
            # Without it, actors cost more. Modules that a user has preloaded may have changed anything.
            traceback.print_exc()
        self._plugs = _plug_holes()
        self._entry.prepare(self._boot.directory)
        gc.freeze()

    def _watch_children(self) -> None:
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _do_nothing)

    def _turn(self) -> bool:
        """Handles what has happened; returns whether the session goes on."""
        ready = {fd for fd, _ in self._poll.poll(None if self._sock is not None else _ORPHAN_PAUSE * 1000)}
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
            self._reap()
        if self._sock is not None and self._sock.fileno() in ready and not self._serve(self._sock):
            return False
        if self._adoption.fileno() in ready:
            self._meet()
        return self._sock is not None or self._is_worth_waiting()

    def _send(self, message: Message, payload: bytes = b"", descriptors: tuple[int, ...] = ()) -> None:
        # When the node has gone, the next read says so.
        if self._sock is not None:
            with suppress(OSError):
                send_all(self._sock, encode(message, payload), descriptors)

    def _tell(self, message: Message) -> None:
        if self._sock is None:
            self._unheard.append(message)
        else:
            self._send(message)

    def _serve(self, sock: socket.socket) -> bool:
        """Does what the node wants; returns False when that is to end."""
        try:
            data = receive(sock, self._descriptors)
            messages = self._reader.feed(data) if data else []
        except (OSError, ProtocolError):
            data = b""
        if not data:
            self._lose_node(sock)
            return True
        for message, payload in messages:
            if isinstance(message, Fork):
                self._start(message, bytes(payload))
            elif isinstance(message, Signal) and message.pid in self._children:
                _signal_group(message.pid, message.number)
            elif isinstance(message, Forget):
                self._cradles.forget(message.actor_id)
            elif isinstance(message, Drivers):
                self._drivers = message.pids
            elif isinstance(message, Finish):
                return False
        return True

    # --- without a node -----------------------------------------------------------------------------------------

    def _listen_to_node(self) -> None:
        if self._sock is not None:
            self._poll.register(self._sock.fileno(), select.POLLIN)

    def _lose_node(self, sock: socket.socket) -> None:
        self._poll.unregister(sock.fileno())
        sock.close()
        self._sock = None
        self._orphaned_at = time.monotonic()
        close_all(self._descriptors)
        self._descriptors.clear()

    def _is_worth_waiting(self) -> bool:
        """May a new node still come? Not when nobody misses the actors, nor after too long a time."""
        is_missed = self._cradles.are_missed() or any(map(is_alive, self._drivers))
        return is_missed and time.monotonic() - self._orphaned_at < _ORPHAN_LIMIT

    def _meet(self) -> None:
        """Takes a new node, unless there is one: then whoever came sees the connection end."""
        sock = accept(self._adoption)
        if sock is None:
            return
        if self._sock is not None:
            sock.close()
            return
        sock.setblocking(True)
        self._sock, self._reader = sock, zygote_reader()
        self._listen_to_node()
        pids = {**self._departed, **{actor_id: pid for pid, actor_id in self._children.items()}}
        self._departed.clear()
        for actor_id, cradle in self._cradles.by_id.items():
            kept = Kept(actor_id, pids.get(actor_id, 0), len(cradle.descriptors))
            self._send(kept, cradle.spec, cradle.descriptors)
        for message in self._unheard:
            self._send(message)
        self._unheard.clear()
        self._send(Ready(drivers=self._drivers), encode_boot(self._boot), (self._boot.lock,))

    # --- starting -----------------------------------------------------------------------------------------------

    def _start(self, message: Fork, spec: bytes) -> None:
        descriptors, self._descriptors = self._descriptors[:_DESCRIPTORS], self._descriptors[_DESCRIPTORS:]
        own, reading = descriptors[:_OWN], descriptors[_OWN:]
        kept, closed = (reading + own[:2], own[2:]) if message.is_restartable else (reading, own)
        try:
            pid = (
                self._fork(own, reading, message.gpus)
                if fork_is_safe()
                else _spawn(self._entry.__name__, own, message.gpus)
            )
        except OSError as error:
            self._tell(ForkFailed(message.actor_id, str(error)))
        else:
            self._children[pid] = message.actor_id
            self._tell(Forked(message.actor_id, pid))
        self._cradles.keep(message.actor_id, Cradle(spec, tuple(kept), message.owner_pid))
        close_all(closed)

    def _fork(self, own: list[int], reading: list[int], gpus: str | None) -> int:
        zygote = os.getpid()
        listener, birth, stdout, stderr = own
        # Found out here, where the code is warm and what it writes is written once.
        unwanted = list(runs([stdout, stderr, *reading, *self._own_descriptors()]))
        # The actor lets SIGTERM through when it is ready for a graceful end.
        set_mask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            pid = os.fork()
        except OSError:
            set_mask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            raise
        if pid:
            set_mask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            # Both do it, so that it is done for whoever comes first.
            with suppress(OSError):
                os.setpgid(pid, pid)
            return pid
        try:
            self._become_actor(zygote)
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            for low, high in unwanted:
                os.closerange(low, high)
            self._entry.run(listener, birth, gpus)
        except BaseException:  # the child must never return into the zygote's work
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(1)

    def _own_descriptors(self) -> list[int]:
        """Returns what an actor must not have of this process's."""
        own = [self._wake_read, self._wake_write, self._adoption.fileno(), self._boot.lock, *self._descriptors]
        if self._sock is not None:
            own.append(self._sock.fileno())
        return own + self._cradles.descriptors()

    def _become_actor(self, zygote: int) -> None:
        """Puts away what is the zygote's. In the child, which keeps the objects whose descriptors it has closed."""
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        set_handler(signal.SIGCHLD, DEFAULT)
        if self._die_with_parent is not None:
            self._die_with_parent(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != zygote:
            # It was killed before the line above.
            os._exit(1)
        gc.enable()

    # --- ending -------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            actor_id = self._children.pop(pid, "")
            if self._sock is None:
                self._departed[actor_id] = pid
            # Whatever the actor had started goes with it.
            _signal_group(pid, signal.SIGKILL)
            self._tell(Exited(pid, os.waitstatus_to_exitcode(status)))

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


def _spawn(entry: str, descriptors: list[int], gpus: str | None) -> int:
    listener, birth, stdout, stderr = descriptors
    command = [sys.executable, "-m", entry, str(listener), str(birth), *([] if gpus is None else [gpus])]
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

    prctl: Callable[[int, int], object] = ctypes.CDLL(None).prctl
    return prctl


def _do_nothing(_number: int, _frame: object) -> None:
    """A handler, so that SIGCHLD wakes the poll."""
