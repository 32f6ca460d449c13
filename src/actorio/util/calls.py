"""The calls of an `ActorPool`: what was made of one value, and waiting for the first of several."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from actorio._model import verbs
from actorio._model.reference import ObjectRef

if TYPE_CHECKING:
    from actorio._model.handle import ActorHandle


class Call:
    """A call that was made with an actor, or failed before it was made and has none.

    Args:
        actor: whom it keeps busy until its result is fetched.
        made: what the user's function returned.

    Raises:
        TypeError: that is neither a reference nor a list of references.
    """

    __slots__ = ("_error", "_made", "actor", "refs")

    def __init__(self, actor: ActorHandle | None, made: Any) -> None:
        self.actor = actor
        self.refs = made if isinstance(made, list) else [made]
        for ref in self.refs:
            if not isinstance(ref, ObjectRef):
                raise TypeError(
                    f"a pool's function returns an ObjectRef or a list of them, not {made!r}: "
                    "write lambda actor, value: actor.method.remote(value)"
                )
        self._made = made
        self._error: Exception | None = None

    @classmethod
    def failed(cls, error: Exception) -> Call:
        """Returns a call that was not made, because of ``error``."""
        call = cls(None, [])
        call._error = error
        return call

    def wait(self, timeout: float | None) -> bool:
        """Blocks until every reference is done; returns False when the time, in seconds, is up before."""
        refs = list(dict.fromkeys(self.refs))
        return not refs or len(verbs.wait(refs, num_returns=len(refs), timeout=timeout)[0]) == len(refs)

    def value(self) -> Any:
        """Returns the value, or the list of values, or raises the error. Only when done."""
        if self._error is not None:
            raise self._error
        return verbs.get(self._made)


def first_done(calls: list[Call], timeout: float | None) -> Call | None:
    """Blocks for the first call of which every reference is done; returns None when the time is up."""
    end = None if timeout is None else time.monotonic() + timeout
    left = timeout
    missing = {call: set(call.refs) for call in calls}
    waiting = list(dict.fromkeys(ref for call in calls for ref in call.refs))
    while all(missing.values()):
        done, waiting = verbs.wait(waiting, timeout=left)
        if not done:
            return None
        for refs in missing.values():
            refs.difference_update(done)
        left = None if end is None else max(0.0, end - time.monotonic())
    return next(call for call, refs in missing.items() if not refs)
