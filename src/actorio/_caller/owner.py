"""The owner's side of references that travel: a server that hands this process's results to those who borrow them.

Started when the first reference is pickled, in a thread of its own, so that a process that computes or blocks still
answers. A result that was exported is kept until the process ends or shuts down.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from actorio._caller.pending import ERROR, HERE, VALUE, PendingResult
from actorio._model.travel import kept_by
from actorio._transport.serving import Server
from actorio._transport.sockets import listen, unlink
from actorio._wire.messages import Fetch
from actorio._wire.payload import dumps

if TYPE_CHECKING:
    from actorio._transport.serving import Connection
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Inbound


class OwnerServer:
    """Serves this process's exported results.

    Args:
        path: where to listen.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.exported: dict[int, PendingResult] = {}
        self._listener = listen(path)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="actorio-owner", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = Server(self._loop, self._listener, self._serve)
        self._loop.run_forever()
        server.close()
        self._loop.close()

    def export(self, result: PendingResult) -> None:
        """Keeps a result and hands it to whoever asks."""
        self.exported[result.number] = result

    def _serve(self, connection: Connection, requests: list[tuple[Inbound, Payload]]) -> None:
        for request, _ in requests:
            if isinstance(request, Fetch) and request.number in self.exported:
                self._send_when_done(connection, request.id, self.exported[request.number])
            else:
                error = dumps(ValueError(f"request {request!r} is not for the owner of a value"))
                connection.reply_soon(connection.peer.failure(request.id, error, is_pickled_error=True))

    def _send_when_done(self, connection: Connection, number: int, result: PendingResult) -> None:
        result.add_loop_callback(lambda: _send(connection, number, result), connection)

    def close(self) -> None:
        """Stops serving; borrowers that still wait learn that the owner has gone."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        unlink(self.path)

    def abandon(self) -> None:
        """Closes the listening socket alone; in a forked child, where the thread is none."""
        self._listener.close()


def _send(connection: Connection, number: int, result: PendingResult) -> None:
    if result.state == VALUE:
        frame = connection.peer.result(number, result.payload, HERE.holdings.lend(kept_by(result.payload)))
    elif result.state == ERROR:
        frame = connection.peer.failure(number, dumps(result.make_error()), is_pickled_error=True)
    else:
        result.note_read()
        frame = connection.peer.failure(number, result.payload)
    connection.reply_soon(frame)
