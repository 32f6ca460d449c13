"""An actor's process: what the node's zygote does before it forks one, and what runs in each.

Also the program of an actor that is not forked: ``python -m actorio._worker.process LISTENER BIRTH [GPUS]``.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
from typing import NoReturn

from actorio._model.birth import Birth
from actorio._transport.descriptors import read_whole
from actorio._worker.life import Life
from actorio._worker.rehearsal import rehearse
from actorio._worker.surroundings import settle_in


class _Template:
    """What this process, or the one that it was forked from, has made for an actor to come."""

    life: Life | None = None


_TEMPLATE = _Template()


def warm_up(surroundings: bytes, directory: str) -> None:
    """Does in the template whatever can be done before there is an actor. Leaves no thread and no loop.

    The template settles in these surroundings: most actors will find in them what they need.
    """
    settle_in(surroundings)
    rehearse(surroundings, directory)


def prepare(directory: str) -> Life:
    """Makes what is the same for all actors of the session in this directory: a life that is no actor's yet."""
    _TEMPLATE.life = life = Life(directory)
    life.furnish()
    # Those who end in order say so: what they have called goes on.
    atexit.register(life.runtime.calls.bid_farewell)
    return life


def run(listener_fd: int, birth_fd: int, gpus: str | None) -> NoReturn:
    """Lives an actor's life. The descriptors are its listening socket and its birth; never returns.

    The standard streams lead to the node already. ``gpus`` are those that it may use; None: those of its maker.
    """
    birth = Birth.decode(read_whole(birth_fd))
    os.close(birth_fd)
    life = _TEMPLATE.life or prepare(os.path.dirname(birth.address))  # noqa: PTH120  # a string is what sockets take
    life.be(birth, socket.socket(fileno=listener_fd), gpus)
    life.live()


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if sys.argv[3:] else None)
