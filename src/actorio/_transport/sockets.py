"""Unix sockets: listening, connecting, sending with descriptors. Every peer's user is checked."""

from __future__ import annotations

import array
import errno
import os
import socket
import struct
from contextlib import suppress

from actorio._transport.descriptors import explain_exhaustion

# One recv takes at most this much: larger requests make the allocator ask the kernel for memory each time.
CHUNK = 1 << 16
BACKLOG = 4096
# The kernel passes at most 253 descriptors at once; a message here carries four.
_MAX_DESCRIPTORS = 8
_UCRED = struct.Struct("3i")
# sun_path has room for 104 bytes on macOS and 108 on Linux, one of them for the terminator.
MAX_PATH = 100


class ForeignPeerError(Exception):
    """A process of another user is at the other end; nothing that it says is read."""


def listen(path: str) -> socket.socket:
    """Makes, binds and starts a listening socket.

    Raises:
        OSError: the path is taken, too long, or descriptors have run out (the text says what to do).
    """
    if len(os.fsencode(path)) > MAX_PATH:
        raise OSError(
            errno.ENAMETOOLONG, f"a Unix socket's path holds at most {MAX_PATH} bytes; set TMPDIR shorter", path
        )
    sock = _new_socket()
    try:
        sock.bind(path)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def connect(path: str, *, blocking: bool = False) -> socket.socket:
    """Connects to a listening socket of the same user.

    The kernel queues the connection, so this returns before the other process has accepted, or even exists. Only
    when the queue is full does it wait.

    Raises:
        OSError: nobody listens there.
        ForeignPeerError: the listening process belongs to somebody else.
    """
    sock = _new_socket()
    try:
        sock.connect(path)
        check_peer(sock)
        sock.setblocking(blocking)
    except BaseException:
        sock.close()
        raise
    return sock


def accept(listener: socket.socket) -> socket.socket | None:
    """Accepts one waiting connection, non-blocking; None when none waits or its user is not ours.

    Raises:
        OSError: descriptors have run out.
    """
    try:
        sock, _ = listener.accept()
    except (BlockingIOError, ConnectionAbortedError, InterruptedError):
        return None
    try:
        check_peer(sock)
    except (ForeignPeerError, OSError):
        sock.close()
        return None
    sock.setblocking(False)
    return sock


def check_peer(sock: socket.socket) -> None:
    """Checks that the process at the other end belongs to this process's user.

    Raises:
        ForeignPeerError: it does not.
    """
    uid = _peer_uid(sock)
    if uid != os.geteuid():
        raise ForeignPeerError(f"the process at the other end belongs to user {uid}, not to user {os.geteuid()}")


def peer_pid(sock: socket.socket) -> int:
    """Returns the process id at the other end as the kernel knows it, 0 where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0
    pid: int = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[0]
    return pid


def send_all(sock: socket.socket, data: bytes, descriptors: tuple[int, ...] = ()) -> None:
    """Sends everything on a blocking socket; the descriptors leave with the first byte."""
    if descriptors:
        sent = sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])
        data = data[sent:]
    if data:
        # Sending nothing fails, too, when the other end has gone; and it may have gone after it has taken everything.
        sock.sendall(data)


def receive(sock: socket.socket, into: list[int]) -> bytes:
    """Receives bytes, and appends to ``into`` the descriptors that came with them. ``b""`` is the end.

    The kernel never merges the bytes of two messages that carry descriptors, so they stay in the order of the
    messages.
    """
    space = socket.CMSG_SPACE(_MAX_DESCRIPTORS * 4)
    data, ancillary, _, _ = sock.recvmsg(CHUNK, space, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors = array.array("i")
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
            into.extend(descriptors)
    return data


def unlink(path: str) -> None:
    """Removes a socket's path; it may be gone."""
    with suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108  # pathlib would be imported for this alone


def _new_socket() -> socket.socket:
    try:
        return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError as error:
        raise explain_exhaustion(error) from error


def _peer_uid(sock: socket.socket) -> int:
    if hasattr(socket, "SO_PEERCRED"):
        uid: int = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[1]
        return uid
    # macOS and the BSDs: struct xucred { u_int version; uid_t uid; ... } at level SOL_LOCAL (0), option 1.
    _, bsd_uid = struct.unpack_from("Ii", sock.getsockopt(0, 1, 76))
    return int(bsd_uid)
