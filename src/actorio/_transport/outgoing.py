"""Bytes that wait for a socket to take them, and the files that leave with them."""

from __future__ import annotations

import array
import errno
import socket
import time
from collections import deque
from itertools import islice, takewhile
from typing import Any

from actorio._model.travel import KeepingBytes

# As plain numbers, which are quicker to handle than members of enumerations.
_SOCKET_LEVEL, _RIGHTS = int(socket.SOL_SOCKET), int(socket.SCM_RIGHTS)
# How long to wait before descriptors are sent again that the kernel had no room for, in seconds.
_THROTTLE = 0.002
# The kernel takes 253 descriptors at once.
_MAX_FILES = 250


class Outgoing(bytearray):
    """A buffer of frames. What the socket has taken is removed.

    Files leave with the first byte of their frame: so they have arrived when the frame is complete, in its order.

    Attributes:
        riders: the files that wait, each with the position of its frame, counted from where the first ones began.
    """

    __slots__ = ("_gone", "riders")

    def __init__(self) -> None:
        super().__init__()
        self.riders: deque[tuple[int, Any]] = deque()
        # How many bytes have left while there were riders.
        self._gone = 0

    def add(self, frame: bytes) -> None:
        """Appends a frame, and the files that it keeps. A frame that is known to keep none can simply be appended."""
        if frame.__class__ is KeepingBytes:
            position = self._gone + len(self)
            self.riders.extend((position, file) for file in frame.files)
        self += frame

    def send_all(self, sock: socket.socket) -> None:
        """Sends everything.

        Raises:
            BlockingIOError: the socket takes no more now; the rest is kept.
            OSError: the other end has gone.
        """
        while self:
            del self[: self.send(sock) if self.riders else sock.send(self)]

    def send(self, sock: socket.socket) -> int:
        """Sends some of what there is, while there are riders; returns how much has left. See `send_all`."""
        sent = self._send_with_files(sock)
        self._gone += sent
        return sent

    def _send_with_files(self, sock: socket.socket) -> int:
        """Sends the next files with the first byte of their frame and what follows, or what comes before it."""
        first = self.riders[0][0]
        if first > self._gone:
            with memoryview(self) as view:
                return sock.send(view[: first - self._gone])
        files = [file for _, file in takewhile(self._is_due, islice(self.riders, _MAX_FILES))]
        # Should the frame have more files than that, they leave with its next byte.
        stop = max(self.riders[len(files)][0] - self._gone, 1) if len(self.riders) > len(files) else len(self)
        with memoryview(self) as view:
            descriptors = array.array("i", [file.fileno() for file in files])
            try:
                sent = sock.sendmsg([view[:stop]], [(_SOCKET_LEVEL, _RIGHTS, descriptors)])
            except OSError as error:
                if error.errno != errno.ETOOMANYREFS:
                    raise
                # This user has as many descriptors on their way, in all processes, as one process may have open. The
                # socket counts as writable all the same, so it is tried again and again.
                time.sleep(_THROTTLE)
                raise BlockingIOError from error
        for _ in files:
            self.riders.popleft()
        return sent

    def _is_due(self, rider: tuple[int, Any]) -> bool:
        return rider[0] <= self._gone

    def drop(self) -> None:
        """Forgets everything."""
        self.clear()
        self.riders.clear()
