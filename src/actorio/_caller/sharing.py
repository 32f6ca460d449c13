"""References that travel between processes: exporting this process's results, borrowing those of others."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from actorio._caller.borrowed import BorrowedResult
from actorio._caller.flows import StreamResult
from actorio._caller.ledger import Ledger, key_of, owner_in
from actorio._caller.owner import SUBSCRIBE, OwnerServer
from actorio._caller.owners import Owners
from actorio._caller.pending import HERE, PendingResult
from actorio._caller.wakers import running_loop
from actorio._model.actor_options import DEFAULT_WINDOW
from actorio._model.context import get_runtime_context
from actorio._model.errors import RaySystemError
from actorio._model.travel import note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actorio._caller.contexts import Contexts
    from actorio._caller.loss import Losses
    from actorio._model.runtime import Flow
    from actorio._wire.messages import Message


def identify() -> None:
    """Gives this process an identity of its own among those that make references."""
    HERE.identity = os.urandom(16)


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
        self._ledger: Ledger | None = None
        self._server: OwnerServer | None = None
        self._owners = Owners(_call_later)
        self._is_closed = False
        # Guards the server while it is made.
        self._lock = threading.Lock()
        identify()
        HERE.export, HERE.export_flow = self.export, self.export_flow

    def is_needed(self) -> bool:
        """Does another process need a value of this one's?"""
        ledger = self._ledger
        return ledger is not None and (not ledger.is_empty() or bool(ledger.flows))

    def export(self, result: PendingResult) -> tuple[Any, ...]:
        """A reference to a result is being pickled; returns what other processes need to `borrow` it.

        Raises:
            RaySystemError: the session has ended.
        """
        ledger = self._ledger or self._open(result.call)
        note(ledger.note(result), result)
        result.is_shared = True
        return ledger.path, HERE.identity, result.number, result.call

    def export_flow(self, flow: Flow) -> tuple[Any, ...]:
        """A stream is being passed on; returns what the other process needs to `subscribe` to it.

        Raises:
            RaySystemError: the session has ended.
        """
        ledger, number = self._ledger or self._open(flow.call), next(self._numbers)
        ledger.flows[number] = flow
        return ledger.path, HERE.identity, number, flow.call

    def subscribe(self, exported: tuple[Any, ...]) -> Flow:
        """Goes on with the stream that another process has passed on; one of its own that comes home goes on here."""
        path, identity, number, call = exported
        if identity == HERE.identity and self._ledger is not None and number in self._ledger.flows:
            return self._ledger.flows.pop(number)
        result = StreamResult(next(self._numbers), None, call, DEFAULT_WINDOW, self._numbers)
        try:
            lane = self._contexts().of(running_loop()).open(path, self._losses.of_owner, is_ordered=False)
        except OSError:
            self._losses.of_owner([result], "", 0.0, may_have_run=False)
        else:
            result.lane = lane
            lane.call(result, SUBSCRIBE, str(number).encode())
        return result

    def _open(self, call: str) -> Ledger:
        with self._lock:
            if self._is_closed:
                raise RaySystemError(f"what {call}() gives belongs to a session that has ended")
            if self._ledger is None:
                ledger = Ledger(f"{self._directory}/o{os.urandom(8).hex()[:15]}", self._keep_actor)
                self._server = OwnerServer(ledger)
                self._ledger = ledger
            return self._ledger

    def _keep_actor(self, is_needed: bool) -> None:  # noqa: FBT001  # a callback
        """Keeps the actor that this process is, while others have references whose values are here alone."""
        actor_id = get_runtime_context().actor_id
        if actor_id is not None:
            (HERE.holdings.pin if is_needed else HERE.holdings.unpin)(actor_id)

    # --- counting -----------------------------------------------------------------------------------------------

    def tell(self, key: str, message: Message) -> None:
        """Tells a value's owner, which may be this process."""
        path, ledger = owner_in(key), self._ledger
        if ledger is not None and path == ledger.path:
            ledger.hear(message)
        else:
            self._owners.tell(path, message)

    def come_home(self, key: str, token: int) -> PendingResult | None:
        """A reference has arrived; returns the result when it is one of this process's own."""
        ledger = self._ledger
        return None if ledger is None or owner_in(key) != ledger.path else ledger.come_home(key, token)

    # --- borrowing ----------------------------------------------------------------------------------------------

    def borrow(self, exported: tuple[Any, ...]) -> PendingResult:
        """Returns the result that another process exported; its own results when they come home."""
        path, identity, number, _ = exported
        own = self._ledger.find(number) if identity == HERE.identity and self._ledger is not None else None
        if own is not None:
            return own
        hold = HERE.holdings.find(key_of(path, number))
        return BorrowedResult(next(self._numbers), exported, self._fetch, hold)

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
        self._owners.close()
        if self._server is not None:
            self._server.close()

    def abandon(self) -> None:
        """Closes this process's copies of the descriptors; in a forked child."""
        self._is_closed = True
        self._owners.abandon()
        if self._server is not None:
            self._server.abandon()


def _call_later(function: Callable[[], None]) -> None:
    HERE.holdings.call_later(function)
