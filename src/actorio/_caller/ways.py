"""What a call takes along of the call that it was made in: deadline and chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorio._model.context import get_runtime_context
from actorio._wire.messages import Way

if TYPE_CHECKING:
    from actorio._model.context import RunningCall


def way_onward(parent: RunningCall) -> Way:
    """Returns what calls take along that are made in ``parent`` and have no options of their own."""
    onward: Way | None = parent.onward
    if onward is None:
        own = get_runtime_context().actor_id or ""
        way = parent.request.way
        parent.onward = onward = Way(chain=(own,)) if way is None else Way(way.deadline, (*way.chain, own))
    return onward
