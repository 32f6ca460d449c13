"""What this process keeps, and for how many reasons that has been noted: actors by the node, values by their owners.

A `Hold` stands for all handles of this process on one actor, or references to one value of another process; when the
last of them is gone, so is the hold, and whoever counts hears of it from a thread of its own: objects die at any
moment, in any thread, whatever it holds. Values have keys of another form than actors (`ledger.key_of`).
"""

from __future__ import annotations

import os
import queue
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from actorio._caller.ledger import is_value
from actorio._model.errors import RaySystemError
from actorio._transport.threads import start_thread
from actorio._wire import messages as m

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actorio._caller.node import NodeClient
    from actorio._transport.serving import Connection
    from actorio._wire.messages import Lent, Message


class Hold:
    """Keeps one actor or value, as long as it lives itself.

    Attributes:
        others: what it keeps besides: what the actor's constructor needs.
    """

    __slots__ = ("__weakref__", "_gone", "key", "others")

    def __init__(self, key: str, gone: queue.SimpleQueue[Any]) -> None:
        self.key = key
        self.others: object = None
        self._gone = gone

    def __del__(self) -> None:
        # Atomic, and safe wherever an object may die; that may be in the midst of its making, by a signal's handler.
        with suppress(AttributeError):
            self._gone.put(self.key)


class Values(Protocol):
    """What counts the references to values."""

    def tell(self, key: str, message: Message) -> None:
        """Tells a value's owner."""

    def come_home(self, key: str, token: int) -> object | None:
        """Returns the value when it is this process's own, None otherwise."""


class Holdings:
    """What this process holds.

    Args:
        node: returns the connection to the node.
        values: the way to the owners of values.
        see_to: called in this object's thread with the address of an actor of which a handle has gone: what was
            called has to be answered before the actor may end.
    """

    def __init__(self, node: Callable[[], NodeClient], values: Values, see_to: Callable[[str], None]) -> None:
        self._node = node
        self._values = values
        self._see_to = see_to
        # How many reasons of this process the node has noted.
        self._reasons: dict[str, int] = {}
        self._pinned: dict[str, Lent] = {}
        self._holds: dict[str, weakref.ref[Hold]] = {}
        # What has gone: an actor's handle (the address of the actor in a tuple), a hold (its key); or what is to be
        # done in the thread; None at the end.
        self._gone: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Guards the counts, and is held for moments only: whoever reads from the node needs it.
        self._lock = threading.RLock()
        # Held while the node is told, so that it hears of changes in their order; that may wait for another node.
        self._order = threading.RLock()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    # --- having -------------------------------------------------------------------------------------------------

    def made(self, key: str) -> Hold:
        """This process has made the actor, or has got hold of what it is about to tell of: one reason to keep it."""
        with self._lock:
            self._reasons[key] = self._reasons.get(key, 0) + 1
            return self._hold(key)

    def arrived(self, lent: Iterable[Lent]) -> dict[str, Any]:
        """Handles and references have arrived, each with its token; returns what keeps them from now on."""
        holds: dict[str, Any] = {}
        for key, token in lent:
            own = self._values.come_home(key, token) if is_value(key) else None
            if own is not None:
                holds[key] = own
                continue
            with self._order:
                holds[key] = self.made(key)
                self._tell(key, m.Hold(key, token))
        return holds

    def find(self, key: str) -> Hold | None:
        """Returns what keeps an actor or value here, None when nothing does: then a handle on it is a weak one."""
        reference = self._holds.get(key)
        return None if reference is None else reference()

    def _hold(self, key: str) -> Hold:
        hold = self.find(key)
        if hold is None:
            hold = Hold(key, self._gone)
            self._holds[key] = weakref.ref(hold)
            self._start()
        return hold

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._is_closed:
                self._thread = start_thread(self._run, "actorio-holdings")

    # --- lending ------------------------------------------------------------------------------------------------

    def lend(self, keys: Iterable[str]) -> tuple[Lent, ...]:
        """Handles and references are about to leave: tells who counts, and returns the tokens that go with them."""
        lent = tuple((key, int.from_bytes(os.urandom(7), "little") + 1) for key in keys)
        for key, token in lent:
            self._tell(key, m.Lend(key, token))
        return lent

    def lend_on(self, connection: Connection, keys: Iterable[str]) -> tuple[Lent, ...]:
        """Does so for what leaves on a connection, which takes them back when it ends and nobody has read them."""
        lent = self.lend(keys)
        connection.lent.extend(lent)
        if not connection.is_open():
            self.take_back(lent)
        return lent

    def pin(self, actor_id: str) -> None:
        """Keeps an actor until `unpin`."""
        lent = self.lend((actor_id,))
        with self._lock:
            self._pinned[actor_id] = lent[0]

    def unpin(self, actor_id: str) -> None:
        """Keeps it no more."""
        with self._lock:
            lent = self._pinned.pop(actor_id)
        self.take_back([lent])

    def take_back(self, lent: Iterable[Lent]) -> None:
        """Those will not arrive."""
        for key, token in lent:
            self._tell(key, m.Unlend(token))

    # --- letting go ---------------------------------------------------------------------------------------------

    def handle_gone(self, address: str) -> None:
        """A handle on the actor at this address has gone; may be called wherever an object may die."""
        self._gone.put((address,))

    def call_later(self, function: Callable[[], None]) -> None:
        """Calls a function in this object's thread, which may wait."""
        self._gone.put(function)
        self._start()

    def _run(self) -> None:
        while (gone := self._gone.get()) is not None:
            if isinstance(gone, tuple):
                self._see_to(*gone)
            elif isinstance(gone, str):
                self._let_go(gone)
            else:
                gone()

    def _let_go(self, key: str) -> None:
        with self._order:
            with self._lock:
                if self.find(key) is not None:
                    # Another handle has come meanwhile.
                    return
                self._holds.pop(key, None)
                count = self._reasons.pop(key, 0)
            if not count:
                return
            if is_value(key):
                self._values.tell(key, m.Drop(key, count))
            else:
                # Without a node there is nobody to be told: the next one hears what is held then.
                with suppress(RaySystemError, OSError):
                    self._node().let_go(key, count)

    def _tell(self, key: str, message: Message) -> None:
        if is_value(key):
            self._values.tell(key, message)
        else:
            # See above.
            with suppress(RaySystemError, OSError):
                self._node().offer(message)

    def repeated(self) -> list[Message]:
        """Returns what a new node has to be told."""
        with self._lock:
            self._reasons = {key: count if is_value(key) else 1 for key, count in self._reasons.items()}
            holds: list[Message] = [m.Hold(key) for key in self._reasons if not is_value(key)]
            return [*holds, *(m.Lend(actor_id, token) for actor_id, token in self._pinned.values())]

    def close(self) -> None:
        """Ends the thread."""
        with self._lock:
            self._is_closed = True
        self._gone.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
