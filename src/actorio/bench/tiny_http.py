"""Clients of HTTP that do the same and wait differently: GET, answers with a length, connections that are kept.

Two clients from elsewhere would differ in more than how they wait, and by more than that makes.
"""

from __future__ import annotations

import asyncio
import socket

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = "content-length"
_OK = 200
_CHUNK = 64 * 1024


class Client:
    """Asks one server, over one connection. In one thread, which waits.

    Args:
        host: Where the server is.
        port: Its port.

    Raises:
        OSError: the server cannot be reached.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path: str) -> bytes:
        """Asks for a page and returns it. The client is of no use after an error.

        Raises:
            OSError: the connection is lost.
            EOFError: the server has closed it.
            ValueError: the answer is not a page of a known length.
        """
        self._socket.sendall(_request(self._host, self._port, path))
        received = self._more()
        while _END_OF_HEAD not in received:
            received += self._more()
        head, _, body = received.partition(_END_OF_HEAD)
        length = _length_in(head)
        while len(body) < length:
            body += self._more()
        return body

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()

    def _more(self) -> bytes:
        chunk = self._socket.recv(_CHUNK)
        if not chunk:
            raise EOFError("the server has closed the connection")
        return chunk


class AsyncClient:
    """Asks one server. On one event loop of asyncio.

    As many connections are open as requests have been under way at once. A request that fails or is cancelled closes
    its own. They are closed with the process.

    Args:
        host: Where the server is.
        port: Its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        # The last one used comes first: what has been idle for long stays so.
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self, path: str) -> bytes:
        """Asks for a page and returns it.

        Raises:
            OSError: the server cannot be reached.
            EOFError: it has closed the connection.
            ValueError: the answer is not a page of a known length.
        """
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(_request(self._host, self._port, path))
            head = await reader.readuntil(_END_OF_HEAD)
            body = await reader.readexactly(_length_in(head))
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return body

    async def close(self) -> None:
        """Closes the connections that nobody uses."""
        while self._idle:
            _, writer = self._idle.pop()
            writer.close()
            await writer.wait_closed()


def _request(host: str, port: int, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()


def _length_in(head: bytes) -> int:
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if int(status.split(" ", 2)[1]) != _OK or _LENGTH not in headers:
        raise ValueError(f"not a page of a known length: {status}")
    return int(headers[_LENGTH])
