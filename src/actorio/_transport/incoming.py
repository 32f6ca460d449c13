"""What arrives at a socket: bytes, which are cut into messages, and the files that came with them."""

from __future__ import annotations

import array
import errno
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from actorio._model.travel import KeepingBytes
from actorio._transport.descriptors import Descriptor, explain_exhaustion
from actorio._transport.sockets import CHUNK
from actorio._wire.frames import ProtocolError

if TYPE_CHECKING:
    from actorio._wire.frames import FrameReader, Payload

M = TypeVar("M")

# As many as the kernel passes at once.
_SPACE = socket.CMSG_SPACE(253 * array.array("i").itemsize)
# Programs that an actor starts must not inherit them.
_FLAGS = int(getattr(socket, "MSG_CMSG_CLOEXEC", 0))
# As a plain number: testing it against the enumeration's member would cost more than the system call.
_IS_CUT = int(socket.MSG_CTRUNC)


class Incoming(Generic[M]):
    """The receiving side of a lane, at either end.

    Files arrive before the last byte of the frame that they belong to, in the order of the frames.
    """

    __slots__ = ("_files", "_reader", "_sock")

    def __init__(self, sock: socket.socket, reader: FrameReader[M]) -> None:
        self._sock = sock
        self._reader = reader
        self._files: deque[Descriptor] = deque()

    def receive(self) -> list[tuple[M, Payload]]:
        """Reads once; returns the messages that are complete now.

        Raises:
            BlockingIOError: nothing has arrived.
            OSError: the other end has gone.
            ProtocolError: what came is no message; or its files are lost, since this process may not have so many.
        """
        gap = self._reader.gap()
        if gap is None:
            data, ancillary, flags, _ = self._sock.recvmsg(CHUNK, _SPACE, _FLAGS)
            if not data:
                raise ConnectionResetError
            if ancillary or flags & _IS_CUT:
                self._take_in(ancillary, flags)
            messages = self._reader.feed(data)
        else:
            count, ancillary, flags, _ = self._sock.recvmsg_into([gap], _SPACE, _FLAGS)
            if not count:
                raise ConnectionResetError
            if ancillary or flags & _IS_CUT:
                self._take_in(ancillary, flags)
            messages = self._reader.filled(count)
        return [self._with_files(*message) for message in messages] if self._files else messages

    def _take_in(self, ancillary: list[tuple[int, int, bytes]], flags: int) -> None:
        descriptors = array.array("i")
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
        self._files.extend(map(Descriptor, descriptors))
        if flags & _IS_CUT:
            raise ProtocolError(str(explain_exhaustion(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))))

    def _with_files(self, message: M, payload: Payload) -> tuple[M, Payload]:
        count = getattr(message, "files", 0)
        if not count:
            return message, payload
        files = tuple(self._files.popleft() for _ in range(min(count, len(self._files))))
        return message, KeepingBytes.of(payload, {}, files)
