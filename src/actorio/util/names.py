"""`list_named_actors`: which names are taken."""

from __future__ import annotations

from actorio._model import runtime
from actorio._model.context import get_runtime_context


def list_named_actors(all_namespaces: bool = False) -> list[str] | list[dict[str, str]]:  # noqa: FBT001, FBT002  # as in Ray
    """Returns the names of living actors of this session. Blocks for a moment.

    Args:
        all_namespaces: False: the names in this process's namespace; True: those of all, each as
            ``{"name": ..., "namespace": ...}``, as Ray has it.

    Raises:
        RaySystemError: the session has ended.
    """
    current = runtime.current()
    named = [actor for actor in current.list_actors().actors if actor.name]
    if all_namespaces:
        return [{"name": actor.name, "namespace": actor.namespace} for actor in named]
    own = get_runtime_context().namespace
    return [actor.name for actor in named if actor.namespace == own]
