"""The node's program: ``python -m actorio._node``, started by `init`, told what to do on standard input.

Forks the zygote before anything else exists: no loop, no thread, only modules.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys

from actorio._node import boot
from actorio._node.zygote import Zygote
from actorio._transport.descriptors import raise_limit


def main() -> None:
    """Runs the node until no driver is left."""
    gc.disable()
    config = boot.decode(sys.stdin.buffer.read())
    raise_limit()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What every actor needs, imported once.
    importlib.import_module("cloudpickle")
    importlib.import_module(config.entry)
    ours, zygotes = socket.socketpair()
    pid = os.fork()
    if not pid:
        _be_zygote(config, ours, zygotes)
    zygotes.close()
    gc.enable()
    from actorio._node.server import serve  # noqa: PLC0415  # not in the zygote, and so not in the actors

    serve(config, ours, pid)


def _be_zygote(config: boot.Boot, ours: socket.socket, zygotes: socket.socket) -> None:
    try:
        ours.close()
        os.close(config.listener)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        Zygote(config, zygotes).run()
    except KeyboardInterrupt:
        os._exit(130)
    finally:
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
