"""What this process has asked of the node, and has no answer to. A new node is asked again.

Nothing is lost when a node is killed: a request is kept, with the descriptors that go along, until its answer is there.
To be asked twice does no harm, since the node knows an actor by the id that its maker has given it.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, NamedTuple

from actorio._model.errors import RaySystemError
from actorio._transport.descriptors import close_all
from actorio._wire.messages import Create, Drop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actorio._wire.messages import Message


class Asked(NamedTuple):
    """A message to the node, and what goes along with it."""

    message: Message
    payload: bytes = b""
    descriptors: tuple[int, ...] = ()


class Request:
    """What one answer is waited for.

    Args:
        asked: its descriptors are closed when the answer is there.

    Attributes:
        is_sent: a node has it, or had it; otherwise whoever asks is still about to send it.
        is_unattended: nobody waits for the answer.
        is_queued: the node has said that the answer takes its time.
        sequel: what another node is told after it: that this process keeps the actor no more.
    """

    def __init__(self, number: int, asked: Asked) -> None:
        self.number = number
        self.asked = asked
        self.is_sent = False
        self.is_unattended = self.is_queued = False
        self.sequel: Drop | None = None
        self.payload = b""
        self._failure: Exception | None = None
        self.is_there = threading.Event()

    def note_sent(self) -> None:
        """Notes that it has left."""
        self.is_sent = True

    def end(self, payload: bytes, failure: Exception | None) -> None:
        """Ends the wait."""
        self.payload, self._failure = payload, failure
        close_all(self.asked.descriptors)
        self.is_there.set()

    def wait(self, timeout: float) -> bool:
        """Waits for the answer, and returns whether it came in time.

        Raises:
            Exception: what was answered instead.
        """
        is_there = self.is_there.wait(timeout)
        if self._failure is not None:
            raise self._failure
        return is_there


class Requests:
    """The open requests of one process. Safe in any thread: whoever takes a request out ends it, and nobody else."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._open: dict[int, Request] = {}

    def number(self) -> int:
        """Returns a number that no request has had."""
        return next(self._numbers)

    def open(self, make: Callable[[int], Message], payload: bytes = b"", descriptors: tuple[int, ...] = ()) -> Request:
        """Adds a request; ``make`` is given its number."""
        number = self.number()
        request = self._open[number] = Request(number, Asked(make(number), payload, descriptors))
        return request

    def end(self, number: int, payload: bytes = b"", failure: Exception | None = None) -> None:
        """Ends a request, if nobody has yet."""
        request = self._open.pop(number, None)
        if request is not None:
            request.end(payload, failure)

    def queue(self, number: int) -> None:
        """The answer takes its time; nobody is to wait for it."""
        request = self._open.get(number)
        if request is not None:
            request.is_queued = True
            request.is_there.set()

    def note_dropped(self, actor_id: str) -> None:
        """This process keeps the actor no more; another one may: it has to be made, and let go of."""
        for request in list(self._open.values()):
            message = request.asked.message
            if isinstance(message, Create) and message.actor_id == actor_id:
                request.sequel = Drop(actor_id)

    def make_room(self, most: int, timeout: float) -> None:
        """Waits for the oldest unattended creation when there are so many of them: each has descriptors."""
        waiting = [each for each in list(self._open.values()) if each.is_unattended and not each.is_queued]
        if len(waiting) >= most:
            waiting[0].is_there.wait(timeout)

    def unanswered(self) -> Iterator[tuple[int, Asked]]:
        """Yields what another node has to be asked, with the numbers that say in which order."""
        for request in list(self._open.values()):
            if not request.is_sent:
                continue
            yield request.number, request.asked
            if request.sequel is not None:
                yield request.number, Asked(request.sequel)

    def end_all(self, reason: str) -> None:
        """Ends them all: there is nobody to answer."""
        for number in list(self._open):
            self.end(number, failure=RaySystemError(reason))
