"""Lanes: one caller context's connection to one actor.

The protocol is in `CallerPeer`; a lane adds the socket. Who reads and writes is the business of its two kinds: a
`LoopLane` lives on an event loop, a `ThreadLane` on the pump of all threads without one. Reading is guarded, so that
a blocked thread can pump a lane whose loop does not run just now.

Calls are sent in the order in which they were made. A call that waits for an argument holds back the later ones
of its lane when the actor is ordered (one thread), and nobody else's.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from actorio._caller.held import HeldCalls
from actorio._caller.pending import FAILURE, HERE, VALUE, Aside
from actorio._model.errors import not_begun
from actorio._model.travel import KeepingBytes, files_of, with_files
from actorio._store.values import count_in
from actorio._transport.incoming import Incoming
from actorio._transport.outgoing import Outgoing
from actorio._wire.frames import ProtocolError, pack_prefix
from actorio._wire.messages import (
    Call,
    Cancel,
    Credit,
    Failure,
    Farewell,
    Item,
    Leave,
    Result,
    Room,
    encode,
    encode_header,
)
from actorio._wire.payload import loads
from actorio._wire.peer import CallerPeer

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

    from actorio._caller.pending import PendingResult
    from actorio._caller.pump import Pump
    from actorio._model.handle import ActorIdentity
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Answer, Inspect, Lent, Limit, Note, Probe

    Replies = list[tuple[PendingResult, Answer, Payload]]


# Replies nobody asks for are read this often, in calls, so that neither side piles them up.
DRAIN_EVERY = 256


class Explain(Protocol):
    """Ends the results of a lost lane with an error."""

    def __call__(self, results: list[PendingResult], complaint: str, since: float, /, *, may_have_run: bool) -> None:
        """Says why; ``complaint`` is the protocol's, if there was one. ``since`` is when the lane was connected."""


class Lane:
    """What both kinds of lanes have in common."""

    # The loop that reads this lane; None when the pump does.
    loop: asyncio.AbstractEventLoop | None = None
    # The pump reads it, too, since its loop may be blocked.
    is_borrowed = False
    # The last frame found the other end closed: nothing of it has been sent.
    _has_hung_up = False
    # Its loop has closed: it goes with the last result that it waits for.
    is_orphan = False

    def __init__(self, address: str, sock: socket.socket, pump: Pump, explain: Explain, *, is_ordered: bool) -> None:
        self.address = address
        self.sock = sock
        self.pump = pump
        self.is_ordered = is_ordered
        self.held = HeldCalls(is_ordered=is_ordered)
        self.is_lost = False
        self._explain = explain
        self._peer: CallerPeer[PendingResult] = CallerPeer()
        self._incoming = Incoming(sock, self._peer.reader)
        self._out = Outgoing()
        self._is_watched = False
        # Guards the peer, the buffer and the socket. Never held while callbacks run. A signal handler or a finaliser
        # may make a call in the midst of one: then the thread has the lock already, and the call is sent later.
        self._lock = threading.RLock()
        self._is_busy = False
        # Each with the result of the call that it sends; None for what is no call.
        self._later: deque[tuple[PendingResult | None, Callable[[], None]]] = deque()
        self.connected_at = time.monotonic()
        # Keeps the actor alive while calls are pending, though nobody may have a handle.
        self.actor: ActorIdentity | None = None

    # --- sending ------------------------------------------------------------------------------------------------

    def call_simply(self, result: PendingResult, method: str, payload: bytes) -> bool:
        """Sends a call that was just made, is made once, brings one value and needs none; see `call`."""
        with self._lock:
            if self._is_busy or payload.__class__ is KeepingBytes:
                return self.call(result, method, payload)
            self._is_busy = True
            try:
                number, peer = result.number, self._peer
                # As `CallerPeer.call` does, a step shorter: this is on the way of nearly every call.
                header = encode_header(Call(number, method, (), (), 1, 0, 0, result.way))
                peer.open[number] = result
                self._write(pack_prefix(len(header), len(payload)) + header + payload)
            finally:
                self._is_busy = False
        if self._later or self.is_lost or not number % DRAIN_EVERY:
            return self._has_left(result)
        return True

    def call(
        self,
        result: PendingResult,
        method: str,
        payload: Payload,
        parts: tuple[int, ...] = (),
        lent: tuple[Lent, ...] = (),
    ) -> bool:
        """Sends a call now, or with others of this loop iteration.

        Returns False when the actor had hung up before: then it has not got the call, and never will from here.
        """
        with self._lock:
            if self._is_busy:
                self._later.append((result, lambda: self._send_keeping(result, method, payload, parts, lent)))
                return True
            if result.number in self._peer.open:
                # A call that was held, and is retried: another thread was quicker.
                return True
            self._is_busy = True
            try:
                if payload.__class__ is KeepingBytes or result.window:
                    self._send_keeping(result, method, payload, parts, lent)
                else:
                    self._write(
                        self._peer.call(
                            result.number, result, method, payload, parts, lent, result.returns, way=result.way
                        )
                    )
                if self._later:
                    self._send_later()
            finally:
                self._is_busy = False
        return self._has_left(result)

    def _has_left(self, result: PendingResult) -> bool:
        if self._later:
            self.flush()
        if self.is_lost:
            is_taken = not self._has_hung_up or self._peer.open.pop(result.number, None) is None
            self._give_up("")
            return is_taken
        if not result.number % DRAIN_EVERY:
            self._drain()
        return True

    def _send_later(self) -> None:
        while self._later:
            self._later.popleft()[1]()

    def _send_keeping(
        self,
        result: PendingResult,
        method: str,
        payload: Payload,
        parts: tuple[int, ...],
        lent: tuple[Lent, ...],
    ) -> None:
        files = files_of(payload)
        frame = self._peer.call(
            result.number, result, method, payload, parts, lent, result.returns, len(files), result.window, result.way
        )
        self._write(with_files(frame, files))

    def fetch(self, result: PendingResult, wanted: int) -> None:
        """Asks the process at the other end, who owns it, for a value."""
        self._send(result, lambda: self._peer.fetch(result.number, result, wanted))

    def _send(self, result: PendingResult | None, make_frame: Callable[[], bytes]) -> None:
        """Sends what is no call; in the midst of another sending, by a signal's handler for one, after it."""
        with self._lock:
            if self._is_busy:
                self._later.append((result, lambda: self._write(make_frame())))
                return
            self._is_busy = True
            try:
                # Made in any case: what it asks for is open from now on, and is explained when the lane is lost.
                frame = make_frame()
                if not self.is_lost:
                    self._write(frame)
                self._send_later()
            finally:
                self._is_busy = False
        if self._later:
            self.flush()
        if self.is_lost:
            self._give_up("")

    def grant(self, result: PendingResult, count: int) -> None:
        """Lets the method behind a stream go on by so many items."""
        self._note(Credit(result.number, count))

    def leave(self, result: PendingResult) -> None:
        """Has the method behind a stream end."""
        self._note(Leave(result.number))

    def cancel(self, result: PendingResult, *, is_recursive: bool) -> None:
        """Has a call end that was made here; one that has not been sent yet ends at once."""
        if self.held.withdraw(result):
            result.fail(lambda: not_begun(result.call))
        elif self.is_sent(result):
            self._note(Cancel(result.number, is_recursive))
            self.keep_pumped(result)

    def ask(self, result: PendingResult, request: Room | Limit | Inspect) -> None:
        """Asks the actor something that is no call, and that no call in its mailbox holds up."""
        self._send(result, lambda: self._peer.ask(result.number, result, request))

    def ask_for_room(self, result: PendingResult) -> None:
        """Asks to be told when there is room in the actor's mailbox; lets one caller go on."""
        result.add_callback(Aside(self._note_room))
        self.ask(result, Room(result.number))

    def _note_room(self, _result: PendingResult) -> None:
        self._peer.is_full = False

    @property
    def is_full(self) -> bool:
        """Has the actor said that its mailbox is full?"""
        return self._peer.is_full

    def probe(self, probe: Probe) -> None:
        """Asks what a call that was sent waits for."""
        self._note(probe)

    def pending(self) -> list[PendingResult]:
        """Returns the calls that have not ended, sent or not; one that is just being sent is there twice."""
        later = [result for result, _ in list(self._later) if result is not None]
        return [*list(self._peer.open.values()), *(call.result for call in list(self.held.calls)), *later]

    def count_pending(self) -> int:
        """Returns how many calls have not been answered, those among them that have not been sent."""
        return sum(not result.is_question for result in self.pending())

    def oldest_pending(self) -> PendingResult | None:
        """Returns the result of the first call that has not been answered."""
        return next((result for result in self.pending() if not result.is_question), None)

    def is_sent(self, result: PendingResult) -> bool:
        """Has the call with this result left, or is it just leaving, and has not been answered?"""
        return result.number in self._peer.open or any(later is result for later, _ in list(self._later))

    def grace_of(self, result: PendingResult) -> float:
        """Returns how many seconds the actor wants for ending a call whose time is up; 0 when it has not said so."""
        ending = self._peer.ending
        for number in [number for number in list(ending) if number not in self._peer.open]:
            ending.pop(number, None)
        return ending.get(result.number, 0.0)

    def bid_farewell(self) -> None:
        """Says that this process ends in order, so that what it has called goes on."""
        with suppress(OSError):
            self._note(Farewell())
            self.flush()

    def _note(self, message: Note) -> None:
        self._send(None, lambda: encode(message))

    def _write(self, frame: bytes) -> None:
        raise NotImplementedError

    def _try_to_send(self, frame: bytes) -> bytes:
        """Sends a frame before which nothing waits; returns what the socket has not taken."""
        try:
            sent = self.sock.send(frame)
        except BlockingIOError:
            return frame
        except OSError:
            self._has_hung_up = self.is_lost = True
            return b""
        return b"" if sent == len(frame) else frame[sent:]

    def _drain(self) -> None:
        """Reads what nobody may ever ask for."""

    def flush(self) -> None:
        """Sends what is waiting, as much as the socket takes."""
        with self._lock:
            if self._is_busy:
                return
            self._is_busy = True
            try:
                self._flush()
                self._send_later()
            finally:
                self._is_busy = False
        if self._later:
            self.flush()
        if self.is_lost:
            self._give_up("")

    def _flush(self) -> None:
        try:
            self._out.send_all(self.sock)
        except BlockingIOError:
            self._set_watched(is_wanted=True)
            return
        except OSError:
            self.is_lost = True
            return
        self._set_watched(is_wanted=False)

    def _set_watched(self, *, is_wanted: bool) -> None:
        if self._is_watched is not is_wanted:
            self._is_watched = is_wanted
            self._watch_writable(is_wanted=is_wanted)

    def _watch_writable(self, *, is_wanted: bool) -> None:
        raise NotImplementedError

    # --- receiving ----------------------------------------------------------------------------------------------

    def read(self) -> None:
        """Reads once and completes what arrived; any thread may call it."""
        replies: Replies = []
        complaint = ""
        with self._lock:
            try:
                replies = self._receive()
            except BlockingIOError:
                return
            except OSError:
                self.is_lost = True
            except ProtocolError as error:
                complaint = str(error)
                self.is_lost = True
        _complete(replies)
        if not self._peer.open and not self.held.calls:
            self.actor = None
        if self.is_lost:
            self._give_up(complaint)
        elif self.is_orphan and self.is_idle():
            self.close()

    def _receive(self) -> Replies:
        return self._peer.match(self._incoming.receive())

    def see_to_replies(self) -> None:
        """Has the replies read that are still to come, though nobody waits for them."""
        for result in list(self._peer.open.values()):
            self.keep_pumped(result)

    def keep_pumped(self, result: PendingResult) -> None:
        """Makes sure that somebody reads this lane until ``result`` is done, though nobody blocks for it."""
        raise NotImplementedError

    def adopt(self) -> None:
        """Hands the lane of a closed loop to the pump, for good."""

    def take_back(self) -> None:
        """The pump has given the lane back to its loop."""

    # --- the end ------------------------------------------------------------------------------------------------

    def is_idle(self) -> bool:
        """Is nothing pending and nothing left to send?"""
        return not self._peer.open and not self._out and not self.held

    def _give_up(self, complaint: str) -> None:
        with self._lock:
            # What the actor had answered before it ended is still there to be read.
            replies = self._receive_rest()
            sent, held = self._peer.close(), self.held.clear()
            self._out.drop()
            if self.sock.fileno() >= 0:
                self._close_socket()
        _complete(replies)
        if sent or held:
            # Until these have heard what has become of it, the actor is held: or its end would be said to be that
            # nobody held it any more.
            _keep_until_done([*sent, *held], self.actor)
        self.actor = None
        if sent:
            self._explain(sent, complaint, self.connected_at, may_have_run=True)
        if held:
            self._explain(held, complaint, self.connected_at, may_have_run=False)

    def _receive_rest(self) -> Replies:
        replies: Replies = []
        with suppress(OSError, ProtocolError):
            while True:
                replies += self._receive()
        return replies

    def abandon(self) -> None:
        """Closes this process's copy of the socket, in a forked child; what is pending belongs to the parent."""
        for result in [*self._peer.close(), *self.held.clear()]:
            result.abandon()
        self.sock.close()

    def _close_socket(self) -> None:
        """Takes the socket out of whatever watches it, and closes it."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes the connection; what is pending is explained as lost."""
        if not self.is_lost:
            self.bid_farewell()
        self.is_lost = True
        self._give_up("")


def _keep_until_done(results: list[PendingResult], actor: ActorIdentity | None) -> None:
    for result in results:
        result.add_callback(Aside(lambda _, actor=actor: actor))  # type: ignore[misc]  # holds it, does nothing


def _complete(replies: Replies) -> None:
    for result, reply, payload in replies:
        if reply.__class__ is Result and not reply.lent and not reply.files:
            # Nearly every reply.
            result.complete(VALUE, payload)
        elif not isinstance(reply, Failure):
            if reply.lent:
                payload = KeepingBytes.of(payload, HERE.holdings.arrived(reply.lent), files_of(payload))  # noqa: PLW2901
            if reply.files and result.is_owned:
                count_in(files_of(payload))
            if isinstance(reply, Item):
                result.take(payload)
            else:
                result.complete(VALUE, payload)
        elif reply.is_pickled_error:
            result.fail(lambda payload=payload: loads(payload))  # type: ignore[misc]
        else:
            result.complete(FAILURE, payload)
