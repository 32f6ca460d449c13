"""The floor: how fast bare Python answers calls over one Unix socket, with no framework in between.

A client sends pickled calls, each behind a four-byte length, to a server in another process, which answers
each in the same way. There are no actors, errors, options or references: whatever a framework adds is what
separates its numbers from these. Three servers exist:

- ``async`` starts a coroutine on a uvloop loop for every call;
- ``thread`` reads on a uvloop loop and hands every call to one worker thread, which writes the answer itself;
- ``spinning`` is ``async``, but it does not fall asleep as soon as there is nothing to do: both sides look for more
  for 60 microseconds first. Falling asleep and being woken costs more than all the rest of a call.

The client waits in two ways, as a user's program does: by polling the socket in the calling thread, or on a
uvloop loop. What is timed over it is in `patterns`, and the framework is timed by the very same code.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import select
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Literal, get_args

import uvloop

from actorio.bench.channel import Channel, frame
from actorio.bench.patterns import Side

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

Kind = Literal["async", "thread", "spinning"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_SPIN_SECONDS = 60e-6
_ANSWERS_PER_WRITE = 64


async def _method(*_args: object, **_kwargs: object) -> object:
    return None


def _serve_async(sock: socket.socket, loop: asyncio.AbstractEventLoop, spin: float = 0.0) -> None:
    async def answer(call: int, _name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        channel.send((call, await _method(*args, **kwargs)))

    channel = Channel(sock, lambda message: loop.create_task(answer(*message)), loop.stop, spin=spin)
    channel.attach(loop)
    loop.run_forever()


def _serve_thread(sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
    calls: queue.SimpleQueue[tuple[int, str, tuple[Any, ...], dict[str, Any]]] = queue.SimpleQueue()

    def next_answer() -> bytes:
        return frame((calls.get()[0], None))

    def work() -> None:
        while True:
            out = next_answer()
            count = 1
            while count < _ANSWERS_PER_WRITE and not calls.empty():
                out += next_answer()
                count += 1
            while out:
                try:
                    out = out[sock.send(out) :]
                except BlockingIOError:
                    select.select([], [sock], [])

    Channel(sock, calls.put, loop.stop).attach(loop)
    threading.Thread(target=work, daemon=True).start()
    loop.run_forever()


class Reply:
    """The answer to one call, to be awaited or got from its `Client`."""

    __slots__ = ("_waiter", "is_done", "value")

    def __init__(self) -> None:
        self.is_done = False
        self.value: object = None
        self._waiter: asyncio.Future[None] | None = None

    def complete(self, value: object) -> None:
        """Store the answer and wake the coroutine that awaits it."""
        self.value = value
        self.is_done = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def fail(self, error: Exception) -> None:
        """Wake the coroutine that awaits it with an error."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    def __await__(self) -> Generator[Any, None, object]:
        if not self.is_done:
            self._waiter = asyncio.get_running_loop().create_future()
            yield from self._waiter
        return self.value


class Client:
    """The calling side of one socket.

    Args:
        sock: A connected stream socket.
        spin: For so many seconds it looks for an answer before it sleeps.
    """

    def __init__(self, sock: socket.socket, spin: float = 0.0) -> None:
        self.channel = Channel(sock, self._complete, self._fail, spin=spin)
        self._spin = spin
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._pending: dict[int, Reply] = {}
        self._calls = 0

    def call(self, *args: object, **kwargs: object) -> Reply:
        """Send one call."""
        self._calls += 1
        reply = self._pending[self._calls] = Reply()
        self.channel.send((self._calls, "method", args, kwargs))
        return reply

    def get(self, reply: Reply) -> object:
        """Wait for an answer in the calling thread; no loop may be attached."""
        if self._spin:
            end = time.perf_counter() + self._spin
            while not reply.is_done and time.perf_counter() < end:
                self.channel.pump()
        while not reply.is_done:
            self._poll.poll()
            self.channel.pump()
        return reply.value

    def get_all(self, replies: list[Reply]) -> list[object]:
        """Wait for many answers in the calling thread."""
        return [self.get(reply) for reply in replies]

    @contextlib.contextmanager
    def on_loop(self) -> Iterator[None]:
        """Let the running loop read and write for the length of a ``with`` block."""
        self.channel.attach(asyncio.get_running_loop())
        try:
            yield
        finally:
            self.channel.detach()

    def _complete(self, message: tuple[int, object]) -> None:
        self._pending.pop(message[0]).complete(message[1])

    def _fail(self) -> None:
        error = ConnectionError("the floor's server has ended")
        if not self.channel.is_attached:
            raise error
        # On a loop: it must not look at the socket again, and nobody may wait for what does not come.
        self.channel.detach()
        for reply in self._pending.values():
            reply.fail(error)


@contextlib.contextmanager
def running(kind: Kind) -> Iterator[Side]:
    """Run a server of one kind for the length of a ``with`` block.

    The server is a fresh interpreter rather than a fork, so that it can be started from a program that
    already has threads, loops and sockets without inheriting them.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    command = [sys.executable, "-m", __name__, kind, str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()]), ours:  # noqa: S603  # this very module
        theirs.close()
        client = Client(ours, _SPIN_SECONDS if kind == "spinning" else 0.0)
        client.get(client.call(1))
        yield Side(client.call, client.get, client.get_all, client.on_loop)


def _serve(kind: Kind, descriptor: int) -> None:
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    sock = socket.socket(fileno=descriptor)
    if kind == "thread":
        _serve_thread(sock, loop)
    else:
        _serve_async(sock, loop, _SPIN_SECONDS if kind == "spinning" else 0.0)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))  # type: ignore[arg-type]  # given by `running`
