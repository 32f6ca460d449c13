"""What an actor tells of its calls to whoever asks who waits for whom: those that run, and those that wait here.

A call is known by the process that made it and its number there: so the answers of several actors can be put together.
Made only when somebody asks, from what is there anyway, in the thread of the loop that reads the mailbox.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from actorio._caller.waits import waited_for
from actorio._transport.sockets import peer_pid
from actorio._worker.delivered import Delivered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from actorio._caller.pending import PendingResult
    from actorio._transport.serving import Connection

# So much is told, at most: calls that run, calls that each of them waits for, calls that wait in the mailbox.
MOST_RUNNING, MOST_WAITS, MOST_QUEUED = 200, 50, 50
# Among so many calls that wait it is looked for those that other actors have made.
_LOOKED_AT = 10_000


class Wait(msgspec.Struct, array_like=True, frozen=True):
    """A call that is waited for.

    Attributes:
        name: ``"Account.deposit"``.
        maker: the process that made it; 0 where the system does not tell.
        number: its number there.
        address: where the actor listens that it was sent to; ``""`` when it has not been sent, or not from here.
    """

    name: str
    maker: int
    number: int
    address: str = ""


class CallReport(msgspec.Struct, array_like=True, frozen=True):
    """A call that an actor has got.

    Attributes:
        name: ``"Account.deposit"``.
        maker: the process that made it; 0 where the system does not tell.
        number: its number there.
        waits: what it waits for, when it runs.
        more: of that, how many are not told.
    """

    name: str
    maker: int
    number: int
    waits: tuple[Wait, ...] = ()
    more: int = 0


class WaitReport(msgspec.Struct, array_like=True, frozen=True):
    """The calls of an actor.

    Attributes:
        limit: a call waits in the mailbox while so many run; 0 when it may also wait for something else.
        running: calls that run, those that wait for others first.
        queued: calls that wait in the mailbox, those first that were made in calls of actors.
        more_running: of the former, how many are not told.
        more_queued: of the latter, how many are not told.
    """

    limit: int
    running: tuple[CallReport, ...]
    queued: tuple[CallReport, ...]
    more_running: int = 0
    more_queued: int = 0


def report(
    connections: Iterable[Connection], waiting: Iterator[Delivered], limit: int, name_of: Callable[[Delivered], str]
) -> WaitReport:
    """Returns what an actor tells of its calls.

    Args:
        connections: of its callers.
        waiting: the calls that wait in its mailbox.
        limit: see `WaitReport`.
        name_of: what errors call a call.
    """
    # Threads go on answering calls.
    owed = [call for connection in connections for call in list(connection.peer.owed.values())]
    running = [call for call in owed if isinstance(call, Delivered) and call.has_begun]
    running.sort(key=lambda call: not call.waits)
    queued = list(islice(waiting, _LOOKED_AT))
    # Only these can be part of a circle.
    queued.sort(key=lambda call: call.request.way is None or not call.request.way.chain)
    rest = sum(1 for _ in waiting)
    return WaitReport(
        limit,
        tuple(_report(call, name_of) for call in running[:MOST_RUNNING]),
        tuple(_report(call, name_of) for call in queued[:MOST_QUEUED]),
        max(0, len(running) - MOST_RUNNING),
        max(0, len(queued) - MOST_QUEUED) + rest,
    )


def _report(call: Delivered, name_of: Callable[[Delivered], str]) -> CallReport:
    name = call.request.method
    # What a task is called is among its arguments, which go when it ends.
    with suppress(Exception):
        name = name_of(call)
    waits = waited_for(call)
    told = tuple(_wait(result) for result in waits[:MOST_WAITS])
    return CallReport(name, call.connection.maker(), call.request.id, told, max(0, len(waits) - MOST_WAITS))


def _wait(result: PendingResult) -> Wait:
    lane = result.lane
    if result.is_owned:
        address = lane.address if lane is not None and lane.is_sent(result) else ""
        return Wait(result.call, os.getpid(), result.number, address)
    # Somebody else made the call, and is at the other end of the lane.
    maker = 0
    if lane is not None:
        with suppress(OSError):
            maker = peer_pid(lane.sock)
    return Wait(result.call, maker, result.origin)
