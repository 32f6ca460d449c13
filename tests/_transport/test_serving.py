"""What becomes of a caller's connection when something goes wrong with it."""

import asyncio
import contextlib
import socket

from actorio._transport.loops import new_loop
from actorio._transport.serving import Connection, Server
from actorio._transport.sockets import listen


class Starving:
    """A socket that there is no memory to read from."""

    def __init__(self, sock):
        self._sock = sock
        self.fileno, self.close = sock.fileno, sock.close

    def recvmsg(self, *_sizes):
        raise MemoryError


async def is_cut_off(sock):
    try:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 1), 10) == b""
    except ConnectionResetError:
        # What it has sent was not read.
        return True


def test_a_caller_that_cannot_be_read_for_want_of_memory_is_cut_off(tmp_path, caplog):
    async def serve():
        listener = listen(str(tmp_path / "actor"))
        server = Server(asyncio.get_running_loop(), listener, None, None)
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setblocking(False)
        server.connections.add(Connection(server, Starving(theirs)))
        with ours:
            ours.send(b"a call")
            was_cut_off = await is_cut_off(ours)
        server.close()
        return was_cut_off

    loop = new_loop()
    assert loop.run_until_complete(serve())
    loop.close()
    assert [record.getMessage() for record in caplog.records] == [
        "a caller was cut off: there is no memory to read what it sends"
    ]


def test_answers_do_not_wait_for_the_end_of_an_iteration_that_takes_long(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("actorio._transport.serving.time.monotonic", lambda: now[0])

    async def serve():
        server = Server(asyncio.get_running_loop(), listen(str(tmp_path / "actor")), None, None)
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        connection = Connection(server, theirs)
        server.connections.add(connection)
        arrived = []
        with ours:
            ours.setblocking(False)
            # All of this happens in one iteration.
            for _ in range(4):
                connection.reply_soon(b"answer")
                now[0] += 0.0006
                with contextlib.suppress(BlockingIOError):
                    arrived.append(ours.recv(100))
        server.close()
        return arrived

    loop = new_loop()
    assert loop.run_until_complete(serve()) == [b"answer" * 3]
    loop.close()
