"""How much memory the processes of a session have in values: a file that they share, and the limit that it names.

A process claims a slot with a lock, which goes with the process. It alone writes to its slot, and whoever needs memory
adds them all up: numbers that are a moment old do no harm.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# Process id, bytes, values, and what the process is called.
_SLOT = struct.Struct("<QQQ40s")
# The limit in bytes, and how long to wait for room, in seconds.
_HEADER = struct.Struct("<Qd")
_SLOTS = 8192
DEFAULT_PATIENCE = 10.0
_DEFAULT_SHARE = 0.3
_CGROUP_LIMIT = "/sys/fs/cgroup/memory.max"


class Holder(NamedTuple):
    """What one process has in values."""

    pid: int
    size: int
    values: int
    name: str


def usage_path(directory: str) -> str:
    """Returns where the processes of a session keep their table."""
    return f"{directory}/store"


def set_limit(directory: str, limit: int | None, patience: float) -> None:
    """Says how many bytes the values of a new session may take, and how long a `put` waits for room, in seconds."""
    with open(usage_path(directory), "wb") as file:  # noqa: PTH123
        file.write(_HEADER.pack(limit or default_limit(), patience))
        file.truncate(_SLOT.size * _SLOTS)


def default_limit() -> int:
    """Returns 30 percent of the memory that this process may have, as in Ray."""
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError), open(_CGROUP_LIMIT, encoding="ascii") as file:  # noqa: PTH123
        size = min(size, int(file.read()))
    return int(size * _DEFAULT_SHARE)


class Usage:
    """The table, and this process's slot in it. One thread at a time.

    Args:
        directory: the session's directory.
        name: what to call this process.

    Raises:
        OSError: there is none: the session has ended.
    """

    def __init__(self, directory: str, name: str) -> None:
        self._fd = os.open(usage_path(directory), os.O_RDWR | os.O_CLOEXEC)
        self._table = mmap.mmap(self._fd, 0)
        self._name = name.encode()[: _SLOT.size - 24]
        self.limit: int
        self.patience: float
        self.limit, self.patience = _HEADER.unpack_from(self._table)
        self._slot = self._claim()
        self.note(0, 0)

    def _claim(self) -> int:
        for index in range(1, _SLOTS):
            if self._lock(index):
                return index
        raise OSError("more processes than a session can have")

    def _lock(self, index: int) -> bool:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, index * _SLOT.size)
        except OSError:
            return False
        return True

    def note(self, size: int, count: int) -> None:
        """Says what this process has."""
        _SLOT.pack_into(self._table, self._slot * _SLOT.size, os.getpid(), size, count, self._name)

    def total(self) -> int:
        """Returns how many bytes all of them have."""
        return sum(holder.size for _, holder in self._holders())

    def holders(self) -> list[Holder]:
        """Returns who has how much, the largest first."""
        found = [holder for _, holder in self._holders() if holder.size]
        return sorted(found, key=lambda holder: holder.size, reverse=True)

    def bury(self) -> None:
        """Takes out of account who has ended."""
        for index, holder in list(self._holders()):
            if holder.size and index != self._slot and self._lock(index):
                _SLOT.pack_into(self._table, index * _SLOT.size, holder.pid, 0, 0, b"")
                fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, index * _SLOT.size)

    def _holders(self) -> Iterator[tuple[int, Holder]]:
        for index in range(1, _SLOTS):
            pid, size, count, name = _SLOT.unpack_from(self._table, index * _SLOT.size)
            if not pid:
                # Slots are claimed from the first on.
                return
            yield index, Holder(pid, size, count, name.rstrip(b"\0").decode(errors="replace"))

    def close(self) -> None:
        """Gives the slot back."""
        self._table.close()
        os.close(self._fd)
