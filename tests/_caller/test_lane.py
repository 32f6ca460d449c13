"""A lane sends each call once."""

import socket

from actorio._caller.lane import Lane
from actorio._caller.pending import PendingResult


class Noting(Lane):
    """A lane that keeps what it would send."""

    def __init__(self, sock):
        super().__init__("address", sock, None, None, is_ordered=False)
        self.frames = []

    def _write(self, frame):
        self.frames.append(frame)


def test_a_call_that_two_threads_send_again_is_sent_once():
    ours, theirs = socket.socketpair()
    lane = Noting(ours)
    result = PendingResult(1, lane, "A.f")
    assert lane.call(result, "f", b"payload")
    assert lane.call(result, "f", b"payload")
    assert len(lane.frames) == 1
    ours.close()
    theirs.close()
