"""Handles inside values on their way: which ones a pickle holds, and what keeps their actors meanwhile.

A handle that is pickled is noted here, in the thread that pickles. Whoever pickles for another process takes the notes
and tells the node, so that no actor ends while a handle on it travels.
"""

from __future__ import annotations

import threading
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


class _Noted(threading.local):
    """The handles pickled in this thread since the last look: actor ids, and what keeps each of them here."""

    actors: dict[str, Any] | None = None


NOTED = _Noted()
"""``NOTED.actors`` is None as long as nothing was noted: that is looked at after every pickle."""


def note(actor_id: str, hold: Any) -> None:
    """A handle on this actor has been pickled."""
    if NOTED.actors is None:
        NOTED.actors = {}
    NOTED.actors[actor_id] = hold


def take_notes() -> dict[str, Any]:
    """Returns the handles that were pickled since the last call, and forgets them."""
    actors, NOTED.actors = NOTED.actors, None
    return actors or {}


class KeepingBytes(bytes):
    """Pickled bytes, or a frame, with what they keep: actors whose handles are in them, files that hold large values.

    A value that lies in a file has no bytes here. Of several values in one, each that has none has the next file.

    Attributes:
        holds: what keeps each actor, by its id.
        files: open files, in the order of the values.
    """

    holds: dict[str, Any]
    files: tuple[Any, ...]

    @classmethod
    def of(cls, data: bytes | bytearray, holds: dict[str, Any], files: tuple[Any, ...] = ()) -> KeepingBytes:
        """Returns ``data`` with what it keeps."""
        kept = cls(data)
        kept.holds = holds
        kept.files = files
        return kept

    def __reduce__(self) -> tuple[Any, ...]:
        # Sent as an argument of its own, it is bytes over there, and the handles in it travel.
        for actor_id, hold in self.holds.items():
            note(actor_id, hold)
        return bytes, (bytes(memoryview(self)),)


def kept_by(data: Any) -> dict[str, Any]:
    """Returns what pickled bytes keep: actor ids and holds."""
    return data.holds if isinstance(data, KeepingBytes) else {}


def files_of(data: Any) -> tuple[Any, ...]:
    """Returns the files that hold what pickled bytes do not."""
    return data.files if isinstance(data, KeepingBytes) else ()


def with_files(data: bytes, files: tuple[Any, ...]) -> bytes:
    """Returns a frame, or payload, which keeps these files until it has left with them."""
    return KeepingBytes.of(data, {}, files) if files else data


def framed(answer: Callable[..., bytes], number: int, payload: bytes | bytearray, lent: tuple[Any, ...]) -> bytes:
    """Returns the frame of an answer, which keeps the payload's files; ``answer`` is a method of `ActorPeer`."""
    files = files_of(payload)
    if not files:
        # Most have none: a step shorter.
        return answer(number, payload, lent)
    return KeepingBytes.of(answer(number, payload, lent, len(files)), {}, files)


def join(payloads: Sequence[bytes | bytearray]) -> bytes:
    """Returns several payloads as one, which keeps what each of them does."""
    whole = b"".join(payloads)
    if not any(isinstance(each, KeepingBytes) for each in payloads):
        return whole
    holds = {actor_id: hold for each in payloads for actor_id, hold in kept_by(each).items()}
    return KeepingBytes.of(whole, holds, tuple(file for each in payloads for file in files_of(each)))


def cut(whole: bytes | bytearray, sizes: Iterable[int]) -> list[bytes]:
    """Returns the payloads of these sizes that `join` has made one, with their files and without their holds."""
    files, start, payloads = iter(files_of(whole)), 0, []
    for size in sizes:
        payloads.append(part_of(bytes(whole[start : start + size]), {}, files))
        start += size
    return payloads


def part_of(payload: bytes, holds: dict[str, Any], files: Iterator[Any]) -> bytes:
    """Returns one of several payloads that were one, with what it keeps: the next file if it has no bytes."""
    if payload and not holds:
        return payload
    return KeepingBytes.of(payload, holds, () if payload else tuple(islice(files, 1)))
