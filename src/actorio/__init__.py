"""actorio: actors for asyncio on one machine, with Ray's actor API.

An actor is an ordinary class that lives in a process of its own and is called through a handle::

    import actorio

    @actorio.remote
    class Counter:
        def __init__(self): self.value = 0
        def add(self, n): self.value += n; return self.value

    counter = Counter.remote()
    print(actorio.get(counter.add.remote(1)))      # in a script or notebook
    print(await counter.add.remote(1))             # in asynchronous code

Names are imported when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from actorio._model import runtime as _runtime

if TYPE_CHECKING:
    import cloudpickle as cloudpickle

    from actorio import actor as actor
    from actorio import exceptions as exceptions
    from actorio import util as util
    from actorio._model.context import get_runtime_context as get_runtime_context
    from actorio._model.handle import ActorHandle as ActorHandle
    from actorio._model.handle import methods_of as methods_of
    from actorio._model.reference import ObjectRef as ObjectRef
    from actorio._model.remote import method as method
    from actorio._model.remote import remote as remote
    from actorio._model.restarts import RestartPolicy as RestartPolicy
    from actorio._model.streams import ObjectRefGenerator as ObjectRefGenerator
    from actorio._model.streams import Stream as Stream
    from actorio._model.verbs import available_resources as available_resources
    from actorio._model.verbs import cancel as cancel
    from actorio._model.verbs import cluster_resources as cluster_resources
    from actorio._model.verbs import get as get
    from actorio._model.verbs import get_actor as get_actor
    from actorio._model.verbs import get_gpu_ids as get_gpu_ids
    from actorio._model.verbs import kill as kill
    from actorio._model.verbs import put as put
    from actorio._model.verbs import wait as wait
    from actorio.engines.local import init as init
    from actorio.engines.local import is_initialized as is_initialized
    from actorio.engines.local import shutdown as shutdown

__version__ = "0.1.0"

# Public name: (module, name there). An empty name is the module itself.
_PLACES = {
    "ActorHandle": ("actorio._model.handle", "ActorHandle"),
    "ObjectRef": ("actorio._model.reference", "ObjectRef"),
    "ObjectRefGenerator": ("actorio._model.streams", "ObjectRefGenerator"),
    "Stream": ("actorio._model.streams", "Stream"),
    "available_resources": ("actorio._model.verbs", "available_resources"),
    "cloudpickle": ("cloudpickle", ""),
    "cluster_resources": ("actorio._model.verbs", "cluster_resources"),
    "exceptions": ("actorio.exceptions", ""),
    "RestartPolicy": ("actorio._model.restarts", "RestartPolicy"),
    "actor": ("actorio.actor", ""),
    "get": ("actorio._model.verbs", "get"),
    "get_actor": ("actorio._model.verbs", "get_actor"),
    "get_gpu_ids": ("actorio._model.verbs", "get_gpu_ids"),
    "get_runtime_context": ("actorio._model.context", "get_runtime_context"),
    "init": ("actorio.engines.local", "init"),
    "is_initialized": ("actorio.engines.local", "is_initialized"),
    "cancel": ("actorio._model.verbs", "cancel"),
    "kill": ("actorio._model.verbs", "kill"),
    "methods_of": ("actorio._model.handle", "methods_of"),
    "method": ("actorio._model.remote", "method"),
    "put": ("actorio._model.verbs", "put"),
    "remote": ("actorio._model.remote", "remote"),
    "shutdown": ("actorio.engines.local", "shutdown"),
    "util": ("actorio.util", ""),
    "wait": ("actorio._model.verbs", "wait"),
}

__all__ = [*_PLACES]  # noqa: PLE0604  # names, each of them a string


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'actorio' has no attribute {name!r}")
    module = importlib.import_module(place[0])
    value = getattr(module, place[1]) if place[1] else module
    globals()[name] = value
    return value


def _start_on_first_use() -> None:
    importlib.import_module("actorio.engines.local").start_on_first_use()


_runtime.on_first_use(_start_on_first_use)


def __dir__() -> list[str]:
    return sorted([*_PLACES, *(name for name in globals() if name.startswith("__"))])
