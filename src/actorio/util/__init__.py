"""What is built upon actors, with the names Ray has for it: ``from actorio.util import ActorPool``.

Names are imported when they are first used, as those of `actorio` are.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actorio._model.propagation import propagate as propagate
    from actorio._model.propagation import trace_context as trace_context
    from actorio.util.actor_pool import ActorPool as ActorPool
    from actorio.util.async_actor_pool import AsyncActorPool as AsyncActorPool
    from actorio.util.names import list_named_actors as list_named_actors
    from actorio.util.queue import Queue as Queue
    from actorio.util.statistics import statistics as statistics
    from actorio.util.supervisor import Supervisor as Supervisor
    from actorio.util.tracing import trace_calls as trace_calls

# Public name: (module, name there).
_PLACES = {
    "ActorPool": ("actorio.util.actor_pool", "ActorPool"),
    "AsyncActorPool": ("actorio.util.async_actor_pool", "AsyncActorPool"),
    "Queue": ("actorio.util.queue", "Queue"),
    "Supervisor": ("actorio.util.supervisor", "Supervisor"),
    "statistics": ("actorio.util.statistics", "statistics"),
    "propagate": ("actorio._model.propagation", "propagate"),
    "trace_calls": ("actorio.util.tracing", "trace_calls"),
    "trace_context": ("actorio._model.propagation", "trace_context"),
    "list_named_actors": ("actorio.util.names", "list_named_actors"),
}

__all__ = [*_PLACES]  # noqa: PLE0604  # names, each of them a string


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'actorio.util' has no attribute {name!r}")
    value = getattr(importlib.import_module(place[0]), place[1])
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*_PLACES, *(name for name in globals() if name.startswith("__"))])
