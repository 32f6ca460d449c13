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
        resources: what the session has of each resource.
        gpu_ids: one for each GPU.
        idle_worker_timeout: how long a worker without tasks lives, in seconds.
        is_kept: the session stays though nobody is in it, until it is stopped.
    """

    directory: str
    listener: int
    lock: int
    preload: list[str]
    surroundings: bytes
    resources: dict[str, int]
    gpu_ids: list[str]
    idle_worker_timeout: float
    is_kept: bool = False


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Boot).decode
