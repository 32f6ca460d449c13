"""An HTTP server to be called, on loopback: a process of its own that answers every request alike, a little later.

It is as small as it can be, since it has the same processors as what is measured: it looks for the end of a request's
head and knows no more of HTTP. Requests have no bodies; connections are kept.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long each answer takes, in seconds: as a service nearby that has something to do.
DELAY = 0.005
BODY = b"x" * 1024

_END_OF_HEAD = b"\r\n\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
# Connections that have not been accepted yet: a thousand clients may come at once.
_BACKLOG = 2048


@contextmanager
def serving(delay: float = DELAY) -> Iterator[int]:
    """Runs a server for as long as the block lasts; it ends with this process, too, however that ends.

    Args:
        delay: How long each answer takes, in seconds.

    Yields:
        Its port on 127.0.0.1.
    """
    command = [sys.executable, "-m", __name__, str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:  # noqa: S603 # ours
        assert server.stdout is not None  # noqa: S101 # it was asked for
        try:
            line = server.stdout.readline()
            if not line:
                raise RuntimeError(f"the HTTP server did not start: {' '.join(command)}")
            yield int(line)
        finally:
            # That its input ends is what ends it.
            server.communicate()


class _Answerer(asyncio.Protocol):
    """One connection."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._received = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *heads, self._received = (self._received + data).split(_END_OF_HEAD)
        for _ in heads:
            self._loop.call_later(self._delay, self._answer)

    def _answer(self) -> None:
        # Whoever asked may have gone meanwhile.
        if not self._transport.is_closing():
            self._transport.write(_ANSWER)


async def serve(delay: float) -> None:
    """Serves, says its port on standard output, and ends when standard input does."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Answerer(delay), "127.0.0.1", 0, backlog=_BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 # for whoever started it
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    # Without waiting for those who are still connected.
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
