"""What the calls that run in this process wait for: the edges of the graph in which a deadlock is a circle.

Noted by the thread or coroutine that waits, in the call that it runs; read by the actor's mailbox. A wait that has an
end of its own, by a timeout, is none: who waits so goes on.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from actorio._model.context import CURRENT_CALL
from actorio._wire.messages import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actorio._caller.pending import PendingResult
    from actorio._model.context import RunningCall

# How many calls in a row a probe follows at most.
_LONGEST_PATH = 100


@contextmanager
def waiting_for(results: Sequence[PendingResult]) -> Iterator[None]:
    """While the running call waits until all of these are done."""
    call = CURRENT_CALL.get()
    if call is None or call.runner != threading.get_ident():
        # A thread that the method has started: the method itself may go on.
        yield
        return
    note_wait(call, key := object(), results)
    try:
        yield
    finally:
        forget_wait(call, key)


def note_wait(call: RunningCall, key: object, results: Sequence[PendingResult]) -> None:
    """The call waits for all of these, from now on."""
    if call.waits is None:
        call.waits = {}
    call.waits[key] = results


def forget_wait(call: RunningCall, key: object) -> None:
    """It does not any more."""
    if call.waits is not None:
        call.waits.pop(key, None)


def waited_for(call: RunningCall) -> list[PendingResult]:
    """Returns what a call waits for, and has not got: calls that were sent, and those that its arguments come from."""
    # In order; a call may wait for thousands.
    found: dict[PendingResult, None] = {}
    left = [result for results in list((call.waits or {}).values()) for result in results]
    while left:
        result = left.pop().to_cancel()
        if result.is_done() or result in found:
            continue
        found[result] = None
        if result.lane is not None:
            left.extend(result.lane.held.missing_for(result))
    return list(found)


def send_probe(call: RunningCall, probe: Probe, name: str) -> None:
    """Follows what a call waits for: asks whoever runs that whether it leads to where the probe came from."""
    if len(probe.path) >= _LONGEST_PATH:
        return
    path = (*probe.path, name)
    for result in waited_for(call):
        lane = result.lane
        if lane is not None and lane.is_sent(result):
            lane.probe(Probe(result.number, probe.origin, probe.head, path))
