"""What the zygote keeps of each actor, so that a new node can take the actor over when the node has died.

Descriptors and bytes; the zygote looks into neither. Every forked child inherits copies of the descriptors, and closes
them at once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from actorio._transport.descriptors import close_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Cradle(NamedTuple):
    """One actor: its encoded `Spec`, its descriptors, and the process that misses it (0: see `Fork`)."""

    spec: bytes
    descriptors: tuple[int, ...]
    owner_pid: int


class Cradles:
    """All actors of the session that are not dead for good."""

    def __init__(self) -> None:
        self.by_id: dict[str, Cradle] = {}

    def keep(self, actor_id: str, cradle: Cradle) -> None:
        """Keeps an actor's descriptors, in the place of those of its process before this one."""
        self.forget(actor_id)
        self.by_id[actor_id] = cradle

    def forget(self, actor_id: str) -> None:
        """Closes what was kept of an actor."""
        cradle = self.by_id.pop(actor_id, None)
        if cradle is not None:
            close_all(cradle.descriptors)

    def are_missed(self) -> bool:
        """Is there a detached actor, or one whose owner lives?"""
        return any(not cradle.owner_pid or is_alive(cradle.owner_pid) for cradle in self.by_id.values())

    def descriptors(self) -> list[int]:
        """Returns all that is kept."""
        return [fd for cradle in self.by_id.values() for fd in cradle.descriptors]


def runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yields the half-open ranges that the numbers form: descriptors are closed so in few system calls."""
    low = high = -1
    for number in sorted(numbers):
        if number != high:
            if low >= 0:
                yield low, high
            low = number
        high = number + 1
    if low >= 0:
        yield low, high


def is_alive(pid: int) -> bool:
    """Is there a process of this id?"""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Has the process ended, and nobody has waited for it?"""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123  # pathlib would be imported for this alone
            return stat.read().rpartition(b")")[2].split()[:1] == [b"Z"]
    except OSError:
        return False
