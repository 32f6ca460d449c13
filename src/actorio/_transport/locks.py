"""Locks between processes, which go with the process that holds them. A forked child has none of its parent's."""

from __future__ import annotations

import fcntl
import os

from actorio._transport.descriptors import close_all

_HELD: set[int] = set()


def hold_lock(path: str | os.PathLike[str], flags: int) -> int:
    """Opens a file or directory and waits for its lock; returns the descriptor, for `let_go_of_lock`.

    Raises:
        OSError: it cannot be opened.
    """
    fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    _HELD.add(fd)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except BaseException:
        let_go_of_lock(fd)
        raise
    return fd


def let_go_of_lock(fd: int) -> None:
    """Closes the descriptor; processes that were given it have the lock still."""
    _HELD.discard(fd)
    os.close(fd)


def _let_go_in_child() -> None:
    # A lock stays as long as anybody has the descriptor, and a child knows nothing of what its parent was doing.
    close_all(_HELD)
    _HELD.clear()


os.register_at_fork(after_in_child=_let_go_in_child)
