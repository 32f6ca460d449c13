"""A segment: a file in memory that one process writes values to, one after the other, and others read.

Who reads has a descriptor of its own kind, with a shared lock that goes with the last copy of it, in whichever
process: closed by hand, by the end of the process or by its death, or left unread in a socket. So the kernel counts the
readers, and its answer is right after any SIGKILL.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import TYPE_CHECKING

from actorio._transport.descriptors import Descriptor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorio._store.layout import Layout

# The kernel writes a little less than two GiB at once.
_MAX_WRITE = 1 << 30
_MAP_FLAGS = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)


class Segment(Descriptor):
    """The writer's side of a segment.

    Args:
        size: of the largest value that it may hold, in bytes. Memory is used for what is written only.

    Raises:
        OSError: there are no descriptors left.
    """

    __slots__ = ("_is_written", "_mapping", "size")

    def __init__(self, size: int) -> None:
        super().__init__(os.memfd_create("actorio", os.MFD_CLOEXEC))
        os.ftruncate(self.fileno(), size)
        self.size = size
        self._is_written = False
        self._mapping: mmap.mmap | None = None

    def write(self, layout: Layout, views: Sequence[memoryview]) -> None:
        """Writes a value's parts. Nobody may be reading the one before.

        Raises:
            OSError: there is no memory left.
        """
        # The first time the kernel finds and fills the pages in one go: twice as fast as through a mapping.
        write = self._write_to_mapping if self._is_written else self._write_to_file
        self._is_written = True
        write(0, memoryview(layout.table))
        for position, view in zip(layout.positions, views, strict=True):
            write(position, view)

    def _write_to_file(self, position: int, view: memoryview) -> None:
        while view:
            count = os.pwrite(self.fileno(), view[:_MAX_WRITE], position)
            position, view = position + count, view[count:]

    def _write_to_mapping(self, position: int, view: memoryview) -> None:
        if self._mapping is None:
            self._mapping = mmap.mmap(self.fileno(), self.size, flags=_MAP_FLAGS)
        self._mapping[position : position + view.nbytes] = view

    def reader(self) -> int:
        """Returns a descriptor for readers, which may be copied and passed on."""
        fd = os.open(f"/proc/self/fd/{self.fileno()}", os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_SH)
        return fd

    def is_read(self) -> bool:
        """Has anybody a descriptor of `reader` left, or mapped it?"""
        try:
            fcntl.flock(self.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self.fileno(), fcntl.LOCK_UN)
        return False
