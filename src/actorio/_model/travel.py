"""Handles inside values on their way: which ones a pickle holds, and what keeps their actors meanwhile.

A handle that is pickled is noted here, in the thread that pickles. Whoever pickles for another process takes the notes
and tells the node, so that no actor ends while a handle on it travels.
"""

from __future__ import annotations

import threading
from typing import Any


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
    """Pickled bytes that keep the actors whose handles are in them.

    Attributes:
        holds: what keeps each actor, by its id.
    """

    holds: dict[str, Any]

    @classmethod
    def of(cls, data: bytes, holds: dict[str, Any]) -> KeepingBytes:
        """Returns ``data`` with what it keeps."""
        kept = cls(data)
        kept.holds = holds
        return kept

    def __reduce__(self) -> tuple[Any, ...]:
        # Sent as an argument of its own, it is bytes over there, and the handles in it travel.
        for actor_id, hold in self.holds.items():
            note(actor_id, hold)
        return bytes, (bytes(memoryview(self)),)


def kept_by(data: Any) -> dict[str, Any]:
    """Returns what pickled bytes keep: actor ids and holds."""
    return data.holds if isinstance(data, KeepingBytes) else {}
