"""Several payloads in one: the values of a call with ``num_returns=n``, each pickled on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorio._wire.frames import Payload

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[bytes])


def pack(payloads: Sequence[Payload]) -> bytes:
    """Returns payloads as one."""
    return _ENCODER.encode(payloads)


def unpack(payload: Payload) -> list[bytes]:
    """Returns the payloads that were packed into one.

    Raises:
        msgspec.DecodeError: none were.
    """
    return _DECODER.decode(payload)
