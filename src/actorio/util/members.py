"""What both pools know of their members: what may be one, whether it has died, what is said when none is left."""

from __future__ import annotations

from typing import Any

from actorio._model.errors import ActorDiedError, RayTaskError
from actorio._model.handle import ActorHandle, identity_of


def checked(member: Any) -> ActorHandle:
    """Returns ``member``.

    Raises:
        TypeError: it is not an actor's handle.
    """
    if not isinstance(member, ActorHandle):
        raise TypeError(f"the members of a pool are actors' handles, not {type(member).__name__}")
    return member


def is_death_of(member: ActorHandle, error: BaseException) -> bool:
    """Says whether a call ended in ``error`` because ``member`` itself is dead for good.

    A method that met another dead actor raises an error of the same class, and its own actor lives.
    """
    return (
        isinstance(error, ActorDiedError)
        and not isinstance(error, RayTaskError)
        and error.actor_id == identity_of(member).actor_id
    )


class Loss:
    """How the last member was lost, kept for the calls that find none.

    It is not the error itself, whose traceback holds frames, and they the pool: its actors would live on with it.
    """

    def __init__(self, error: BaseException) -> None:
        self._text = f"{type(error).__name__}: {error}"
        self._actor_id = getattr(error, "actor_id", None)
        self._certificate = getattr(error, "certificate", None)

    def error(self, fate: str) -> ActorDiedError:
        """Returns the error of a call for which there is no member; ``fate`` says what became of the call."""
        text = f"the pool has no actor left: {fate}\nThe last one was lost to {self._text}"
        return ActorDiedError(text, self._actor_id, certificate=self._certificate)
