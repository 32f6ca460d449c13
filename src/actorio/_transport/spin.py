"""Polling for a moment before falling asleep: waking up again costs more than all the rest of a round trip.

Whoever waits for the other end of a socket may look again and again for some microseconds first. That pays where
answers come at once, and is a waste where they do not: where methods take long, or where more processes want to run
than there are processors. So each who waits has a `Habit`, which learns from how the last waits have ended. Nothing
polls but after something has been sent: who is idle sleeps.

Where processors are wanting, whoever polls uses up his share of them and then waits for many milliseconds, while those
who sleep are let in as soon as they wake. That comes once in some hundred waits, too seldom to show in their average;
so it is looked for (`Habit.held_up`).
"""

from __future__ import annotations

import os
from time import monotonic, thread_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

# How long it is polled at most, in seconds: somewhat longer than it takes to wake the other end up.
SECONDS = 100e-6
# Waits count as no longer than this: what takes long takes long either way.
_LONG = 200e-6
# How much of what is known of waits the next one changes, and by how much polling must shorten them.
_WEIGHT, _GAIN = 0.25, 0.8
# The other way is tried for so many waits in a row, every so many waits: while it sleeps, and while it polls.
_TRIAL, _WHILE_SLEEPING, _WHILE_POLLING = 6, 64, 1024
# If it was polled for longer than this, in seconds, somebody else had the processor meanwhile.
HELD_UP = 1e-3
# That is put up with once in so many waits; if it comes more often nothing polls for so many waits.
_SELDOM, _WHILE_BUSY = 250, 1000


def is_worth_it() -> bool:
    """Says whether polling makes sense here at all: the other end needs a processor of its own."""
    if os.environ.get("ACTORIO_SPIN") == "0":
        return False
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return count > 1


class Habit:
    """Polls or sleeps, whichever has made waits shorter; tries the other way now and then. Pure.

    Attributes:
        polls: is it to poll in the next wait?
    """

    __slots__ = ("_asleep", "_awake", "_calm", "_count", "_is_allowed", "polls")

    def __init__(self, *, is_allowed: bool = True) -> None:
        self._is_allowed = is_allowed
        # How long waits take either way, on average.
        self._awake, self._asleep = 0.0, _LONG
        # Of the waits that are still to come until the other way is tried; below 0: of those that are a trial.
        self._count = _WHILE_POLLING
        # So often it has been polled since it was held up.
        self._calm = _SELDOM
        self.polls = is_allowed

    def waited(self, seconds: float, *, polled: bool) -> None:
        """A wait has ended that was begun by polling, or by falling asleep."""
        seconds = min(seconds, _LONG)
        # What a trial finds takes the place of what the one before has found.
        weight = _WEIGHT if self._count else 1.0
        if polled:
            self._calm += 1
            self._awake += (seconds - self._awake) * weight
        else:
            self._asleep += (seconds - self._asleep) * weight
        self._count -= 1
        if -_TRIAL < self._count < 0:
            return
        is_better = self._awake < self._asleep * _GAIN
        if self._count == 0:
            self.polls = self._is_allowed and not self.polls
        elif self._count < 0 or is_better is not self.polls:
            self.polls = self._is_allowed and is_better
            self._count = _WHILE_POLLING if is_better else _WHILE_SLEEPING

    def held_up(self) -> None:
        """It was polled, and somebody else had the processor."""
        if self._calm < _SELDOM:
            self.polls, self._awake, self._count = False, _LONG, _WHILE_BUSY
        self._calm = 0


class LoopSpin:
    """Keeps an event loop from falling asleep for a moment, so that it looks at its sockets again and again.

    It has the loop call it in each iteration, after which the loop does not sleep: whatever else is ready runs in
    between. Everything here runs in the loop's thread.
    """

    __slots__ = ("_began", "_habit", "_is_on", "_is_waiting", "_loop", "_polls", "_seen", "_used")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._habit = Habit(is_allowed=is_worth_it())
        # Does the loop call it?
        self._is_on = False
        # Is it waited for something to arrive, since when, and has it been polled since?
        self._is_waiting = self._polls = False
        self._began = self._seen = 0.0
        # The thread's CPU time by then: what other tasks use up is no sign of a busy machine.
        self._used = 0.0

    def sent(self) -> None:
        """Something has left that is likely to be followed by something that arrives."""
        self._began = self._seen = monotonic()
        self._is_waiting = True
        self._polls = self._habit.polls
        if self._polls and not self._is_on:
            self._is_on = True
            self._used = thread_time()
            self._loop.call_soon(self._again)

    def arrived(self) -> None:
        """Something has arrived."""
        if self._is_waiting:
            self._is_waiting = False
            now = monotonic()
            self._habit.waited(now - self._began, polled=self._polls)
            self._look_at(now)

    def _again(self) -> None:
        now = monotonic()
        self._is_on = self._is_waiting and self._look_at(now) and now - self._began < SECONDS
        if self._is_on:
            self._seen = now
            self._loop.call_soon(self._again)

    def _look_at(self, now: float) -> bool:
        """Has the loop come round in time?"""
        if not self._is_on or now - self._seen < HELD_UP:
            return True
        if thread_time() - self._used < HELD_UP / 2:
            self._habit.held_up()
        return False
