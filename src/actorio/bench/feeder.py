"""The floor of streams: a bare process that writes pickles, each behind its length, into a socket as fast as it can.

It is a fresh interpreter rather than a fork, so that it can be started from a program that has threads, loops and
sockets already. It is told in a line how many items to send, and of how many bytes each; none for a number.
"""

from __future__ import annotations

import contextlib
import pickle
import socket
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PREFIX = struct.Struct("<I")
_WRITE_BYTES = 64 << 10
_BUFFER_BYTES = 256 << 10


@contextlib.contextmanager
def running() -> Iterator[Callable[[int, int], float]]:
    """Runs a feeder for the length of a ``with`` block.

    Yields:
        A function that takes so many items of so many bytes each, and returns the seconds until it has them all.
    """
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", __name__, str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()]), ours:  # noqa: S603  # this interpreter
        theirs.close()
        with ours.makefile("rwb", buffering=_BUFFER_BYTES) as file:

            def take(count: int, size: int) -> float:
                begun = time.perf_counter()
                file.write(f"{count} {size}\n".encode())
                file.flush()
                for _ in range(count):
                    pickle.loads(file.read(_PREFIX.unpack(file.read(_PREFIX.size))[0]))
                return time.perf_counter() - begun

            take(1, 0)
            yield take


def _items(count: int, size: int) -> Iterator[object]:
    message = b"m" * size
    return (message if size else number for number in range(count))


def _feed(sock: socket.socket, count: int, size: int) -> None:
    out = bytearray()
    for item in _items(count, size):
        data = pickle.dumps(item, 5)
        out += _PREFIX.pack(len(data)) + data
        if len(out) > _WRITE_BYTES:
            sock.sendall(out)
            out.clear()
    sock.sendall(out)


def _serve(descriptor: int) -> None:
    """Feeds until the other side closes."""
    with socket.socket(fileno=descriptor) as sock, sock.makefile("rb") as orders:
        for order in orders:
            count, size = map(int, order.split())
            _feed(sock, count, size)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
