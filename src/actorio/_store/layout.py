"""Where the parts of a value lie in its file: a table, then the pickle, then each buffer that the pickle left out.

Pure. Numbers are 64-bit, little endian: the count of parts, then position and size of each. Parts begin at multiples
of 64 bytes, as vector instructions like it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ALIGNMENT = 64
_NUMBER = struct.Struct("<Q")
_PART = struct.Struct("<QQ")


class Layout(NamedTuple):
    """The table, where each part begins, and where the last one ends."""

    table: bytes
    positions: list[int]
    end: int


def lay_out(sizes: Sequence[int]) -> Layout:
    """Returns where parts of these sizes lie."""
    end = _NUMBER.size + _PART.size * len(sizes)
    positions = []
    for size in sizes:
        position = -(-end // _ALIGNMENT) * _ALIGNMENT
        positions.append(position)
        end = position + size
    pairs = zip(positions, sizes, strict=True)
    return Layout(_NUMBER.pack(len(sizes)) + b"".join([_PART.pack(*pair) for pair in pairs]), positions, end)


def parts_of(whole: memoryview) -> Iterator[memoryview]:
    """Returns the parts of a value that lies in ``whole``."""
    (count,) = _NUMBER.unpack_from(whole)
    for index in range(count):
        position, size = _PART.unpack_from(whole, _NUMBER.size + index * _PART.size)
        yield whole[position : position + size]
