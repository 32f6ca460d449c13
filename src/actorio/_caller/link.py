"""The connection to the node: sends from any thread, reads in one of its own.

When the node is killed, the reading thread connects to its successor, which it starts if nobody else has, says again
what has to be said again, and goes on. What is sent meanwhile waits.
"""

from __future__ import annotations

import errno
import select
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from actorio._caller import revival
from actorio._model.errors import RaySystemError
from actorio._transport.sockets import send_all
from actorio._wire import messages as m
from actorio._wire.frames import FrameReader, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actorio._caller.requests import Asked
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Control, Hello, Message

# How long the node may take to start, in seconds: a cold Python on a slow disk needs a few.
_START_TIMEOUT = 30.0
# How long a message waits for another node, in seconds.
_REPLACEMENT_TIMEOUT = 60.0
# How often another node is tried for, and how long the pause is, in seconds.
_TRIES, _PAUSE = 10, 0.05


class NodeLink:
    """A connection that outlives its node.

    Args:
        directory: the session's directory.
        hello: who this process is.
        handle: called with each message, in the reading thread; with the first ones in the thread that makes this.
        repeat: returns what a new node has to be told.
        on_end: called in the reading thread when there is no node any more, nor will be.
        patience: how long the node may take to answer at first, in seconds.

    Raises:
        OSError, RaySystemError: there is no node, or it does not answer.
    """

    def __init__(
        self,
        directory: str,
        hello: Hello,
        handle: Callable[[Control, Payload], None],
        repeat: Callable[[], Iterable[Asked]],
        on_end: Callable[[], None],
        *,
        patience: float | None,
    ) -> None:
        self._patience = patience or _START_TIMEOUT
        self.is_lost = False
        # Whoever has it closed is not to be told of its end, and wants no other node.
        self.is_closing = False
        self.node_pid = self.zygote_pid = 0
        self.resources: dict[str, int] = {}
        # What the node that is being greeted has answered.
        self._welcome: m.Welcome | None = None
        self._directory = directory
        self._hello = hello
        self._handle = handle
        self._repeat = repeat
        self._on_end = on_end
        self._lock = threading.RLock()
        # Says that there is another node to talk to, or no hope of one.
        self._changed = threading.Condition()
        self._reader: FrameReader[Control] = m.control_reader()
        self._sock = self._connect(revival.connect_or_revive(directory))
        self._thread = threading.Thread(target=self._run, name="actorio-node-client", daemon=True)

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def _connect(self, sock: socket.socket) -> socket.socket:
        """Greets a node; returns the connection to it."""
        self._reader = m.control_reader()
        self._welcome = None
        try:
            send_all(sock, m.encode(self._hello))
            sock.settimeout(self._patience)
            self._await_welcome(sock)
            sock.settimeout(None)
        except BaseException:
            sock.close()
            raise
        return sock

    def _await_welcome(self, sock: socket.socket) -> None:
        while self._welcome is None:
            self._take(self._first_words(sock))
        if self._welcome.error:
            raise RaySystemError(f"the session did not start: {self._welcome.error}")

    def _first_words(self, sock: socket.socket) -> bytes:
        try:
            data = sock.recv(4096)
        except TimeoutError:
            text = f"it has not answered for {self._patience:g} seconds and may be stopped; `actorio stop` ends it"
            raise TimeoutError(errno.ETIMEDOUT, f"the node of the session {self._directory}: {text}") from None
        except ConnectionResetError:
            data = b""
        if not data:
            words = revival.last_words(self._directory)
            raise RaySystemError(f"the node ended while it started{': ' + words if words else ''}")
        return data

    def _take(self, data: bytes) -> None:
        for message, payload in self._reader.feed(data):
            if isinstance(message, m.Welcome):
                self.node_pid, self.zygote_pid = message.node_pid, message.zygote_pid
                self.resources = message.resources
                self._welcome = message
                continue
            if isinstance(message, m.Stopped):
                # There is no other node to look for: the session is over, or this process has left it.
                self.is_closing = True
            self._handle(message, payload)

    # --- sending ------------------------------------------------------------------------------------------------

    def send(
        self,
        message: Message,
        payload: Payload = b"",
        descriptors: tuple[int, ...] = (),
        on_sent: Callable[[], None] | None = None,
    ) -> None:
        """Sends a message; waits when the node is just being replaced.

        ``on_sent`` is called when it has left, before another node can be told anything.

        Raises:
            RaySystemError: the session has ended.
            OSError: the system does not take it: too many descriptors are on their way.
        """
        data = m.encode(message, payload)
        while not self.is_lost:
            try:
                with self._lock:
                    sock = self._sock
                    send_all(sock, data, descriptors)
                    if on_sent is not None:
                        on_sent()
            except OSError as error:
                if not isinstance(error, ConnectionError) and not self.is_lost:
                    # Not for want of a node: another one would not take it either.
                    raise
                if self.is_closing or not self._is_replaced(sock):
                    break
            else:
                return
        raise RaySystemError(self.farewell())

    def offer(self, message: Message) -> None:
        """Sends a message if there is a node; for what another node will be told anyway. Waits for no other node."""
        try:
            with self._lock:
                if not self.is_lost:
                    send_all(self._sock, m.encode(message))
        except OSError as error:
            if error.errno is None:
                # A signal handler's: `TimeoutError` is one as well.
                raise

    def send_within(self, message: Message, seconds: float) -> bool:
        """Sends a short message; returns False when there is no node, or it takes nothing for so long."""
        if not self._lock.acquire(timeout=seconds):
            return False
        try:
            if not _is_writable(self._sock, seconds):
                return False
            send_all(self._sock, m.encode(message))
        except OSError:
            return False
        finally:
            self._lock.release()
        return True

    def _is_replaced(self, sock: socket.socket) -> bool:
        """Waits until the reading thread has seen the end of a connection; returns whether there is another."""
        if threading.current_thread() is self._thread:
            return False
        with suppress(OSError):
            # A reader that has not noticed yet does so now.
            sock.shutdown(socket.SHUT_RDWR)
        with self._changed:
            self._changed.wait_for(lambda: self._sock is not sock or self.is_lost, _REPLACEMENT_TIMEOUT)
        return not self.is_lost

    def farewell(self) -> str:
        """Returns what to tell whoever needs the node when there is none any more."""
        return (
            f"the session of this process has ended, and its node (pid {self.node_pid}) with it, so actors can be "
            "neither started nor ended; call actorio.shutdown() and actorio.init() to begin a new session"
        )

    def hang_up(self) -> None:
        """Ends the connection: whoever reads or sends is told, which closing alone would not do."""
        self.is_closing = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends the connection and waits for the reading thread."""
        self.hang_up()
        if self._thread is not threading.current_thread():
            self._thread.join(1.0)
        self.abandon()

    def abandon(self) -> None:
        """Closes the socket alone; in a forked child, where the reading thread is none."""
        self.is_lost = True
        self._sock.close()

    # --- the reading thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._read()
            while not self.is_closing and self._rejoin():
                self._read()
        finally:
            self.is_lost = True
            with self._changed:
                self._changed.notify_all()
            self._on_end()

    def _read(self) -> None:
        while True:
            try:
                data = self._sock.recv(1 << 16)
            except OSError:
                return
            if not data:
                return
            try:
                self._take(data)
            except ProtocolError:
                return

    def _rejoin(self) -> bool:
        """Connects to the next node; returns False when the session has ended."""
        sock = self._find_successor()
        if sock is None:
            return False
        with self._lock:
            old, self._sock = self._sock, sock
            old.close()
            try:
                for message, payload, descriptors in self._repeat():
                    send_all(sock, m.encode(message, payload), descriptors)
            except OSError:
                # That one was killed, too: the reader sees it, and tries again.
                return True
        with self._changed:
            self._changed.notify_all()
        revival.reap()
        return True

    def _find_successor(self) -> socket.socket | None:
        for _ in range(_TRIES):
            try:
                return self._connect(revival.connect_or_revive(self._directory))
            except FileNotFoundError:
                # The directory goes with the session.
                return None
            except (OSError, RaySystemError):
                # The old node may still be dying, or the new one has been killed at once.
                time.sleep(_PAUSE)
            if self.is_closing:
                return None
        return None


def _is_writable(sock: socket.socket, seconds: float) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))
