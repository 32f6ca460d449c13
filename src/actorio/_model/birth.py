"""What an actor's process is born with: what it runs, for whom, and in which surroundings."""

from __future__ import annotations

import msgspec

from actorio._model.concurrency import Rules  # noqa: TC001  # msgspec reads the annotation


class WarningFilter(msgspec.Struct, array_like=True):
    """One entry of ``warnings.filters``; the category by module and name, the patterns as text."""

    action: str
    message: str | None
    category_module: str
    category_name: str
    module: str | None
    line: int


class Surroundings(msgspec.Struct, array_like=True):
    """What an actor's process takes over from the process that made it, in the same order.

    Paths and environment are bytes, as the system has them: they need not be text.
    """

    path: list[bytes]
    directory: bytes
    environment: dict[bytes, bytes]
    warning_filters: list[WarningFilter]
    log_level: int

    def encode(self) -> bytes:
        """Returns the surroundings as bytes: equal bytes, equal surroundings."""
        return _ENCODER.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Surroundings:
        """Reads surroundings from bytes."""
        return _SURROUNDINGS_DECODER.decode(data)


class Birth(msgspec.Struct, array_like=True):
    """All that a new actor needs; written once into memory, handed over as a descriptor.

    Not sent through the node's sockets, so that large constructor arguments are copied once, and so that whoever
    restarts the actor has them at hand.
    """

    actor_id: str
    name: str
    address: str
    session: str
    class_payload: bytes
    # The pickled `ClassDefinition`: inspecting the class again would cost each actor time and memory.
    definition: bytes
    arguments: bytes
    is_async: bool
    max_concurrency: int
    allow_blocking_get: bool
    stall_limit: float
    # Encoded `Surroundings`: most actors take over what their template has taken over already, and see so at a glance.
    surroundings: bytes
    # See `Home`.
    namespace: str = ""
    is_anonymous: bool = True
    # The actors whose handles, and the values whose references, are among the arguments.
    held: tuple[str, ...] = ()
    # What may run at once, where there is more to say than `max_concurrency`.
    rules: Rules | None = None
    # How long a method that is to end early may take for it, in seconds.
    cancel_grace: float = 5.0

    def encode(self) -> bytes:
        """Returns the birth as bytes."""
        return _ENCODER.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Birth:
        """Reads a birth from bytes."""
        return _DECODER.decode(data)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Birth)
_SURROUNDINGS_DECODER = msgspec.msgpack.Decoder(Surroundings)
