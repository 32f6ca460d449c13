"""The node's program: ``python -m actorio._node ENTRY``, started by `init`, told the rest on standard input.

ENTRY is the module whose ``run`` is an actor's life; the node does not know it otherwise.

Forks the zygote before anything else exists: no loop, no thread, only modules. Two more ways to start it: with
``--rejoin DIRECTORY DESCRIPTOR`` it takes over a session whose node was killed and whose zygote lives, and with
``--zygote DESCRIPTOR`` it is the zygote of a node whose own was killed.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
import traceback
from typing import NoReturn

from actorio._node import boot
from actorio._node.zygote import ADOPTION, Zygote
from actorio._transport.descriptors import raise_limit
from actorio._transport.sockets import listen, unlink


def main() -> None:
    """Runs the node until its session is over."""
    gc.disable()
    raise_limit()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    entry, *mode = sys.argv[1:]
    if mode and mode[0] == "--rejoin":
        _rejoin(entry, mode[1], int(mode[2]))
    elif mode:
        config = boot.decode(sys.stdin.buffer.read())
        _be_zygote(config, entry, socket.socket(fileno=int(mode[1])))
    else:
        _start(entry)


def _start(entry: str) -> NoReturn:
    # What both need. The rest they import at the same time: what actors need is not in the node.
    importlib.import_module("actorio._transport.loops")
    config = boot.decode(sys.stdin.buffer.read())
    ours, zygotes = socket.socketpair()
    pid = os.fork()
    if not pid:
        ours.close()
        os.close(config.listener)
        _be_zygote(config, entry, zygotes)
    zygotes.close()
    gc.enable()
    from actorio._node.server import serve  # not in the zygote, and so not in the actors

    serve(config, ours, pid, entry)


def _be_zygote(config: boot.Boot, entry: str, sock: socket.socket) -> NoReturn:
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Nobody writes to it any more; actors have it, too.
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        address = f"{config.directory}/{ADOPTION}"
        unlink(address)
        adoption = listen(address)
        Zygote(config, importlib.import_module(entry), sock, adoption).run()
    except KeyboardInterrupt:
        os._exit(130)
    except BaseException:
        # The node sees that it is gone; why, only a person can.
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)


def _rejoin(entry: str, directory: str, listener: int) -> NoReturn:
    gc.enable()
    from actorio._node.succession import serve_again

    serve_again(f"{directory}/{ADOPTION}", listener, entry)


if __name__ == "__main__":
    main()
