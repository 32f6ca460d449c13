"""Back-pressure: callers of a full mailbox are told to pause, and hear when there is room again.

Whoever uses it from several threads holds a lock around each call.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from actorio._wire.messages import Full, encode
from actorio._wire.payload import NONE

if TYPE_CHECKING:
    from actorio._transport.serving import Connection

FULL = encode(Full())


class Brake:
    """Which callers have been told to pause, and which of them have asked for room.

    Args:
        bound: how many calls may wait.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._told: set[Connection] = set()
        # Who asked, oldest first, each with the number of the question.
        self._asking: deque[tuple[Connection, int]] = deque()

    def pull(self, connection: Connection) -> None:
        """A call has come from there, and now the mailbox is full."""
        if connection not in self._told:
            self._told.add(connection)
            connection.reply_now(FULL)

    def ask(self, connection: Connection, number: int, waiting: int) -> None:
        """A caller wants to know when there is room; so many calls wait."""
        self._asking.append((connection, number))
        self.release(waiting)

    def release(self, waiting: int) -> None:
        """So many calls wait now: lets as many callers go on as there is room for, the oldest first."""
        room = self._bound - waiting
        while room > 0 and self._asking:
            connection, number = self._asking.popleft()
            self._told.discard(connection)
            if connection.is_open():
                connection.reply_now(connection.peer.result(number, NONE))
                room -= 1
