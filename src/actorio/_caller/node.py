"""The way to the node: one control connection per process, read by a thread of its own.

The node is asked to start and end actors, to find them by name, and to tell how they died. What needs no answer leaves
at once, from any thread; what comes back is handled in the reading thread. No call and no result passes here.

When the node is killed, the reading thread connects to its successor, which it starts if nobody else has: it says
again what this process holds and asks again what was not answered. Requests made meanwhile wait.
"""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from actorio._caller import revival
from actorio._model.certificate import DeathCertificate
from actorio._model.errors import RaySystemError
from actorio._transport.sockets import peer_pid, send_all
from actorio._wire import messages as m
from actorio._wire.frames import FrameReader, ProtocolError
from actorio._wire.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actorio._wire.frames import Payload
    from actorio._wire.messages import Control, Event, Message, Output, Record

    OnNews = Callable[[Output | Record], None]
    OnEvent = Callable[[Event | None, DeathCertificate | None], None]

# How long the node may take to start, in seconds: a cold Python on a slow disk needs a few.
_START_TIMEOUT = 30.0
# How long a request waits for a node, or for its answer, in seconds.
_ANSWER_TIMEOUT = 60.0
# How often another node is tried for, and how long the pause is, in seconds.
_TRIES, _PAUSE = 10, 0.05


class NodeClient:
    """This process's connection to its node.

    Args:
        directory: the session's directory.
        role: ``"driver"``, ``"actor"`` or ``"tool"``.
        actor_id: an actor's own id.
        on_news: called in the reading thread with what actors print and log; only drivers get any.
        on_lost: called in the reading thread when the session has ended without being asked to.

    Attributes:
        holdings: returns what this process holds, to tell a new node.

    Raises:
        OSError, RaySystemError: there is no node, or it does not answer.
    """

    def __init__(
        self,
        directory: str,
        role: str,
        *,
        actor_id: str = "",
        on_news: OnNews | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self.directory = directory
        self.peer = os.urandom(8).hex()
        self.is_lost = False
        self.node_pid = self.zygote_pid = self.killed = 0
        self.is_over = self._has_left = False
        self._hello = m.Hello(VERSION, role, os.getpid(), self.peer, actor_id)
        self._on_news = on_news
        self._on_lost = on_lost
        self.holdings: Callable[[], Iterable[Message]] = tuple
        self._numbers = itertools.count(1)
        # Requests that wait for an answer: what to send again to a new node, and whom to tell.
        self._deaths: dict[int, tuple[m.AskDeath, Callable[[DeathCertificate | None], None]]] = {}
        self._answers: dict[int, _Answer] = {}
        self._watches: dict[int, tuple[m.Watch, OnEvent]] = {}
        self._is_noted = threading.Event()
        self._is_stopped = threading.Event()
        self._lock = threading.RLock()
        # Says that there is another node to talk to, or no hope of one.
        self._changed = threading.Condition()
        self._is_closing = False
        self._reader: FrameReader[Control] = m.control_reader()
        self._sock = self._connect(revival.connect_or_revive(directory))
        self._thread = threading.Thread(target=self._read, name="actorio-node-client", daemon=True)
        self._thread.start()

    def _connect(self, sock: socket.socket) -> socket.socket:
        """Greets a node; returns the connection to it."""
        self._reader = m.control_reader()
        self.node_pid, self.zygote_pid = peer_pid(sock), 0
        try:
            send_all(sock, m.encode(self._hello))
            sock.settimeout(_START_TIMEOUT)
            while not self.zygote_pid:
                self._handle_all(self._some_of(sock))
            sock.settimeout(None)
        except BaseException:
            sock.close()
            raise
        return sock

    def _some_of(self, sock: socket.socket) -> bytes:
        try:
            data = sock.recv(4096)
        except ConnectionResetError:
            data = b""
        if not data:
            words = revival.last_words(self.directory)
            raise RaySystemError(f"the node ended while it started{': ' + words if words else ''}")
        return data

    # --- asking, from any thread --------------------------------------------------------------------------------

    def check(self) -> None:
        """Checks that the session lives.

        Raises:
            RaySystemError: it has ended.
        """
        if self.is_lost:
            raise RaySystemError(self._farewell())

    def create(self, message: m.Create, identity: bytes, descriptors: tuple[int, int]) -> None:
        """Has an actor started; its listening socket and its birth go along."""
        self.send(message, identity, descriptors)

    def create_named(self, message: m.Create, identity: bytes, descriptors: tuple[int, int]) -> bytes:
        """Has an actor started under a name; returns the identity of the one that has it already, b"" if none has.

        Raises:
            ValueError: the name is taken.
            RaySystemError: the session has ended, or its node was killed at that moment.
        """
        number = next(self._numbers)
        answer = self._request(number, _with_number(message, number), identity, descriptors)
        return answer.payload

    def find(self, name: str, namespace: str) -> bytes:
        """Returns the identity of the actor of this name.

        Raises:
            ValueError: there is none; the text shows near ones.
        """
        number = next(self._numbers)
        return self._request(number, m.Find(number, name, namespace)).payload

    def list(self) -> bytes:
        """Returns the encoded `Inventory` of the session."""
        number = next(self._numbers)
        return self._request(number, m.List(number)).payload

    def _request(
        self, number: int, message: Message, payload: bytes = b"", descriptors: tuple[int, ...] = ()
    ) -> _Answer:
        answer = self._answers[number] = _Answer(message, is_repeatable=not descriptors)
        try:
            self.send(message, payload, descriptors)
            if not answer.is_there.wait(_ANSWER_TIMEOUT):
                silence = f"has not answered for {_ANSWER_TIMEOUT:.0f} seconds"
                answer.failure = RaySystemError(f"the node (pid {self.node_pid}) {silence}")
        finally:
            self._answers.pop(number, None)
        if answer.failure is not None:
            raise answer.failure
        return answer

    def kill(self, actor_id: str, *, may_restart: bool) -> None:
        """Has an actor ended with SIGKILL."""
        self.send(m.Kill(actor_id, may_restart))

    def report_end(self, certificate: DeathCertificate, timeout: float) -> None:
        """Says why this actor ends soon, and waits until the node has taken note."""
        self.send(m.Failed(certificate.actor_id), certificate.encode())
        self._is_noted.wait(timeout)

    def ask_death(self, actor_id: str, since: float, tell: Callable[[DeathCertificate | None], None]) -> None:
        """Calls ``tell`` in the reading thread with how the actor died, or None when it lives.

        When the session has ended, the certificate says so, and ``tell`` is called at once in this thread.
        """
        number = next(self._numbers)
        question = m.AskDeath(number, actor_id, since)
        self._deaths[number] = (question, tell)
        try:
            self.send(question)
        except RaySystemError:
            self._answer_unknown()
        if self.is_lost:
            self._answer_unknown()

    def watch(self, actor_id: str, on_event: OnEvent) -> int:
        """Calls ``on_event`` in the reading thread with all that happens to an actor; with None when nobody can tell.

        Returns a number for `unwatch`.
        """
        number = next(self._numbers)
        self._watches[number] = (m.Watch(number, actor_id), on_event)
        self.send(self._watches[number][0])
        return number

    def unwatch(self, number: int) -> None:
        """Ends `watch`."""
        self._watches.pop(number, None)
        with suppress(RaySystemError):
            self.send(m.Unwatch(number))

    def stop(self, timeout: float, *, is_all: bool = False) -> bool:
        """Leaves the session; returns whether the node said that all is done, within ``timeout`` seconds."""
        self._is_closing = True
        try:
            self.send(m.Stop(is_all))
        except RaySystemError:
            return False
        self._is_stopped.wait(timeout)
        return self._has_left

    def close(self) -> None:
        """Ends the connection and waits for the reading thread."""
        self._is_closing = True
        with suppress(OSError):
            # Wakes the reading thread, which closing alone would not.
            self._sock.shutdown(socket.SHUT_RDWR)
        if self._thread is not threading.current_thread():
            self._thread.join(1.0)
        self.abandon()

    def abandon(self) -> None:
        """Closes the socket alone; in a forked child, where the reading thread is none."""
        self.is_lost = True
        self._sock.close()

    def send(self, message: Message, payload: Payload = b"", descriptors: tuple[int, ...] = ()) -> None:
        """Sends a message; waits when the node is just being replaced.

        Raises:
            RaySystemError: the session has ended.
        """
        data = m.encode(message, payload)
        while not self.is_lost:
            try:
                with self._lock:
                    sock = self._sock
                    send_all(sock, data, descriptors)
            except OSError:
                if self._is_closing or not self._is_replaced(sock):
                    break
            else:
                return
        raise RaySystemError(self._farewell())

    def _is_replaced(self, sock: socket.socket) -> bool:
        """Waits until the reading thread has seen the end of a connection; returns whether there is another."""
        if threading.current_thread() is self._thread:
            return False
        with suppress(OSError):
            # A reader that has not noticed yet does so now.
            sock.shutdown(socket.SHUT_RDWR)
        with self._changed:
            self._changed.wait_for(lambda: self._sock is not sock or self.is_lost, _ANSWER_TIMEOUT)
        return not self.is_lost

    def _farewell(self) -> str:
        return (
            f"the session of this process has ended, and its node (pid {self.node_pid}) with it, so actors can be "
            "neither started nor ended; call actorio.shutdown() and actorio.init() to begin a new session"
        )

    # --- the reading thread -------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            self._read_all()
            while not self._is_closing and not self.is_over and self._rejoin():
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
                self._handle_all(data)
            except ProtocolError:
                break

    def _handle_all(self, data: bytes) -> None:
        for message, payload in self._reader.feed(data):
            self._handle(message, payload)

    def _handle(self, message: Control, payload: Payload) -> None:
        if isinstance(message, m.Output | m.Record):
            if self._on_news is not None:
                self._on_news(message)
        elif isinstance(message, m.Death):
            _, tell = self._deaths.pop(message.id)
            tell(_certificate(payload))
        elif isinstance(message, m.Created | m.Found | m.Listing):
            self._take_answer(message, bytes(payload))
        elif isinstance(message, m.Event):
            _, on_event = self._watches.get(message.id, (None, None))
            if on_event is not None:
                on_event(message, _certificate(payload))
        else:
            self._note(message)

    def _take_answer(self, message: m.Created | m.Found | m.Listing, payload: bytes) -> None:
        answer = self._answers.get(message.id)
        if answer is not None:
            error = "" if isinstance(message, m.Listing) else message.error
            answer.arrive(payload, ValueError(error) if error else None)

    def _note(self, message: Control) -> None:
        """Takes what the node says of itself."""
        if isinstance(message, m.Welcome):
            self.node_pid, self.zygote_pid = message.node_pid, message.zygote_pid
            if message.error:
                raise RaySystemError(f"the session did not start: {message.error}")
        elif isinstance(message, m.Stopped):
            self.killed, self.is_over = message.killed, message.is_over
            self._has_left = True
            self._is_stopped.set()
        elif isinstance(message, m.Noted):
            self._is_noted.set()

    # --- another node -------------------------------------------------------------------------------------------

    def _rejoin(self) -> bool:
        """Connects to the next node; returns False when the session has ended."""
        sock = self._find_successor()
        if sock is None:
            return False
        with self._lock:
            old, self._sock = self._sock, sock
            old.close()
            try:
                self._repeat(sock)
            except OSError:
                # That one was killed, too: the reader sees it, and tries again.
                return True
        with self._changed:
            self._changed.notify_all()
        return True

    def _find_successor(self) -> socket.socket | None:
        for _ in range(_TRIES):
            try:
                return self._connect(revival.connect_or_revive(self.directory))
            except FileNotFoundError:
                # The directory goes with the session.
                return None
            except (OSError, RaySystemError):
                # The old node may still be dying, or the new one has been killed at once.
                time.sleep(_PAUSE)
            if self._is_closing:
                return None
        return None

    def _repeat(self, sock: socket.socket) -> None:
        """Tells a new node what the last one knew of this process, and asks again what it has not answered."""
        for message in self.holdings():
            send_all(sock, m.encode(message))
        for number, answer in list(self._answers.items()):
            if answer.is_repeatable:
                send_all(sock, m.encode(answer.message))
            else:
                text = "the node was killed while it started the actor, which may exist: try again, or use get_actor()"
                answer.arrive(b"", RaySystemError(text))
                self._answers.pop(number, None)
        for question, _ in list(self._deaths.values()):
            send_all(sock, m.encode(question))
        for watch, _ in list(self._watches.values()):
            send_all(sock, m.encode(watch))

    # --- the end ------------------------------------------------------------------------------------------------

    def _lose(self) -> None:
        self.is_lost = True
        for event in (self._is_stopped, self._is_noted):
            event.set()
        with self._changed:
            self._changed.notify_all()
        for answer in list(self._answers.values()):
            answer.arrive(b"", RaySystemError(self._farewell()))
        self._answer_unknown()
        for _, on_event in list(self._watches.values()):
            on_event(None, None)
        if not self._is_closing and self._on_lost is not None:
            self._on_lost()

    def _answer_unknown(self) -> None:
        """Answers what the node can no longer answer."""
        while self._deaths:
            try:
                _, (question, tell) = self._deaths.popitem()
            except KeyError:
                return
            if self._is_closing or self.is_over:
                tell(DeathCertificate(question.actor_id, "", cause="shutdown"))
            else:
                tell(DeathCertificate(question.actor_id, "", cause="node_lost", detail=f"pid {self.node_pid}"))


class _Answer:
    """What a request waits for."""

    def __init__(self, message: Message, *, is_repeatable: bool) -> None:
        self.message = message
        self.is_repeatable = is_repeatable
        self.is_there = threading.Event()
        self.payload = b""
        self.failure: Exception | None = None

    def arrive(self, payload: bytes, failure: Exception | None) -> None:
        """Ends the wait."""
        self.payload, self.failure = payload, failure
        self.is_there.set()


def _with_number(message: m.Create, number: int) -> Any:
    import msgspec  # for named actors only

    return msgspec.structs.replace(message, id=number)


def _certificate(payload: Payload) -> DeathCertificate | None:
    return DeathCertificate.decode(bytes(payload)) if payload else None
