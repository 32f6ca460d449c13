"""How busy an actor is, asked while it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorio._model import runtime
from actorio._model.handle import ActorHandle, identity_of

if TYPE_CHECKING:
    from actorio._model.reference import ObjectRef
    from actorio._model.status import ActorStatistics


def statistics(actor: ActorHandle) -> ObjectRef[ActorStatistics]:
    """Asks an actor how busy it is; returns the reference of the answer, to be awaited or given to `actorio.get`.

    The question travels on a connection of its own, and is answered by what reads the mailbox: neither calls that
    wait there nor those on their way hold it up. So it serves as a sign of life as well. A method that blocks the loop
    of an async actor does hold it up.

    Raises:
        TypeError: not a handle.
        ActorDiedError: from the reference: the actor is dead.
    """
    if not isinstance(actor, ActorHandle):
        raise TypeError(f"statistics() takes the handle of an actor, not {type(actor).__name__}")
    return runtime.of_handles().statistics(identity_of(actor))
