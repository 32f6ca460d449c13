"""The way to the node: what this process asks of it and hears from it.

The node is asked to start and end actors, to find them by name, and to tell how they died. What needs no answer leaves
at once, from any thread; what comes back is handled in the thread that reads the connection (`NodeLink`). No call and
no result passes here. What a killed node has not answered is asked again of its successor.
"""

from __future__ import annotations

import operator
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from actorio._caller.link import NodeLink
from actorio._caller.recent import Recent
from actorio._caller.requests import Asked, Requests
from actorio._model.certificate import DeathCertificate
from actorio._model.errors import RaySystemError
from actorio._wire import messages as m
from actorio._wire.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from actorio._caller.requests import Request
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Control, Event, Message, Output, Record

    OnNews = Callable[[Output | Record], None]
    OnEvent = Callable[[Event | None, DeathCertificate | None], None]

# How long a request waits for a node, or for its answer, in seconds.
_ANSWER_TIMEOUT = 60.0
# So many actors are asked for before the first of them is known to have been begun.
_MOST_CREATIONS = 16
# So many actors that were ended are remembered.
_MAX_ENDED = 10_000


class NodeClient:
    """This process's connection to its node.

    Args:
        directory: the session's directory.
        role: ``"driver"``, ``"actor"`` or ``"tool"``.
        actor_id: an actor's own id.
        on_news: called in the reading thread with what actors print and log; only drivers get any.
        on_lost: called in the reading thread when the session has ended without being asked to.
        patience: how long the node may take to answer at first, in seconds; None for what one may take to start.

    Attributes:
        holdings: returns what this process holds, to tell a new node.
        on_work: called in the reading thread with what concerns tasks.
        on_over: called in the reading thread when there is no node any more.
        has_left: the node has said that nothing of this process is left in the session.
        is_over: and that the session is over.

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
        patience: float | None = None,
    ) -> None:
        self.directory = directory
        self.peer = os.urandom(8).hex()
        self.killed = 0
        self.is_over = self.has_left = self._is_leaving = False
        self.holdings: Callable[[], Iterable[Message]] = tuple
        self.on_work: Callable[[m.Leased | m.Wanted | m.Retire, Payload], object] = _ignore
        self.on_over: Callable[[], object] = bool
        self._on_news = on_news
        self._on_lost = on_lost
        self._requests = Requests()
        # Actors that this process has had ended, the last ones: a node may be killed before it has passed that on.
        self._ended: Recent[str, tuple[int, Asked]] = Recent(_MAX_ENDED)
        # Questions that may stay open for long: what to ask again of a new node, and whom to tell.
        self._deaths: dict[int, tuple[m.AskDeath, Callable[[DeathCertificate | None], None]]] = {}
        self._watches: dict[int, tuple[m.Watch, OnEvent]] = {}
        self._stop: m.Stop | None = None
        self._is_noted = threading.Event()
        self._is_stopped = threading.Event()
        hello = m.Hello(VERSION, role, os.getpid(), self.peer, actor_id)
        self._link = NodeLink(directory, hello, self._handle, self._repeated, self._end, patience=patience)
        self._link.start()
        self.send, self.offer = self._link.send, self._link.offer

    @property
    def is_lost(self) -> bool:
        """Has the session ended?"""
        return self._link.is_lost

    @property
    def node_pid(self) -> int:
        """The node's process, which may be another one after a while."""
        return self._link.node_pid

    @property
    def resources(self) -> dict[str, int]:
        """What the session has of each resource."""
        return self._link.resources

    @property
    def zygote_pid(self) -> int:
        """The process that actors are forked from, as the node said when this process connected."""
        return self._link.zygote_pid

    # --- asking, from any thread --------------------------------------------------------------------------------

    def check(self) -> None:
        """Checks that the session lives.

        Raises:
            RaySystemError: it has ended.
        """
        if self.is_lost:
            raise RaySystemError(self._link.farewell())

    def create(self, message: m.Create, descriptors: tuple[int, int], identity: bytes = b"") -> bytes:
        """Has an actor started; its listening socket and its birth go along, and are closed here when all is done.

        Returns b"", as `create_named` does for a new actor.

        Raises:
            RaySystemError: the session has ended.
        """
        self._requests.make_room(_MOST_CREATIONS, _ANSWER_TIMEOUT)
        self._ask(lambda number: replace(message, id=number), identity, descriptors, is_unattended=True)
        return b""

    def create_named(self, message: m.Create, descriptors: tuple[int, int], identity: bytes) -> bytes:
        """Has an actor started under a name; returns the identity of the one that has it already, b"" if none has.

        Raises:
            ValueError: the name is taken.
            RaySystemError: the session has ended.
        """
        return self._answer(lambda number: replace(message, id=number), identity, descriptors)

    def find(self, name: str, namespace: str) -> bytes:
        """Returns the identity of the actor of this name.

        Raises:
            ValueError: there is none; the text shows near ones.
        """
        return self._answer(lambda number: m.Find(number, name, namespace))

    def list(self) -> bytes:
        """Returns the encoded `Inventory` of the session."""
        return self._answer(m.List)

    def _ask(
        self,
        make: Callable[[int], Message],
        payload: bytes,
        descriptors: tuple[int, ...],
        *,
        is_unattended: bool = False,
    ) -> Request:
        request = self._requests.open(make, payload, descriptors)
        request.is_unattended = is_unattended
        try:
            self.send(*request.asked, on_sent=request.note_sent)
        except BaseException:
            self._requests.end(request.number)
            raise
        return request

    def _answer(self, make: Callable[[int], Message], payload: bytes = b"", descriptors: tuple[int, ...] = ()) -> bytes:
        request = self._ask(make, payload, descriptors)
        try:
            if not request.wait(_ANSWER_TIMEOUT):
                silence = f"has not answered for {_ANSWER_TIMEOUT:.0f} seconds"
                raise RaySystemError(f"the node (pid {self.node_pid}) {silence}")
        finally:
            if not request.is_queued:
                self._requests.end(request.number)
        return request.payload

    def kill(self, actor_id: str, *, may_restart: bool) -> None:
        """Has an actor ended with SIGKILL."""
        message = m.Kill(actor_id, may_restart)
        if not may_restart:
            # Said twice, it would end the next process, too.
            self._note_ended(actor_id, message)
        self.send(message)

    def end(self, actor_id: str) -> None:
        """Has an actor ended gracefully, for good."""
        message = m.End(actor_id)
        self._note_ended(actor_id, message)
        self.send(message)

    def _note_ended(self, actor_id: str, message: Message) -> None:
        self._ended.note(actor_id, (self._requests.number(), Asked(message)))

    def let_go(self, actor_id: str, count: int) -> None:
        """This process has so many reasons less to keep an actor, and none that is left."""
        self._requests.note_dropped(actor_id)
        self.offer(m.Drop(actor_id, count))

    def report_end(self, certificate: DeathCertificate, timeout: float) -> None:
        """Says why this actor ends soon, and waits until the node has taken note."""
        self.send(m.Failed(certificate.actor_id), certificate.encode())
        self._is_noted.wait(timeout)

    def ask_death(self, actor_id: str, since: float, tell: Callable[[DeathCertificate | None], None]) -> None:
        """Calls ``tell`` in the reading thread with how the actor died, or None when it lives.

        When the session has ended, the certificate says so, and ``tell`` is called at once in this thread.
        """
        number = self._requests.number()
        question = m.AskDeath(number, actor_id, since)
        self._deaths[number] = (question, tell)
        self.offer(question)
        if self.is_lost:
            self._answer_unknown()

    def watch(self, actor_id: str, on_event: OnEvent) -> int:
        """Calls ``on_event`` in the reading thread with all that happens to an actor; with None when nobody can tell.

        Returns a number for `unwatch`.
        """
        number = self._requests.number()
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
        self._is_leaving = True
        # Should the node be killed just now, the next one is told, too.
        self._stop = m.Stop(is_all)
        deadline = time.monotonic() + timeout
        try:
            self._link.send_within(self._stop, timeout)
            self._is_stopped.wait(max(0.0, deadline - time.monotonic()))
        finally:
            if not self.has_left:
                # What follows must not wait for it either.
                self._link.hang_up()
        return self.has_left

    def close(self) -> None:
        """Ends the connection and waits for the reading thread."""
        self._is_leaving = True
        self._link.close()
        self._requests.end_all(self._link.farewell())

    def abandon(self) -> None:
        """Closes the socket alone; in a forked child, where the reading thread is none."""
        self._link.abandon()

    # --- in the reading thread ----------------------------------------------------------------------------------

    def _handle(self, message: Control, payload: Payload) -> None:
        if isinstance(message, m.Output | m.Record):
            if self._on_news is not None:
                self._on_news(message)
        elif isinstance(message, m.Leased | m.Wanted | m.Retire):
            self.on_work(message, payload)
        elif isinstance(message, m.Event):
            self._tell_watcher(message, payload)
        elif isinstance(message, m.Stopped):
            self.killed, self.is_over, self.has_left = message.killed, message.is_over, True
            self._is_stopped.set()
        elif isinstance(message, m.Noted):
            self._is_noted.set()
        else:
            self._handle_answer(message, payload)

    def _handle_answer(self, message: Control, payload: Payload) -> None:
        if isinstance(message, m.Death):
            question = self._deaths.pop(message.id, None)
            if question is not None:
                question[1](_certificate(payload))
        elif isinstance(message, m.Created | m.Found):
            self._requests.end(message.id, bytes(payload), self._refusal(message.error) if message.error else None)
        elif isinstance(message, m.Listing):
            self._requests.end(message.id, bytes(payload))
        elif isinstance(message, m.Queued):
            self._requests.queue(message.id)

    def _refusal(self, reason: str) -> Exception:
        """Returns what a request ends with that the node does not fulfil: a session that ends has no names any more."""
        return RaySystemError(self._link.farewell()) if self._is_leaving else ValueError(reason)

    def _tell_watcher(self, event: Event, payload: Payload) -> None:
        _, on_event = self._watches.get(event.id, (None, None))
        if on_event is not None:
            on_event(event, _certificate(payload))

    def _repeated(self) -> Iterator[Asked]:
        """Yields what the last node knew of this process, and what it has not answered."""
        yield from map(Asked, self.holdings())
        # In the order in which they were said: a name may have gone from one actor to the next.
        orders = sorted([*self._requests.unanswered(), *list(self._ended.values())], key=operator.itemgetter(0))
        yield from [asked for _, asked in orders]
        yield from [Asked(question) for question, _ in list(self._deaths.values())]
        yield from [Asked(watch) for watch, _ in list(self._watches.values())]
        if self._stop is not None:
            yield Asked(self._stop)

    def _end(self) -> None:
        """There is no node any more: everybody who waits is told."""
        for event in (self._is_stopped, self._is_noted):
            event.set()
        self._requests.end_all(self._link.farewell())
        self._answer_unknown()
        self.on_over()
        for _, on_event in list(self._watches.values()):
            on_event(None, None)
        if not self._is_leaving and self._on_lost is not None:
            self._on_lost()

    def _answer_unknown(self) -> None:
        """Answers what the node can no longer answer."""
        while self._deaths:
            try:
                _, (question, tell) = self._deaths.popitem()
            except KeyError:
                return
            if self._is_leaving or self._link.is_closing:
                tell(DeathCertificate(question.actor_id, "", cause="shutdown"))
            else:
                tell(DeathCertificate(question.actor_id, "", cause="node_lost", detail=f"pid {self.node_pid}"))


def _ignore(_message: Control, _payload: Payload) -> None:
    """Hears what concerns tasks in a process that runs none."""


def _certificate(payload: Payload) -> DeathCertificate | None:
    return DeathCertificate.decode(bytes(payload)) if payload else None
