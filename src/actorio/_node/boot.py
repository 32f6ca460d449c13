"""What a node is started with; it reads this from its standard input."""

from __future__ import annotations

import msgspec


class Boot(msgspec.Struct, array_like=True):
    """How to start.

    Attributes:
        directory: the session's directory; removed at the end.
        listener: the descriptor of the node's listening socket.
        lock: the descriptor whose lock says that the session lives.
        preload: modules that the zygote imports for all actors.
        surroundings: what the driver has around it, as actors take it over; ``preload`` is imported in it.
        is_kept: the session stays though nobody is in it, until it is stopped.
    """

    directory: str
    listener: int
    lock: int
    preload: list[str]
    surroundings: bytes
    is_kept: bool = False


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Boot).decode
