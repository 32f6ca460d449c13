"""What is sent over a socket, whatever the other end does meanwhile."""

import os
import socket

from actorio._transport.sockets import receive, send_all


class HungUpOn:
    """A socket whose other end takes what comes with descriptors, and goes before the sender does anything else."""

    def __init__(self, sock, other):
        self._sock, self._other = sock, other
        self.sendall = sock.sendall
        self.taken = b""

    def sendmsg(self, *arguments):
        sent = self._sock.sendmsg(*arguments)
        descriptors = []
        self.taken = receive(self._other, descriptors)
        self._other.close()
        for descriptor in descriptors:
            os.close(descriptor)
        return sent


def test_what_was_taken_whole_was_sent_though_the_other_end_has_gone_since():
    ours, theirs = socket.socketpair()
    with ours:
        sock = HungUpOn(ours, theirs)
        send_all(sock, b"all of it", (ours.fileno(),))
    assert sock.taken == b"all of it"
