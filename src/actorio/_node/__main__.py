"""The node's program: ``python -m actorio._node ENTRY``, started by `init`, told the rest on standard input.

ENTRY is the module whose ``run`` is an actor's life; the node does not know it otherwise.

Forks the zygote before anything else exists: no loop, no thread, only modules.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

from actorio._node import boot
from actorio._node.zygote import Zygote
from actorio._transport.descriptors import raise_limit

if TYPE_CHECKING:
    from types import ModuleType


def main() -> None:
    """Runs the node until no driver is left."""
    gc.disable()
    raise_limit()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What every actor needs, imported once.
    importlib.import_module("cloudpickle")
    entry = importlib.import_module(sys.argv[1])
    config = boot.decode(sys.stdin.buffer.read())
    ours, zygotes = socket.socketpair()
    pid = os.fork()
    if not pid:
        _be_zygote(config, entry, ours, zygotes)
    zygotes.close()
    gc.enable()
    from actorio._node.server import serve  # not in the zygote, and so not in the actors

    serve(config, ours, pid)


def _be_zygote(config: boot.Boot, entry: ModuleType, ours: socket.socket, zygotes: socket.socket) -> None:
    try:
        ours.close()
        os.close(config.listener)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        Zygote(config, entry, zygotes).run()
    except KeyboardInterrupt:
        os._exit(130)
    finally:
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
