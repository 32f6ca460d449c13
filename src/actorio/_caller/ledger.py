"""The ledger of a process: which of its results others have references to, and keep so.

A reference that leaves is lent with a token, and held with it where it arrives, as handles on actors are (`Holders`).
What is said of a process's results comes to the process itself; no other one takes part.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

from actorio._model.holders import Holders
from actorio._wire import messages as m

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorio._caller.pending import PendingResult
    from actorio._model.runtime import Flow
    from actorio._wire.messages import Message

# The process itself among those who lend.
_ITSELF = ""


def key_of(path: str, number: int) -> str:
    """Returns what a result is called in messages: where its owner listens, and its number there."""
    return f"{path}#{number}"


def is_value(key: str) -> bool:
    """Is this the key of a result, and not an actor's id?"""
    return "#" in key


def owner_in(key: str) -> str:
    """Returns where the owner of a result listens."""
    return key.rpartition("#")[0]


def number_in(key: str) -> int:
    """Returns the number that a result has there."""
    return int(key.rpartition("#")[2])


class Ledger:
    """Counts who keeps this process's results. Any thread may use it.

    Args:
        path: where this process listens as an owner.
        on_change: called with True when somebody begins to keep a result while nobody kept any, with False when
            nobody does any more; in the thread that says so, one call after the other.

    Attributes:
        flows: the streams that were passed on, and to which nobody has subscribed yet.
    """

    def __init__(self, path: str, on_change: Callable[[bool], None]) -> None:
        self.path = path
        self.flows: dict[int, Flow] = {}
        self._on_change = on_change
        self._holders = Holders()
        # What others keep, and everything that they have been given references to.
        self._kept: dict[str, PendingResult] = {}
        self._known: weakref.WeakValueDictionary[int, PendingResult] = weakref.WeakValueDictionary()
        self._lock = threading.RLock()

    def note(self, result: PendingResult) -> str:
        """A reference to a result is being pickled; returns its key."""
        with self._lock:
            self._known[result.number] = result
        return key_of(self.path, result.number)

    def find(self, number: int) -> PendingResult | None:
        """Returns a result that somebody has been given a reference to, None when it is gone."""
        return self._known.get(number)

    def hear(self, message: Message, peer: str = _ITSELF) -> None:
        """Takes note of what a process says."""
        with self._lock:
            if isinstance(message, m.Lend):
                if self._keep(message.actor_id):
                    self._holders.lend(message.actor_id, message.token, peer)
                    # It may have arrived, and gone, before.
                    self._sweep(message.actor_id)
            elif isinstance(message, m.Hold):
                if self._keep(message.actor_id):
                    self._holders.hold(message.actor_id, peer, message.token)
            elif isinstance(message, m.Unlend):
                self._sweep(self._holders.unlend(message.token))
            elif isinstance(message, m.Drop):
                self._holders.drop(message.actor_id, peer, message.count)
                self._sweep(message.actor_id)

    def come_home(self, key: str, token: int) -> PendingResult | None:
        """A reference to one of this process's own results has arrived; returns the result."""
        with self._lock:
            result = self._known.get(number_in(key))
            if token and result is not None:
                self._holders.arrive(key, token)
                self._sweep(key)
            return result

    def lent_by(self, peer: str) -> list[int]:
        """Returns the tokens of the references that a process has sent and that have not arrived."""
        with self._lock:
            return self._holders.lent_by(peer)

    def gone(self, peer: str) -> None:
        """A process has ended. What it has sent may still arrive."""
        with self._lock:
            for key in self._holders.gone(peer):
                self._sweep(key)

    def is_empty(self) -> bool:
        """Does nobody keep anything?"""
        return not self._kept

    def _keep(self, key: str) -> bool:
        """Keeps a result; returns False when it is gone."""
        if key not in self._kept:
            result = self._known.get(number_in(key))
            if result is None:
                return False
            self._kept[key] = result
            if len(self._kept) == 1:
                self._on_change(True)
        return True

    def _sweep(self, key: str | None) -> None:
        if key in self._kept and not self._holders.is_held(key):
            del self._kept[key]
            self._holders.forget(key)
            if not self._kept:
                self._on_change(False)
