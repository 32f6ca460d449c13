"""Which actors this process keeps alive, and for how many reasons the node has noted.

A `Hold` stands for all handles of this process on one actor; when the last of them is gone, so is the hold, and the
node hears of it from a thread of its own: objects die at any moment, in any thread, whatever it holds.
"""

from __future__ import annotations

import os
import queue
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from actorio._caller.threads import start_thread
from actorio._model.errors import RaySystemError
from actorio._wire import messages as m

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actorio._caller.node import NodeClient
    from actorio._wire.messages import Lent, Message


class Hold:
    """Keeps one actor, as long as it lives itself."""

    __slots__ = ("__weakref__", "_gone", "actor_id")

    def __init__(self, actor_id: str, gone: queue.SimpleQueue[Any]) -> None:
        self.actor_id = actor_id
        self._gone = gone

    def __del__(self) -> None:
        # Atomic, and safe wherever an object may die; that may be in the midst of its making, by a signal's handler.
        with suppress(AttributeError):
            self._gone.put(self.actor_id)


class Holdings:
    """What this process holds.

    Args:
        node: returns the connection to the node.
        see_to: called in this object's thread with the address of an actor of which a handle has gone: what was
            called has to be answered before the actor may end.
    """

    def __init__(self, node: Callable[[], NodeClient], see_to: Callable[[str], None]) -> None:
        self._node = node
        self._see_to = see_to
        # How many reasons of this process the node has noted.
        self._reasons: dict[str, int] = {}
        self._pinned: dict[str, Lent] = {}
        self._holds: dict[str, weakref.ref[Hold]] = {}
        self._gone: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Guards the counts, and is held for moments only: whoever reads from the node needs it.
        self._lock = threading.RLock()
        # Held while the node is told, so that it hears of changes in their order; that may wait for another node.
        self._order = threading.RLock()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    # --- having -------------------------------------------------------------------------------------------------

    def made(self, actor_id: str) -> Hold:
        """This process has made the actor, which the node counts as one reason."""
        with self._lock:
            self._reasons[actor_id] = self._reasons.get(actor_id, 0) + 1
            return self._hold(actor_id)

    def arrived(self, lent: Iterable[Lent]) -> dict[str, Hold]:
        """Handles have arrived, each with its token; returns what keeps their actors from now on."""
        holds: dict[str, Hold] = {}
        for actor_id, token in lent:
            with self._order:
                holds[actor_id] = self.made(actor_id)
                self._tell(m.Hold(actor_id, token))
        return holds

    def find(self, actor_id: str) -> Hold | None:
        """Returns what keeps an actor here, None when nothing does: then a handle on it is a weak one."""
        reference = self._holds.get(actor_id)
        return None if reference is None else reference()

    def _hold(self, actor_id: str) -> Hold:
        hold = self.find(actor_id)
        if hold is None:
            hold = Hold(actor_id, self._gone)
            self._holds[actor_id] = weakref.ref(hold)
            if self._thread is None and not self._is_closed:
                self._thread = start_thread(self._run, "actorio-holdings")
        return hold

    # --- lending ------------------------------------------------------------------------------------------------

    def lend(self, actor_ids: Iterable[str]) -> tuple[Lent, ...]:
        """Handles are about to leave: tells the node, and returns the tokens that go with them."""
        lent = tuple((actor_id, int.from_bytes(os.urandom(7), "little") + 1) for actor_id in actor_ids)
        for actor_id, token in lent:
            self._tell(m.Lend(actor_id, token))
        return lent

    def pin(self, actor_id: str) -> None:
        """Keeps an actor as long as this process lives."""
        lent = self.lend((actor_id,))
        with self._lock:
            self._pinned[actor_id] = lent[0]

    def take_back(self, lent: Iterable[Lent]) -> None:
        """Those handles will not arrive."""
        for _, token in lent:
            self._tell(m.Unlend(token))

    # --- letting go ---------------------------------------------------------------------------------------------

    def handle_gone(self, address: str) -> None:
        """A handle on the actor at this address has gone; may be called wherever an object may die."""
        self._gone.put((address,))

    def _run(self) -> None:
        while (gone := self._gone.get()) is not None:
            if isinstance(gone, tuple):
                self._see_to(*gone)
            else:
                self._let_go(gone)

    def _let_go(self, actor_id: str) -> None:
        with self._order:
            with self._lock:
                if self.find(actor_id) is not None:
                    # Another handle has come meanwhile.
                    return
                self._holds.pop(actor_id, None)
                count = self._reasons.pop(actor_id, 0)
            if count:
                # Without a node there is nobody to be told: the next one hears what is held then.
                with suppress(RaySystemError, OSError):
                    self._node().let_go(actor_id, count)

    def _tell(self, message: Message) -> None:
        # See above.
        with suppress(RaySystemError, OSError):
            self._node().offer(message)

    def repeated(self) -> list[Message]:
        """Returns what a new node has to be told."""
        with self._lock:
            self._reasons = dict.fromkeys(self._reasons, 1)
            holds: list[Message] = [m.Hold(actor_id) for actor_id in self._reasons]
            return [*holds, *(m.Lend(actor_id, token) for actor_id, token in self._pinned.values())]

    def close(self) -> None:
        """Ends the thread."""
        with self._lock:
            self._is_closed = True
        self._gone.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
