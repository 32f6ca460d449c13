"""`actorio.actor`: what code inside an actor calls, and the types of actors, where Ray has them."""

from __future__ import annotations

from actorio._model.ends import exit_actor
from actorio._model.handle import ActorHandle, ActorMethod
from actorio._model.remote import ActorClass

__all__ = ["ActorClass", "ActorHandle", "ActorMethod", "exit_actor"]
