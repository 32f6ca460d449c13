"""File descriptors: as many as the system allows, a clear word when they run out, files that live in memory."""

from __future__ import annotations

import errno
import os
import resource
import select
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class Descriptor:
    """An open file, which is closed when nobody has this any more.

    A finaliser in Python could be interrupted by Ctrl-C before its first step, and the file would stay open. So an
    object of the interpreter's own closes it: one that is made for another kind of file, and does no more than that.

    Attributes:
        mapping: what has been made of it, for whoever reads it.
    """

    __slots__ = ("__weakref__", "_file", "mapping")

    def __init__(self, fd: int) -> None:
        self._file = select.epoll.fromfd(fd)
        self.mapping: Any = None

    def fileno(self) -> int:
        """Returns the descriptor."""
        return self._file.fileno()


def raise_limit() -> int:
    """Raises this process's descriptor limit to the hard limit; returns the limit. Actors inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            # macOS reports an unlimited hard limit that it does not grant: what we have is what we have.
            return soft
    return hard


def explain_exhaustion(error: OSError) -> OSError:
    """Returns ``error`` with a text that says what to do, when it means that descriptors have run out."""
    if error.errno not in {errno.EMFILE, errno.ENFILE}:
        return error
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    whose = "this process" if error.errno == errno.EMFILE else "the machine"
    return OSError(
        error.errno,
        f"{whose} has no file descriptors left (limit {soft}, hard limit {hard}): a caller uses one per actor that it "
        "calls, the node two per actor. Raise the hard limit (`ulimit -Hn`, LimitNOFILE=) or use fewer actors",
    )


def close_all(descriptors: Iterable[int]) -> None:
    """Closes descriptors that are open."""
    for descriptor in descriptors:
        os.close(descriptor)


def memory_file(data: bytes) -> int:
    """Returns a descriptor of an unnamed file that holds ``data``, to be passed to another process."""
    try:
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("actorio", os.MFD_CLOEXEC)
        else:
            import tempfile  # not on Linux

            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
    except OSError as error:
        raise explain_exhaustion(error) from error
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def read_whole(fd: int) -> bytes:
    """Returns all that a descriptor's file holds, whatever its position."""
    size = os.fstat(fd).st_size
    data = bytearray()
    while len(data) < size:
        data += os.pread(fd, size - len(data), len(data))
    return bytes(data)
