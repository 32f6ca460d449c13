"""What becomes of an actor, as those see it who watch it."""

import asyncio
import contextlib

from tests.lives.people import make, sigkill

import actorio
from actorio.exceptions import ActorUnavailableError

# Nothing here takes that long; in seconds.
PATIENCE = 10.0


def events_until(actor, is_last):
    """Watch an actor up to the event for which `is_last` is true; return all events."""

    async def follow():
        seen = []
        # Closed here: by the loop's own hand, on its way out, it may leave a cycle that keeps the handle for a while.
        async with asyncio.timeout(PATIENCE), contextlib.aclosing(actor.watch()) as events:
            async for event in events:
                seen.append(event)
                if is_last(event):
                    return seen
        raise AssertionError(f"the watch has ended: {seen}")

    return asyncio.run(follow())


def drop(handles):
    """Drop the only handle of an actor and wait until it is dead; return the event."""

    async def follow():
        events = handles[0].watch()
        handles.clear()
        async with asyncio.timeout(PATIENCE):
            async for event in events:
                if event.kind == "died":
                    return event
        raise AssertionError("the watch has ended before the actor was dead")

    return asyncio.run(follow())


def fate(actor, restarts):
    """Wait until an actor is dead, or has been restarted once more than so many times; return the event."""
    return events_until(actor, lambda event: event.kind == "died" or is_restart(event, restarts))[-1]


def is_restart(event, restarts):
    return event.kind == "started" and event.restarts > restarts


def is_restarting(event):
    return event.kind == "restarting"


def crash(actor, restarts=0):
    """Have an actor crash that has been restarted so many times, and wait until it has been once more."""
    call = actor.run.remote(sigkill)
    assert fate(actor, restarts).kind == "started"
    try:
        actorio.get(call)
    except ActorUnavailableError:
        # Unread, it would be reported.
        return
    raise AssertionError("the call that crashed has a result")


# max_restarts, and how many of them are used.
BUDGETS = {"0": (0, 0), "some left": (2, 1), "used up": (1, 1), "-1": (-1, 2)}


def worn(kind, column, *arguments, **options):
    """Make an actor that has used as many restarts as the column says."""
    max_restarts, used = BUDGETS[column]
    actor = make(kind, *arguments, max_restarts=max_restarts, **options)
    for restarts in range(used):
        crash(actor, restarts)
    return actor
