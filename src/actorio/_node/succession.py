"""A node in the place of one that was killed: it hears from the zygote what there is, and goes on."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NoReturn

import msgspec

from actorio._node import boot as boots
from actorio._node.server import Node
from actorio._transport.loops import new_loop
from actorio._transport.sockets import connect, peer_pid, receive
from actorio._wire.messages import Kept, Ready, zygote_reader

if TYPE_CHECKING:
    import socket

    from actorio._node import server
    from actorio._node.boot import Boot

# The zygote may still be about to notice that the node before this one has gone: how often it is asked again, and how
# long the pause is, in seconds.
_TRIES, _PAUSE = 50, 0.02


def serve_again(address: str, listener: int, entry: str) -> NoReturn:
    """Runs a node, until the session has ended.

    Args:
        address: where the zygote listens.
        listener: the node's own listening socket.
        entry: the module that is an actor's life.
    """
    zygote, kept, boot = _meet_zygote(address, listener)
    loop = new_loop()
    node = Node(loop, boot, zygote, peer_pid(zygote), entry)
    node.adopt(kept)
    loop.run_until_complete(node.ended)
    os._exit(0)


def _meet_zygote(address: str, listener: int) -> tuple[socket.socket, list[server.Kept], Boot]:
    for _ in range(_TRIES):
        zygote = connect(address, blocking=True)
        told = _hear(zygote, listener)
        if told is not None:
            return zygote, *told
        zygote.close()
        time.sleep(_PAUSE)
    raise ConnectionRefusedError("the zygote has another node")


def _hear(zygote: socket.socket, listener: int) -> tuple[list[server.Kept], Boot] | None:
    """Returns what the zygote has kept, and how the session was started; None when it has a node already."""
    reader = zygote_reader()
    descriptors: list[int] = []
    kept: list[server.Kept] = []
    while data := receive(zygote, descriptors):
        for message, payload in reader.feed(data):
            if isinstance(message, Kept):
                kept.append((message, bytes(payload), descriptors[: message.count]))
                del descriptors[: message.count]
            else:
                kept.append((message, b"", []))
            if isinstance(message, Ready):
                boot = msgspec.structs.replace(boots.decode(payload), listener=listener, lock=descriptors[0])
                return kept, boot
    return None
