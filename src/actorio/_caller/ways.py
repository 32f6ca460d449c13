"""What a call takes along of the call that it was made in: deadline, chain, and what it has brought of a context."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from actorio._model.context import get_runtime_context
from actorio._wire.messages import LINK, Way

if TYPE_CHECKING:
    from actorio._model.actor_options import Manner
    from actorio._model.context import RunningCall


def way_onward(parent: RunningCall) -> Way:
    """Returns what calls take along that are made in ``parent`` and have no options of their own."""
    onward: Way | None = parent.onward
    if onward is None:
        own = (get_runtime_context().actor_id or "")[:LINK]
        way = parent.request.way
        parent.onward = onward = (
            Way(chain=own) if way is None else Way(way.deadline, way.chain + own, context=way.context, trace=way.trace)
        )
    if parent.has_ended:
        # What it has started goes on by itself: neither its time nor its chain is that of the call any more.
        return Way(context=onward.context, trace=onward.trace)
    if onward.deadline and parent.reason is not None:
        # It cleans up, and for that has as long as it takes: its own time is up.
        return Way(chain=onward.chain, context=onward.context, trace=onward.trace)
    return onward


def way_with(way: Way | None, manner: Manner) -> Way | None:
    """Returns what a call takes along that has options of its own: of two deadlines the earlier one."""
    if not (manner.timeout or manner.priority or manner.group):
        return way
    way = way or Way()
    deadline = way.deadline
    if manner.timeout:
        own = monotonic() + manner.timeout
        deadline = min(deadline, own) if deadline else own
    return Way(deadline, way.chain, manner.priority, manner.group, way.context, way.trace)
