"""How a supervised actor belongs to its group; travels with its creation."""

from __future__ import annotations

from typing import Literal

import msgspec


class Membership(msgspec.Struct, array_like=True, frozen=True):
    """One member's place in a group. Whoever creates a first member creates the group.

    Attributes:
        group_id: names the group in its session.
        strategy, intensity, window: the group's rules, see `actorio.util.Supervisor`.
        restart: when this member comes back.
    """

    group_id: str
    strategy: Literal["one_for_one", "one_for_all", "rest_for_one"]
    intensity: int
    window: float
    restart: Literal["permanent", "transient", "temporary"]

    def encode(self) -> bytes:
        """Returns the membership as bytes."""
        return _ENCODER.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Membership:
        """Reads a membership from bytes."""
        return _DECODER.decode(data)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Membership)
