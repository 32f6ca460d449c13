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
_FEW = 64


class Brake:
    """Which callers have been told to pause, and which of them have asked for room.

    Args:
        bound: how many calls may wait.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._told: set[Connection] = set()
        # At so many of them those are looked for that have gone without asking.
        self._many = _FEW
        # Who asked, oldest first, each with the number of the question.
        self._asking: deque[tuple[Connection, int]] = deque()

    def pull(self, connection: Connection) -> None:
        """A call has come from there, and now the mailbox is full."""
        if connection not in self._told:
            if len(self._told) >= self._many:
                self._told = {each for each in self._told if each.is_open()}
                self._many = max(_FEW, 2 * len(self._told))
            self._told.add(connection)
            connection.reply_now(FULL)

    def ask(self, connection: Connection, number: int) -> None:
        """A caller wants to know when there is room: `release` tells."""
        self._asking.append((connection, number))

    def release(self, waiting: int, *, is_idle: bool) -> None:
        """Lets as many callers go on as there is room for, the oldest first.

        Args:
            waiting: so many calls wait now.
            is_idle: none runs.
        """
        # Those who may go on need not do so; when nothing is left to end, nobody would come here for the others.
        room = len(self._asking) if is_idle and not waiting else self._bound - waiting
        while room > 0 and self._asking:
            connection, number = self._asking.popleft()
            self._told.discard(connection)
            if connection.is_open():
                connection.reply_now(connection.peer.result(number, NONE))
                room -= 1
