"""Calls whose values stream: items come one by one, before the reply, and credits go back as they are taken."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from actorio._caller.pending import HERE, PENDING, VALUE, PendingResult
from actorio._model.errors import RayError
from actorio._model.streams import FLOW_BYTES
from actorio._store.values import size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actorio._caller.lane import Lane
    from actorio._model.definition import MethodDefinition
    from actorio._model.runtime import Flow, Pending
    from actorio._wire.frames import Payload


class CommonFlow:
    """What all kinds of `Flow` have in common."""

    __slots__ = ()

    def export(self: Flow) -> tuple[Any, ...]:
        """See `Flow.export`."""
        return HERE.export_flow(self)

    def is_end(self, pending: Pending) -> bool:
        """See `Flow.is_end`."""
        return getattr(pending, "make_error", None) is end_of_stream


class StreamResult(CommonFlow, PendingResult):
    """The result of a streaming call: None when the last item has come, or an error.

    Args:
        window: how many items the method may be ahead.
        numbers: of results; each item gets one.

    Attributes:
        is_left: nobody takes items any more.
    """

    __slots__ = (
        "_is_told",
        "_items",
        "_lock",
        "_numbers",
        "_taken",
        "_taken_bytes",
        "_waiting",
        "is_left",
        "window",
    )

    def __init__(
        self, number: int, lane: Lane | None, what: MethodDefinition | str, window: int, numbers: Iterator[int]
    ) -> None:
        super().__init__(number, lane, what)
        self.window = window
        self._numbers = numbers
        # Items that nobody has asked for, and questions that nothing has come for; one of the two is empty.
        self._items: deque[Payload] = deque()
        self._waiting: deque[Any] = deque()
        self._taken = self._taken_bytes = 0
        self.is_left = self._is_told = False
        # Whoever awaits its end has the stream itself, too.
        self.is_shared = True
        # A signal's handler may take an item in the midst of this.
        self._lock = threading.RLock()

    @property
    def end(self) -> PendingResult:
        """See `Flow.end`."""
        return self

    # --- where items arrive -------------------------------------------------------------------------------------

    def take(self, payload: Payload) -> None:
        """The next item has arrived; in whichever thread reads."""
        with self._lock:
            if self.is_left:
                return
            if not self._waiting:
                self._items.append(payload)
                return
            waiting = self._waiting.popleft()
        waiting.complete(VALUE, payload)
        self._grant(payload)

    def complete(self, state: int, payload: Payload) -> None:
        """See `PendingResult.complete`: the last item has arrived."""
        super().complete(state, payload)
        self._tell_the_end()

    def fail(self, make_error: Any, unread: Any = None) -> None:
        """See `PendingResult.fail`."""
        super().fail(make_error, unread)
        self._tell_the_end()

    def _tell_the_end(self) -> None:
        with self._lock:
            waiting, self._waiting = list(self._waiting), deque()
        for each in waiting:
            self._end(each)

    def _end(self, waiting: PendingResult) -> None:
        with self._lock:
            is_error = self.state != VALUE and not self._is_told
            self._is_told = True
        if is_error:
            waiting.complete_like(self)
        else:
            waiting.fail(end_of_stream)

    # --- where they are taken -----------------------------------------------------------------------------------

    def next(self) -> PendingResult:
        """See `Flow.next`."""
        item = PendingResult(next(self._numbers), self.lane, self.what)
        with self._lock:
            payload = self._items.popleft() if self._items else None
            if payload is None and self.state == PENDING:
                self._waiting.append(item)
                return item
        if payload is None:
            self._end(item)
        else:
            item.complete(VALUE, payload)
            self._grant(payload)
        return item

    def give_back(self, pending: Pending) -> None:
        """See `Flow.give_back`."""
        with self._lock:
            if pending in self._waiting:
                self._waiting.remove(pending)
            elif isinstance(pending, PendingResult) and pending.state == VALUE:
                self._items.appendleft(pending.payload)

    def _grant(self, payload: Payload) -> None:
        """An item has been taken: says so, when it was half of what may be on its way."""
        self._taken += 1
        self._taken_bytes += size_of(payload)
        if self.state != PENDING or (2 * self._taken < self.window and 2 * self._taken_bytes < FLOW_BYTES):
            return
        count, self._taken, self._taken_bytes = self._taken, 0, 0
        if self.lane is not None:
            self.lane.grant(self, count)

    def leave(self) -> None:
        """See `Flow.leave`."""
        self.is_left = True
        self._items.clear()
        self.note_read()
        if self.state == PENDING:
            # An object dies in the midst of anything.
            HERE.holdings.call_later(self._say_left)

    def _say_left(self) -> None:
        if self.state == PENDING and self.lane is not None:
            self.lane.leave(self)
            self.lane.keep_pumped(self)


def end_of_stream() -> RayError:
    """What the item behind the last one ends with."""
    return RayError("the stream has ended")
