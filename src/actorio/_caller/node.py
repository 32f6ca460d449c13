"""The way to the node: one control connection per process, read by a thread of its own.

The node is asked to start and end actors and to tell how they died. Requests are short and leave at once, from any
thread; what comes back (why an actor died, what actors print) is handled in the reading thread. No call and no
result passes here.
"""

from __future__ import annotations

import itertools
import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from actorio._model.certificate import DeathCertificate
from actorio._model.errors import RaySystemError
from actorio._transport.sockets import connect, peer_pid, send_all
from actorio._wire.frames import ProtocolError
from actorio._wire.messages import (
    VERSION,
    AskDeath,
    Create,
    Death,
    Failed,
    Hello,
    Kill,
    Noted,
    Output,
    Record,
    Stop,
    Stopped,
    Welcome,
    control_reader,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorio._wire.frames import Payload
    from actorio._wire.messages import Control, Message

    OnNews = Callable[[Output | Record], None]

# How long the node may take to start, in seconds: a cold Python on a slow disk needs a few.
_START_TIMEOUT = 30.0


class NodeClient:
    """This process's connection to its node.

    Args:
        path: the node's socket.
        role: ``"driver"`` or ``"actor"``.
        on_news: called in the reading thread with what actors print and log; only drivers get any.
        on_lost: called in the reading thread when the node has gone without being asked to.

    Raises:
        OSError, RaySystemError: there is no node, or it does not answer.
    """

    def __init__(
        self, path: str, role: str, on_news: OnNews | None = None, on_lost: Callable[[], None] | None = None
    ) -> None:
        self._on_news = on_news
        self._on_lost = on_lost
        self._numbers = itertools.count(1)
        self._asked: dict[int, tuple[str, Callable[[DeathCertificate | None], None]]] = {}
        self._lock = threading.Lock()
        self._answers: dict[type[Control], threading.Event] = {Stopped: threading.Event(), Noted: threading.Event()}
        self._reader = control_reader()
        self._is_closing = False
        self.is_lost = False
        self.node_pid = self.zygote_pid = self.killed = 0
        self._sock = connect(path, blocking=True)
        try:
            self._greet(role)
        except BaseException:
            self._sock.close()
            raise
        self._thread = threading.Thread(target=self._read, name="actorio-node-client", daemon=True)
        self._thread.start()

    def _greet(self, role: str) -> None:
        self.node_pid = peer_pid(self._sock)
        send_all(self._sock, encode(Hello(VERSION, role, os.getpid())))
        self._sock.settimeout(_START_TIMEOUT)
        while not self.zygote_pid:
            data = self._sock.recv(4096)
            if not data:
                raise RaySystemError("the node ended while it started; its last words are on standard error")
            for message, payload in self._reader.feed(data):
                self._handle(message, payload)
        self._sock.settimeout(None)

    # --- asking, from any thread --------------------------------------------------------------------------------

    def check(self) -> None:
        """Checks that there is a node.

        Raises:
            RaySystemError: it has gone.
        """
        if self.is_lost:
            raise RaySystemError(self._farewell())

    def create(self, actor_id: str, label: str, descriptors: tuple[int, int]) -> None:
        """Has an actor started; its listening socket and its birth go along."""
        self._send(Create(actor_id, label), descriptors=descriptors)

    def kill(self, actor_id: str) -> None:
        """Has an actor ended with SIGKILL."""
        self._send(Kill(actor_id))

    def record(self, record: Record) -> None:
        """Hands on a logging record."""
        self._send(record)

    def report_failure(self, certificate: DeathCertificate, timeout: float) -> None:
        """Says that this actor's constructor has failed, and waits until the node has taken note."""
        self._send(Failed(certificate.actor_id), certificate.encode())
        self._answers[Noted].wait(timeout)

    def ask_death(self, actor_id: str, tell: Callable[[DeathCertificate | None], None]) -> None:
        """Calls ``tell`` in the reading thread with how the actor died, or None when it lives.

        When the node has gone too, the certificate says so, and ``tell`` is called at once in this thread.
        """
        number = next(self._numbers)
        self._asked[number] = (actor_id, tell)
        try:
            self._send(AskDeath(number, actor_id))
        except RaySystemError:
            self._answer_unknown()
        if self.is_lost:
            self._answer_unknown()

    def stop(self, timeout: float) -> bool:
        """Ends the session; returns whether the node said that all is done, within ``timeout`` seconds."""
        self._is_closing = True
        try:
            self._send(Stop())
        except RaySystemError:
            return False
        return self._answers[Stopped].wait(timeout) and not self.is_lost

    def close(self) -> None:
        """Ends the connection and waits for the reading thread."""
        self._is_closing = True
        with self._lock, suppress(OSError):
            # Wakes the reading thread, which closing alone would not.
            self._sock.shutdown(socket.SHUT_RDWR)
        if self._thread is not threading.current_thread():
            self._thread.join(1.0)
        self.abandon()

    def abandon(self) -> None:
        """Closes the socket alone; in a forked child, where the reading thread is none."""
        self.is_lost = True
        self._sock.close()

    def _send(self, message: Message, payload: Payload = b"", descriptors: tuple[int, ...] = ()) -> None:
        if not self.is_lost:
            try:
                with self._lock:
                    send_all(self._sock, encode(message, payload), descriptors)
            except OSError:
                pass
            else:
                return
        raise RaySystemError(self._farewell())

    def _farewell(self) -> str:
        return (
            f"the node (pid {self.node_pid}) of this session has ended, so actors can be neither started nor ended; "
            "call actorio.shutdown() and actorio.init() to begin a new session"
        )

    # --- the reading thread -------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            self._read_all()
        finally:
            self._lose()

    def _read_all(self) -> None:
        while True:
            try:
                data = self._sock.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                break
            try:
                messages = self._reader.feed(data)
            except ProtocolError:
                break
            for message, payload in messages:
                self._handle(message, payload)

    def _handle(self, message: Control, payload: Payload) -> None:
        if isinstance(message, Output | Record):
            if self._on_news is not None:
                self._on_news(message)
        elif isinstance(message, Death):
            _, tell = self._asked.pop(message.id)
            tell(DeathCertificate.decode(bytes(payload)) if payload else None)
        elif isinstance(message, Welcome):
            self.node_pid, self.zygote_pid = message.node_pid, message.zygote_pid
            if message.error:
                raise RaySystemError(f"the session did not start: {message.error}")
        elif isinstance(message, Stopped):
            self.killed = message.killed
            self._answers[Stopped].set()
        elif isinstance(message, Noted):
            self._answers[Noted].set()

    def _lose(self) -> None:
        self.is_lost = True
        for event in self._answers.values():
            event.set()
        self._answer_unknown()
        if not self._is_closing and self._on_lost is not None:
            self._on_lost()

    def _answer_unknown(self) -> None:
        """Answers what the node can no longer answer."""
        while self._asked:
            try:
                _, (actor_id, tell) = self._asked.popitem()
            except KeyError:
                return
            if self._is_closing:
                tell(DeathCertificate(actor_id, "", cause="shutdown"))
            else:
                tell(DeathCertificate(actor_id, "", cause="node_lost", detail=f"pid {self.node_pid}"))
