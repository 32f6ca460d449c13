"""The HTTP server and the clients of the harness understand each other, and the standard library understands them."""

import asyncio
import http.client
import socket

import pytest

from actorio.bench.http_server import BODY, serving
from actorio.bench.tiny_http import AsyncClient, Client


@pytest.fixture(scope="module")
def port():
    with serving(delay=0.0) as number:
        yield number


def ask_by_library(port):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        for _ in range(2):
            connection.request("GET", "/")
            yield connection.getresponse().read()
    finally:
        connection.close()


def ask_in_a_thread(port):
    client = Client("127.0.0.1", port)
    try:
        yield from (client.get("/"), client.get("/"))
    finally:
        client.close()


def ask_on_a_loop(port):
    async def ask():
        client = AsyncClient("127.0.0.1", port)
        pages = [*await asyncio.gather(client.get("/"), client.get("/")), await client.get("/")]
        await client.close()
        return pages

    return asyncio.run(ask())


@pytest.mark.parametrize("ask", [ask_by_library, ask_in_a_thread, ask_on_a_loop])
def test_each_client_gets_pages_over_connections_that_are_kept(ask, port):
    assert set(ask(port)) == {BODY}


@pytest.fixture
def answering():
    """A server that answers its only client with whatever it is told."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(*parts):
            client = Client(*server.getsockname())
            accepted, _ = server.accept()
            with accepted:
                for part in parts:
                    accepted.sendall(part)
            return client

        yield answer


def test_an_answer_that_comes_in_pieces_is_put_together(answering):
    client = answering(b"HTTP/1.1 200 OK\r\nContent-", b"Length: 4\r\n\r", b"\nab", b"cd")
    assert client.get("/") == b"abcd"
    client.close()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\n\r\n", ValueError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", EOFError),
        (b"", EOFError),
    ],
)
def test_an_answer_that_is_no_page_is_an_error(answer, error, answering):
    client = answering(answer)
    with pytest.raises((error, ConnectionError)):
        client.get("/")
    client.close()


def test_the_server_ends_with_the_block():
    with serving() as number:
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", number))
