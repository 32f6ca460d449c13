"""The answering side of lanes, on an event loop: accept, read requests, write replies.

A `Server` and its `Connection`s belong to one loop. Everything runs in that loop's thread, but for
`Connection.reply_now`, which any thread may call.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from actorio._transport.incoming import Incoming
from actorio._transport.lookout import LoopLookout
from actorio._transport.outgoing import Outgoing
from actorio._transport.sockets import accept, peer_pid
from actorio._wire.frames import ProtocolError
from actorio._wire.messages import Credit, Farewell, Leave
from actorio._wire.peer import ActorPeer

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable, Iterable

    from actorio._transport.spin import LoopSpin
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Inbound, Lent, Note

    OnRequests = Callable[["Connection", list[tuple[Inbound, Payload]]], None]

_logger = logging.getLogger("actorio")
# What reading raises when a connection is at its end.
CUT_OFF = (OSError, ProtocolError, MemoryError)
# How long a server that has run out of descriptors waits before it accepts again, in seconds.
_EXHAUSTED_PAUSE = 0.1
# So many replies at most lie in a socket, and so long may take what a caller does who has read one, in seconds.
_MOST_UNREAD, _LONGEST_READ = 4096, 5.0
# Replies that come closer together than this, in seconds, leave together, in pieces of about this many bytes.
_QUICK = 0.001
_FULL = 2048
# From how many bytes on that the socket has not taken a thread waits before it makes more; and for how long it waits
# before it looks whether anybody still wants them, in milliseconds.
_CLOGGED, _PATIENCE = 1 << 16, 100


class Server:
    """Accepts connections on a listening socket.

    Args:
        loop: the running loop it belongs to.
        listener: the listening socket, owned from now on.
        on_requests: called in the loop's thread with each batch of requests, in order.
        take_back: called in the loop's thread, a while after a connection has ended, with the handles and references
            that left on it last: the caller may not have read them.
        on_lack: is told of requests that nobody wants answered any more.
        spin: keeps the loop awake for a moment after replies.
        lookout: watches the connections; the loop does, if there is none.
    """

    def __init__(  # noqa: PLR0917  # what it serves
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        on_requests: OnRequests,
        take_back: Callable[[Iterable[Lent]], None],
        on_lack: Lacking | None = None,
        spin: LoopSpin | None = None,
        lookout: LoopLookout | None = None,
    ) -> None:
        self.loop = loop
        self.on_requests = on_requests
        self.take_back = take_back
        self.on_lack = on_lack
        self.spin = spin
        self.lookout = LoopLookout(loop) if lookout is None else lookout
        self.connections: set[Connection] = set()
        self._listener = listener
        listener.setblocking(False)
        loop.add_reader(listener.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            sock = accept(self._listener)
        except OSError as error:
            _logger.warning("cannot accept a caller: %s", error)
            self.loop.remove_reader(self._listener.fileno())
            self.loop.call_later(_EXHAUSTED_PAUSE, self._resume)
            return
        if sock is not None:
            self.connections.add(Connection(self, sock))

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self.loop.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Stops accepting and closes every connection; replies that were not sent are lost."""
        self.loop.remove_reader(self._listener.fileno())
        self._listener.close()
        for connection in list(self.connections):
            connection.close()
        self.lookout.close()


class Lacking(Protocol):
    """Hears of requests that nobody wants answered any more. In the loop's thread."""

    def on_note(self, connection: Connection, note: Note) -> None:
        """A caller says so of one."""

    def on_lost(self, connection: Connection) -> None:
        """A caller has gone without a word."""


class Outflow(Protocol):
    """A stream of items to a caller."""

    def grant(self, count: int) -> None:
        """So many items have been taken."""

    def leave(self) -> None:
        """Nobody takes any more."""


class Connection:
    """One caller's connection.

    Attributes:
        outflows: the streams that run, by their requests.
        left: the requests for streams that have not begun, and that nobody needs any more.
        lent: the last handles and references that were sent.
    """

    __slots__ = (
        "_ends_in_order",
        "_incoming",
        "_is_scheduled",
        "_is_watched",
        "_lock",
        "_out",
        "_sent_at",
        "_server",
        "_sock",
        "left",
        "lent",
        "outflows",
        "peer",
    )

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self.peer = ActorPeer()
        self._server = server
        self._sock = sock
        self.outflows: dict[int, Outflow] = {}
        self.left: set[int] = set()
        self.lent: deque[Lent] = deque(maxlen=_MOST_UNREAD)
        self._incoming = Incoming(sock, self.peer.reader)
        self._out = Outgoing()
        self._is_scheduled = False
        self._is_watched = False
        self._sent_at = 0.0
        # What the caller has called is to go on when it has gone.
        self._ends_in_order = False
        self._lock = threading.Lock()
        server.lookout.add(sock.fileno(), self)

    def read(self) -> None:
        """Takes in what has arrived. In the loop's thread only."""
        try:
            requests = self.receive()
        except BlockingIOError:
            return
        except CUT_OFF as error:
            self.break_off(error)
        else:
            self.handle(requests)

    def receive(self) -> list[tuple[Inbound, Payload]]:
        """Reads once; returns the requests. In whichever thread has the watch.

        Raises:
            BlockingIOError: nothing has arrived.
            CUT_OFF: the caller has gone, or is to be cut off: see `break_off`.
        """
        return self.peer.admit(self._incoming.receive())

    def break_off(self, error: Exception) -> None:
        """Closes the connection, since what arrived cannot be read. In the loop's thread only."""
        # First: without memory nothing else may come about, and the caller must not wait.
        self.close()
        if isinstance(error, ProtocolError):
            _logger.warning("a caller broke the protocol and was cut off: %s", error)
        elif isinstance(error, MemoryError):
            _logger.warning("a caller was cut off: there is no memory to read what it sends")

    def handle(self, requests: list[tuple[Inbound, Payload]]) -> None:
        """Passes on what has arrived. In the loop's thread only."""
        if requests:
            if self._server.spin is not None:
                self._server.spin.arrived()
            self._server.on_requests(self, requests)
        if self.peer.notes:
            self._heed_notes()

    def _heed_notes(self) -> None:
        """Passes on what the caller has said of its streams; one may have ended meanwhile, or not begun yet."""
        notes, self.peer.notes = self.peer.notes, []
        for note in notes:
            outflow = self.outflows.get(note.id)
            if isinstance(note, Leave):
                if outflow is not None:
                    outflow.leave()
                elif note.id in self.peer.owed:
                    self.left.add(note.id)
            elif isinstance(note, Credit):
                if outflow is not None:
                    outflow.grant(note.count)
            elif isinstance(note, Farewell):
                self._ends_in_order = True
            elif self._server.on_lack is not None:
                self._server.on_lack.on_note(self, note)

    def is_open(self) -> bool:
        """Is the caller still there?"""
        return self._sock.fileno() >= 0

    def maker(self) -> int:
        """Returns the process at the other end, 0 where the system does not tell. In the loop's thread only."""
        return peer_pid(self._sock) if self.is_open() else 0

    def beside(self) -> list[Connection]:
        """Returns all connections of the server, this one among them. In the loop's thread only."""
        return list(self._server.connections)

    def reply_soon(self, frame: bytes) -> None:
        """Sends a frame with all others of this loop iteration, unless that takes long. In the loop's thread only."""
        if frame.__class__ is bytes:
            self._out += frame
        else:
            self._out.add(frame)
        now = time.monotonic()
        if not self._is_scheduled:
            self._is_scheduled = True
            self._sent_at = now
            self._server.loop.call_soon(self._flush_soon)
        elif now - self._sent_at > _QUICK and not self._is_watched:
            # Many calls compute in this iteration: answers do not wait for the last of them.
            self._sent_at = now
            with self._lock:
                self._send_out()

    def reply_last(self, frame: bytes) -> None:
        """Sends a frame, and whatever waits for company: none is to be expected. In the loop's thread only."""
        self._out.add(frame)
        self._flush_soon()

    def reply_now(self, frame: bytes, *, more_follow: bool = False) -> None:
        """Sends a frame from any thread, without a hop through the loop when the socket takes it.

        When ``more_follow`` at once and the last one left a moment ago, the frame is kept: it leaves with the next
        ones, and at the latest when the loop, which is told, comes to run.
        """
        with self._lock:
            if self._is_scheduled:
                self._out.add(frame)
                if not self._is_watched and (not more_follow or len(self._out) >= _FULL):
                    self._send_out()
                return
            now = time.monotonic()
            is_kept = more_follow and now - self._sent_at < _QUICK
            self._sent_at = now
            if frame.__class__ is bytes:
                self._out += frame
            else:
                self._out.add(frame)
            if not is_kept and self._send_out():
                return
            self._is_scheduled = True
        self._server.loop.call_soon_threadsafe(self._flush)

    def is_clogged(self) -> bool:
        """Is there much that the socket has not taken?"""
        return len(self._out) > _CLOGGED

    def push(self) -> None:
        """Sends what the socket takes, in this thread, which waits for it a while."""
        poll = select.poll()
        with suppress(ValueError):
            # Unless it has just been closed.
            poll.register(self._sock.fileno(), select.POLLOUT)
            poll.poll(_PATIENCE)
        with self._lock:
            self._send_out()

    def _send_out(self) -> bool:
        """Sends as much as the socket takes; returns whether that was all."""
        try:
            out, sock = self._out, self._sock
            # As `Outgoing.send_all` does, a step shorter.
            while out:
                del out[: out.send(sock) if out.riders else sock.send(out)]
        except BlockingIOError:
            return False
        except OSError:
            # The caller has gone; the loop reads the end of the stream and closes.
            self._out.drop()
        return True

    def _flush_soon(self) -> None:
        self._flush()
        if self._server.spin is not None:
            self._server.spin.sent()

    def _flush(self) -> None:
        with self._lock:
            if not self._send_out():
                self._is_watched = True
                self._server.loop.add_writer(self._sock.fileno(), self._flush)
                return
            self._is_scheduled = False
            if self._is_watched and self._sock.fileno() >= 0:
                self._is_watched = False
                self._server.loop.remove_writer(self._sock.fileno())

    def close(self) -> None:
        """Closes the connection. In the loop's thread only."""
        fd = self._sock.fileno()
        if fd < 0:
            return
        self._server.connections.discard(self)
        self._server.lookout.remove(fd)
        self._server.loop.remove_writer(fd)
        with self._lock:
            self._sock.close()
        for outflow in list(self.outflows.values()):
            outflow.leave()
        if not self._ends_in_order and self._server.on_lack is not None:
            self._server.on_lack.on_lost(self)
        if self.lent:
            self._server.loop.call_later(_LONGEST_READ, self._server.take_back, list(self.lent))
