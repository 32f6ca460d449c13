"""`actorio.actor`: what code inside an actor calls, and the types of actors, where Ray has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorio._model.ends import exit_actor
from actorio._model.handle import ActorHandle

if TYPE_CHECKING:
    from actorio._model.typed import ActorClass, ActorMethod
else:
    from actorio._model.handle import ActorMethod
    from actorio._model.remote import ActorClass

__all__ = ["ActorClass", "ActorHandle", "ActorMethod", "exit_actor"]
