"""Calls that are made again: when their actor has died and is being restarted, or when their method has failed so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorio._caller.pending import FAILURE, PENDING, PendingResult
from actorio._model.failure import TaskFailure
from actorio._model.task_error import RayTaskError
from actorio._wire.payload import loads

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorio._caller.unread import UnreadError
    from actorio._model.actor_options import Manner
    from actorio._model.definition import MethodDefinition
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Lent

_UNLIMITED = -1


class RetriedResult(PendingResult):
    """The result of a call that may be sent more than once. The last attempt decides how it ends.

    Args:
        manner: how often there may be another attempt (-1 is without end), after which exceptions of the method, and
            how many values are wanted.
        send: sends the call, from the context that is running, and sets ``lane``.
    """

    __slots__ = ("_left", "_retried", "_send", "attempts", "lent", "returns")

    def __init__(
        self, number: int, what: MethodDefinition, manner: Manner, send: Callable[[RetriedResult], None]
    ) -> None:
        super().__init__(number, None, what)
        self.attempts = 1
        # What the last attempt has lent.
        self.lent: tuple[Lent, ...] = ()
        self.returns, self._left, self._retried = manner.returns, manner.retries, manner.retried
        self._send = send

    def send(self) -> None:
        """Makes the first attempt."""
        self._send(self)

    def try_again(self) -> bool:
        """Sends the call once more, if there is an attempt left."""
        if self._left == 0 or self.state != PENDING:
            return False
        if self._left != _UNLIMITED:
            self._left -= 1
        self.attempts += 1
        self._send(self)
        # Whoever waits may wait in another context than that which has sent it now.
        self.see_to_pumping(None)
        return True

    def stop_trying(self) -> None:
        """See `PendingResult.stop_trying`."""
        self._left = 0

    def complete(self, state: int, payload: Payload) -> None:
        """See `PendingResult.complete`. A failure that is worth another attempt does not end it."""
        if state != FAILURE or not self._is_retried(payload) or not self.try_again():
            self._left, self._send = 0, _is_over
            super().complete(state, payload)

    def fail(self, make_error: Callable[[], BaseException], unread: UnreadError | None = None) -> None:
        """See `PendingResult.fail`."""
        self._left, self._send = 0, _is_over
        super().fail(make_error, unread)

    def _is_retried(self, payload: Payload) -> bool:
        if self._retried is False or self._left == 0:
            return False
        failure = TaskFailure.decode(bytes(payload))
        if failure.kind == "cancelled":
            return False
        if self._retried is True:
            return True
        error = RayTaskError.from_failure(failure, loads)
        return isinstance(error, self._retried) or isinstance(getattr(error, "cause", None), self._retried)


def _is_over(_result: RetriedResult) -> None:
    """In the place of what would send the call, which keeps the actor alive."""
