"""The owner's side of references that travel: a server that hands this process's results to those who borrow them.

Started when the first reference is pickled, in a thread of its own, so that a process that computes or blocks still
answers. It hears there, too, who has references, and hands that to the `Ledger`.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import TYPE_CHECKING

from actorio._caller.owners import ledger_path
from actorio._caller.pending import ERROR, HERE, VALUE, PendingResult, identity_of
from actorio._model.errors import ObjectLostError, RaySystemError
from actorio._model.streams import Waiting
from actorio._model.travel import framed, kept_by
from actorio._store.values import size_of
from actorio._transport.incoming import Incoming
from actorio._transport.outflow import END, LoopOutflow
from actorio._transport.serving import Server
from actorio._transport.sockets import accept, listen, unlink
from actorio._wire.frames import ProtocolError
from actorio._wire.messages import Call, Fetch, Unlend, control_reader
from actorio._wire.payload import NONE, dumps

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from actorio._caller.ledger import Ledger
    from actorio._model.runtime import Flow
    from actorio._transport.serving import Connection
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Inbound

# How long what a process has sent may be on its way when that process has ended, in seconds.
_LONGEST_WAY = 60.0

_FREED = (
    "its owner keeps it no more; a reference that was pickled by hand, and not sent in a call, a result or a put, "
    "does not keep its value"
)

_TAKEN = (
    "this stream is taken: it was passed on to several, and another one takes its items; or the value with it in it "
    "was read twice"
)

# The method by which a stream is asked for that was passed on.
SUBSCRIBE = "subscribe"


class OwnerServer:
    """Serves this process's exported results.

    Args:
        ledger: which they are.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._listener = listen(ledger.path)
        self._ledger_listener = listen(ledger_path(ledger.path))
        self._borrowers: set[_Borrower] = set()
        # The loop itself keeps only weak references to tasks.
        self._tasks: set[asyncio.Task[None]] = set()
        self._names = map(str, itertools.count(1))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="actorio-owner", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = Server(self._loop, self._listener, self._serve, HERE.holdings.take_back)
        self._ledger_listener.setblocking(False)
        self._loop.add_reader(self._ledger_listener.fileno(), self._accept)
        self._loop.run_forever()
        server.close()
        for borrower in list(self._borrowers):
            borrower.close()
        self._loop.remove_reader(self._ledger_listener.fileno())
        self._ledger_listener.close()
        self._loop.close()

    def _accept(self) -> None:
        sock = accept(self._ledger_listener)
        if sock is not None:
            self._borrowers.add(_Borrower(next(self._names), sock, self._loop, self._ledger, self._borrowers.discard))

    def _serve(self, connection: Connection, requests: list[tuple[Inbound, Payload]]) -> None:
        for request, payload in requests:
            if isinstance(request, Fetch):
                self._answer(connection, request)
            elif isinstance(request, Call) and request.method == SUBSCRIBE:
                flow = self._ledger.flows.pop(int(payload), None)
                task = self._loop.create_task(_forward(connection, request, flow))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                error = dumps(ValueError(f"request {request!r} is not for the owner of a value"))
                connection.reply_soon(connection.peer.failure(request.id, error, is_pickled_error=True))

    def _answer(self, connection: Connection, request: Fetch) -> None:
        result = self._ledger.find(request.number)
        if result is None:
            error = dumps(ObjectLostError(identity_of(request.number).hex(), _FREED))
            connection.reply_soon(connection.peer.failure(request.id, error, is_pickled_error=True))
        else:
            result.add_loop_callback(lambda: _send(connection, request.id, result), connection)

    def close(self) -> None:
        """Stops serving; borrowers that still wait learn that the owner has gone."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        unlink(self._ledger.path)
        unlink(ledger_path(self._ledger.path))

    def abandon(self) -> None:
        """Closes the listening sockets alone; in a forked child, where the thread is none."""
        self._listener.close()
        self._ledger_listener.close()


class _Borrower:
    """A process that has references to results of this one, and says so."""

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        ledger: Ledger,
        on_end: Callable[[_Borrower], None],
    ) -> None:
        self._name = name
        self._sock = sock
        self._loop = loop
        self._ledger = ledger
        self._on_end = on_end
        self._incoming = Incoming(sock, control_reader())
        loop.add_reader(sock.fileno(), self._read)

    def _read(self) -> None:
        try:
            messages = self._incoming.receive()
        except BlockingIOError:
            return
        except (OSError, ProtocolError):
            self.close()
            return
        for message, _ in messages:
            self._ledger.hear(message, self._name)

    def close(self) -> None:
        """It has ended; what it has sent may still arrive."""
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        self._on_end(self)
        self._ledger.gone(self._name)
        self._loop.call_later(_LONGEST_WAY, self._give_up, self._ledger.lent_by(self._name))

    def _give_up(self, tokens: list[int]) -> None:
        for token in tokens:
            self._ledger.hear(Unlend(token))


class _Following:
    """The items of a stream that was passed on, as they come."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def __aiter__(self) -> _Following:
        return self

    async def __anext__(self) -> PendingResult:
        pending = self._flow.next()
        await Waiting(pending.wait_done())
        if self._flow.is_end(pending) or not isinstance(pending, PendingResult):
            raise StopAsyncIteration
        return pending


async def _forward(connection: Connection, request: Call, flow: Flow | None) -> None:
    """Sends on the items of a stream; nobody here looks into them."""
    if flow is None:
        error = dumps(RaySystemError(_TAKEN))
        connection.reply_soon(connection.peer.failure(request.id, error, is_pickled_error=True))
        return
    outflow = LoopOutflow(connection, request)
    try:
        items = _Following(flow)
        while await outflow.may_go_on():
            item = await outflow.step(items)
            if item is END:
                break
            if item.state != VALUE:
                _send(connection, request.id, item)
                return
            payload = item.payload
            lent = HERE.holdings.lend_on(connection, kept_by(payload))
            outflow.allowance.sent(size_of(payload))
            connection.reply_soon(framed(connection.peer.item, request.id, payload, lent))
        connection.reply_soon(connection.peer.result(request.id, NONE))
    finally:
        outflow.close()
        flow.leave()


def _send(connection: Connection, number: int, result: PendingResult) -> None:
    if result.state == VALUE:
        lent = HERE.holdings.lend_on(connection, kept_by(result.payload))
        frame = framed(connection.peer.result, number, result.payload, lent)
    elif result.state == ERROR:
        frame = connection.peer.failure(number, dumps(result.make_error()), is_pickled_error=True)
    else:
        result.note_read()
        frame = connection.peer.failure(number, result.payload)
    connection.reply_soon(frame)
