"""Frames: a length-prefixed header and a payload that nobody here looks into.

A frame is ``header length (u32) | payload length (u64) | header | payload``, little endian. The header is a
msgspec message, decoded and checked on arrival; the payload stays bytes until somebody asks for its value.

Pure: bytes in, messages out. A reader that has raised `ProtocolError` is finished, as is its connection.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

M = TypeVar("M")
Payload = bytes | bytearray

PREFIX = struct.Struct("<IQ")
MAX_HEADER = 1 << 24
MAX_PAYLOAD = 1 << 38
# From this size on, a payload is received straight into a buffer of its own, so that it is copied once.
LARGE = 1 << 16

pack_prefix = PREFIX.pack
_unpack_from = PREFIX.unpack_from
_PREFIX_SIZE = PREFIX.size


class ProtocolError(Exception):
    """The other end sent bytes that are no frame, or a frame that it must not send now."""


def frame(header: bytes, payload: Payload = b"") -> bytes:
    """Returns the bytes of one frame."""
    return pack_prefix(len(header), len(payload)) + header + payload


class _Large:
    """A large payload on its way in: its decoded header, and the buffer that is being filled."""

    __slots__ = ("buffer", "filled", "message")

    def __init__(self, message: object, size: int) -> None:
        self.message = message
        self.buffer = bytearray(size)
        self.filled = 0


class FrameReader(Generic[M]):
    """Cuts a stream of bytes into messages; keeps what is incomplete until the rest arrives.

    Args:
        decode: turns a header's bytes into a message, raising on anything else.
    """

    __slots__ = ("_decode", "_large", "_rest")

    def __init__(self, decode: Callable[[bytes], M]) -> None:
        self._decode = decode
        self._rest = b""
        self._large: _Large | None = None

    def feed(self, data: bytes) -> list[tuple[M, Payload]]:
        """Takes the next bytes, in any chunking, and returns the messages that are complete now.

        Raises:
            ProtocolError: the bytes are no frames of this protocol.
        """
        if self._large is not None:
            return self._feed_large(data)
        if self._rest:
            data = self._rest + data
        found: list[tuple[M, Payload]] = []
        decode = self._decode
        low, end = 0, len(data)
        while end - low >= _PREFIX_SIZE:
            header_size, payload_size = _unpack_from(data, low)
            middle = low + _PREFIX_SIZE + header_size
            stop = middle + payload_size
            if stop > end:
                if header_size > MAX_HEADER or payload_size > MAX_PAYLOAD:
                    raise ProtocolError(f"a frame of {header_size} + {payload_size} bytes")
                if payload_size >= LARGE and middle <= end:
                    return found + self._begin_large(data, low, middle, payload_size)
                break
            try:
                message = decode(data[low + _PREFIX_SIZE : middle])
            except Exception as error:
                raise ProtocolError(f"not a message: {error}") from error
            found.append((message, data[middle:stop]))
            low = stop
        self._rest = data[low:]
        return found

    def gap(self) -> memoryview | None:
        """Returns the empty part of a large payload on its way in, to receive into, or None when there is none."""
        large = self._large
        return None if large is None else memoryview(large.buffer)[large.filled :]

    def filled(self, count: int) -> list[tuple[M, Payload]]:
        """Says that ``count`` bytes were received into `gap`; returns the message if it is complete now."""
        large = self._large
        if large is None:
            raise AssertionError("filled() follows gap(), and gap() was None")
        large.filled += count
        if large.filled < len(large.buffer):
            return []
        self._large = None
        return [(large.message, large.buffer)]  # type: ignore[list-item]  # decoded by self._decode

    def is_between_frames(self) -> bool:
        """Is nothing incomplete waiting for more bytes? False at the end of a stream means that it was cut."""
        return not self._rest and self._large is None

    def _begin_large(self, data: bytes, low: int, middle: int, size: int) -> list[tuple[M, Payload]]:
        try:
            message = self._decode(data[low + _PREFIX_SIZE : middle])
        except Exception as error:
            raise ProtocolError(f"not a message: {error}") from error
        try:
            self._large = _Large(message, size)
        except MemoryError as error:
            raise ProtocolError(f"there is no memory for a payload of {size} bytes") from error
        self._rest = b""
        return self._feed_large(data[middle:])

    def _feed_large(self, data: bytes) -> list[tuple[M, Payload]]:
        gap = self.gap()
        if gap is None:
            raise AssertionError("only called while a large payload is on its way")
        count = min(len(gap), len(data))
        gap[:count] = data[:count]
        done = self.filled(count)
        return done + self.feed(data[count:]) if count < len(data) else done
