"""File descriptors: as many as the system allows, a clear word when they run out, files that live in memory."""

from __future__ import annotations

import errno
import os
import resource
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Descriptor:
    """An open file, which is closed when nobody has this any more.

    Attributes:
        mapping: what has been made of it, for whoever reads it.
        on_close: called when it has been closed, wherever an object may die.
    """

    __slots__ = ("_fd", "mapping", "on_close")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.mapping: Callable[[], Any] | None = None
        self.on_close: Callable[[], object] | None = None

    def fileno(self) -> int:
        """Returns the descriptor."""
        return self._fd

    def __del__(self) -> None:
        # There is none when it could not be opened.
        with suppress(AttributeError):
            os.close(self._fd)
            if self.on_close is not None:
                self.on_close()


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
