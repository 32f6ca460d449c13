"""What is remembered of the last ones only."""

from __future__ import annotations

from contextlib import suppress
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(dict[K, V]):
    """A dict that forgets its oldest entries beyond ``most``. Any thread may `note`."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def note(self, key: K, value: V) -> None:
        """Adds an entry."""
        self[key] = value
        if len(self) > self._most:
            # Another thread may be removing one as well.
            with suppress(KeyError, RuntimeError, StopIteration):
                del self[next(iter(self))]
