"""References that travel between processes: exporting this process's results, borrowing those of others."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from actorio._caller.borrowed import BorrowedResult
from actorio._caller.owner import OwnerServer
from actorio._caller.pending import HERE, PendingResult, running_loop
from actorio._model.context import get_runtime_context
from actorio._model.errors import RaySystemError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actorio._caller.contexts import Contexts
    from actorio._caller.loss import Losses


class Sharing:
    """What this process shares with others.

    Args:
        directory: the session's directory, where the owner's server listens.
        contexts: returns the caller contexts.
        numbers: the numbers of this process's results.
    """

    def __init__(
        self, directory: str, contexts: Callable[[], Contexts], losses: Losses, numbers: Iterator[int]
    ) -> None:
        self._directory = directory
        self._contexts = contexts
        self._losses = losses
        self._numbers = numbers
        self._owner: OwnerServer | None = None
        self._is_closed = False
        # Guards the server while it is made.
        self._lock = threading.Lock()
        HERE.identity = os.urandom(16)
        HERE.export = self.export

    def export(self, result: PendingResult) -> tuple[Any, ...]:
        """Keeps a result for other processes; returns what they need to `borrow` it.

        Raises:
            RaySystemError: the session has ended.
        """
        with self._lock:
            if self._is_closed:
                raise RaySystemError(f"the reference to {result.call}() belongs to a session that has ended")
            if self._owner is None:
                actor_id = get_runtime_context().actor_id
                if actor_id is not None:
                    # Somebody elsewhere has, or will have, a reference whose value is here alone.
                    HERE.holdings.pin(actor_id)
                self._owner = OwnerServer(f"{self._directory}/o{os.urandom(8).hex()[:15]}")
        self._owner.export(result)
        return self._owner.path, HERE.identity, result.number, result.call

    def borrow(self, exported: tuple[Any, ...]) -> PendingResult:
        """Returns the result that another process exported; its own results when they come home."""
        _, identity, number, _ = exported
        if identity == HERE.identity and self._owner is not None and number in self._owner.exported:
            return self._owner.exported[number]
        return BorrowedResult(next(self._numbers), exported, self._fetch)

    def _fetch(self, result: BorrowedResult) -> None:
        if self._is_closed:
            result.abandon()
            return
        context = self._contexts().of(running_loop())
        try:
            lane = context.open(result.owner, self._losses.of_owner, is_ordered=False)
        except OSError:
            self._losses.of_owner([result], "", 0.0, may_have_run=False)
            return
        result.lane = lane
        lane.fetch(result, result.origin)

    def close(self) -> None:
        """Stops sharing; borrowers that still wait learn that the owner has gone."""
        with self._lock:
            self._is_closed = True
        if self._owner is not None:
            self._owner.close()

    def abandon(self) -> None:
        """Closes this process's copies of the descriptors; in a forked child."""
        self._is_closed = True
        if self._owner is not None:
            self._owner.abandon()
