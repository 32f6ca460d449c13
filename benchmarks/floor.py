"""The floor: how fast bare Python answers calls over one Unix socket, with no framework in between.

A client sends pickled calls, each behind a four-byte length, to a server in another process, which answers
each in the same way. There are no actors, errors, options or references: whatever a framework adds is what
separates its numbers from these. Two servers exist, each the cheapest form of one kind of actor:

- ``async`` starts a coroutine on a uvloop loop for every call;
- ``thread`` reads on a uvloop loop and hands every call to one worker thread, which writes the answer itself.

The client waits in two ways, as a user's program does: by polling the socket in the calling thread, or on a
uvloop loop. What is timed over it is in `patterns`, and the framework is timed by the very same code.

Run it to see the floor of this machine alone: ``python benchmarks/floor.py``.
"""

import argparse
import asyncio
import contextlib
import queue
import select
import socket
import statistics
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Literal

import uvloop
from channel import Channel, frame
from patterns import PATTERNS, USUAL_EFFORT, Effort, Side, samples

Kind = Literal["async", "thread"]
KINDS: tuple[Kind, ...] = ("async", "thread")

_ANSWERS_PER_WRITE = 64


async def _method(*_args: object, **_kwargs: object) -> object:
    return None


def _serve_async(sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
    async def answer(call: int, _name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        channel.send((call, await _method(*args, **kwargs)))

    channel = Channel(sock, lambda message: loop.create_task(answer(*message)), loop.stop)
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

    def __await__(self) -> Generator[Any, None, object]:
        if not self.is_done:
            self._waiter = asyncio.get_running_loop().create_future()
            yield from self._waiter
        return self.value


class Client:
    """The calling side of one socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.channel = Channel(sock, self._complete, self._fail)
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
        raise ConnectionError("the floor's server has ended")


@contextlib.contextmanager
def running(kind: Kind) -> Iterator[Side]:
    """Run a server of one kind for the length of a ``with`` block.

    The server is a fresh interpreter rather than a fork, so that it can be started from a program that
    already has threads, loops and sockets without inheriting them.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    command = [sys.executable, __file__, "--serve", kind, "--descriptor", str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()]), ours:
        theirs.close()
        client = Client(ours)
        client.get(client.call(1))
        yield Side(client.call, client.get, client.get_all, client.on_loop)


def measure(kind: Kind, *, effort: Effort = USUAL_EFFORT, rounds: int = 25) -> dict[str, float]:
    """Measure one kind of floor.

    Args:
        kind: Which server: ``async`` or ``thread``.
        effort: Calls per sample.
        rounds: Samples of each pattern; one more, not counted, warms up.

    Returns:
        The median calls per second by pattern.
    """
    with running(kind) as side:
        return {pattern: statistics.median(samples([side], pattern, effort, rounds)[0]) for pattern in PATTERNS}


def _serve(kind: Kind, descriptor: int) -> None:
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    sock = socket.socket(fileno=descriptor)
    (_serve_async if kind == "async" else _serve_thread)(sock, loop)


def main() -> None:
    """Print the floor of this machine, or serve it in a child process."""
    parser = argparse.ArgumentParser(description="Calls per second of bare Python over one Unix socket.")
    parser.add_argument("--serve", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--descriptor", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve(options.serve, options.descriptor)
        return
    for kind in KINDS:
        rates = "  ".join(f"{pattern} {rate:>9,.0f}" for pattern, rate in measure(kind).items())
        print(f"{kind:<8}{rates}")


if __name__ == "__main__":
    main()
