"""The pump: reads the lanes of all threads that have no event loop.

One thread at a time leads: it polls every such lane and completes what arrives, its own results and others'. A
thread that blocks in `get` leads if nobody does, so that in a script the thread that waits is the one that reads.
Others follow: they sleep until their result is there, or until the lead is free. When somebody needs results for
which no thread blocks (a future with a callback, a task on a loop that awaits what a script sent), a background
thread leads for as long as that is so. It is started when first needed and sleeps otherwise.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from actorio._caller.corks import Corks
from actorio._caller.interrupts import InterruptGate
from actorio._caller.pending import PENDING, Aside
from actorio._transport.poller import Poller
from actorio._transport.spin import HELD_UP, SECONDS, Habit, is_worth_it
from actorio._transport.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actorio._caller.lane import Lane
    from actorio._caller.pending import PendingResult
    from actorio._caller.waiting import Waiter


# How long the thread that reads may take to stop, in seconds.
_LAST_TURN = 1.0
_READABLE, _WRITABLE = Poller.READABLE, Poller.WRITABLE
_NOT_ONLY_WRITABLE = ~_WRITABLE


class Pump:
    """Reads lanes for blocked threads; any thread may call any method."""

    def __init__(self) -> None:
        self.corks = Corks()
        self._poller = Poller()
        self._lanes: dict[int, Lane] = {}
        self._writing: set[int] = set()
        self._lead = threading.Lock()
        self._leader = 0
        self._leader_waker = _LeaderWaker(self)
        self._followers: deque[Waiter] = deque()
        self._borrowed: dict[Lane, int] = {}
        # Guards what is watched, the borrowed lanes and the demand.
        self._lock = threading.RLock()
        self._demand = 0
        # Results that are waited for where nobody reads, each with the lane that was borrowed for it.
        self._demanded: set[tuple[PendingResult, Lane | None]] = set()
        # Wakes the background thread. A queue and not an event: Ctrl-C must leave no lock behind.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._background: threading.Thread | None = None
        self._is_closed = False
        self._habit = Habit(is_allowed=is_worth_it())
        self._waker, self._wakee = socket.socketpair()
        self._waker.setblocking(False)
        self._wakee.setblocking(False)
        self._poller.add(self._wakee.fileno(), _READABLE)

    # --- lanes --------------------------------------------------------------------------------------------------

    def add(self, lane: Lane) -> None:
        """Reads this lane from now on."""
        with self._lock:
            if self._borrowed.pop(lane, 0) == 0 and lane.sock.fileno() >= 0 and not self._is_closed:
                self._watch(lane)

    def forget(self, lane: Lane) -> None:
        """Stops reading a lane that is about to be closed."""
        with self._lock:
            self._borrowed.pop(lane, None)
            self._unwatch(lane)

    def _watch(self, lane: Lane) -> None:
        fd = lane.sock.fileno()
        self._lanes[fd] = lane
        self._poller.add(fd, _READABLE)

    def _unwatch(self, lane: Lane) -> None:
        fd = lane.sock.fileno()
        if self._lanes.get(fd) is not lane:
            return
        del self._lanes[fd]
        self._poller.remove(fd)
        if fd in self._writing:
            self._writing.remove(fd)
            self._add_demand(-1)

    def watch_writable(self, lane: Lane, *, is_wanted: bool) -> bool:
        """Flushes the lane when its socket takes more; the background pump sees to it if nobody blocks.

        Returns False when the pump does not have the lane.
        """
        with self._lock:
            fd = lane.sock.fileno()
            if self._lanes.get(fd) is not lane:
                return False
            if is_wanted is not (fd in self._writing):
                (self._writing.add if is_wanted else self._writing.remove)(fd)
                self._poller.change(fd, _READABLE | _WRITABLE if is_wanted else _READABLE)
                self._add_demand(1 if is_wanted else -1)
            return True

    @contextmanager
    def borrowing(self, lanes: Iterable[Lane]) -> Iterator[None]:
        """Also reads these lanes, whose loops may not run while the caller blocks."""
        borrowed = [lane for lane in lanes if self._borrow(lane)]
        try:
            yield
        finally:
            for lane in borrowed:
                self._give_back(lane)

    def _borrow(self, lane: Lane) -> bool:
        with self._lock:
            if lane.loop is None or lane.sock.fileno() < 0 or self._is_closed:
                return False
            count = self._borrowed.get(lane, 0)
            self._borrowed[lane] = count + 1
            if not count:
                lane.is_borrowed = True
                self._watch(lane)
        lane.flush()
        return True

    def _give_back(self, lane: Lane) -> None:
        with self._lock:
            count = self._borrowed.pop(lane, 0)
            if count > 1:
                self._borrowed[lane] = count - 1
            elif count == 1:
                lane.is_borrowed = False
                self._unwatch(lane)
        lane.take_back()

    # --- pumping ------------------------------------------------------------------------------------------------

    def wait(self, waiter: Waiter, timeout: float | None) -> None:
        """Blocks until the waiter is satisfied, the time (seconds) is up, or a signal handler raises."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with InterruptGate() as gate:
            self.corks.pop_all()
            if self._can_lead():
                self._lead_for(waiter, deadline, gate)
            if not waiter.is_satisfied and not _is_over(deadline):
                self._follow(waiter, deadline, gate)
        self._pass_on()

    def wait_for_one(self, result: PendingResult) -> bool:
        """Blocks for one result, the commonest case, if this thread can lead; returns False when another one does."""
        with InterruptGate() as gate:
            self.corks.pop_all()
            if not self._can_lead():
                return False
            began, polls = time.monotonic(), self._habit.polls
            try:
                if polls:
                    self._poll_for(result, began)
                if result.state == PENDING:
                    self._sleep_for(result, gate)
            finally:
                self._give_up_lead()
            self._habit.waited(time.monotonic() - began, polled=polls)
        return result.state != PENDING

    def _poll_for(self, result: PendingResult, began: float) -> None:
        """Looks for a result again and again, for a moment. Whoever else completes it need not wake this thread."""
        now = began
        while result.state == PENDING and now - began < SECONDS:
            self._read(self._ready(0))
            now = time.monotonic()
        if now - began > HELD_UP:
            self._habit.held_up()

    def _sleep_for(self, result: PendingResult, gate: InterruptGate) -> None:
        result.add_callback(self._leader_waker)
        try:
            while result.state == PENDING and not self._is_closed:
                self._turn(None, gate)
        finally:
            if result.state == PENDING:
                result.discard_callback(self._leader_waker)

    def _can_lead(self) -> bool:
        """Takes the lead, unless somebody has it, or nobody is to read any more."""
        if self._is_closed or not self._lead.acquire(blocking=False):
            return False
        self._leader = threading.get_ident()
        return True

    def _give_up_lead(self) -> None:
        self._leader = 0
        self._lead.release()
        self._pass_on()

    def wake_leader(self) -> None:
        """Has whoever reads look up, if it is another thread."""
        if threading.get_ident() != self._leader:
            self.wake()

    def _lead_for(self, waiter: Waiter, deadline: float | None, gate: InterruptGate) -> None:
        waiter.leads = True
        try:
            while not waiter.is_satisfied and not self._is_closed:
                if deadline is not None and _is_over(deadline):
                    return
                began, polls = time.monotonic(), self._habit.polls
                if gate.pending is not None:
                    gate.deliver()
                if not (polls and self._poll(began)):
                    self._turn(None if deadline is None else _remaining(deadline), gate)
                self._habit.waited(time.monotonic() - began, polled=polls)
        finally:
            waiter.leads = False
            self._give_up_lead()

    def _follow(self, waiter: Waiter, deadline: float | None, gate: InterruptGate) -> None:
        self._followers.append(waiter)
        try:
            while not waiter.is_satisfied and not _is_over(deadline):
                # Whoever leads looks for followers after it has stopped: one of the two sees the other.
                if self._can_lead():
                    self._lead_for(waiter, deadline, gate)
                else:
                    gate.open()
                    waiter.sleep(None if deadline is None else _remaining(deadline))
                    gate.close()
        finally:
            with suppress(ValueError):
                self._followers.remove(waiter)

    def _turn(self, timeout: float | None, gate: InterruptGate) -> None:
        gate.is_open = True
        if gate.pending is not None:
            gate.deliver()
        ready = self._ready(timeout)
        gate.is_open = False
        self._read(ready)

    def _ready(self, timeout: float | None) -> list[tuple[int, int]]:
        """Returns the descriptors where something has happened."""
        try:
            return self._poller.poll(timeout)
        except (OSError, ValueError):
            if self._is_closed:
                # By a signal handler that has run just now.
                return []
            raise

    def _read(self, ready: list[tuple[int, int]]) -> None:
        for fd, events in ready:
            lane = self._lanes.get(fd)
            if lane is None:
                with suppress(BlockingIOError):
                    self._wakee.recv(4096)
                continue
            if events & _WRITABLE:
                lane.flush()
            if events & _NOT_ONLY_WRITABLE:
                lane.read()

    def _poll(self, began: float) -> bool:
        """Looks again and again for a moment; reads what has come, and returns whether anything has."""
        while not (ready := self._ready(0)) and time.monotonic() - began < SECONDS:
            pass
        if time.monotonic() - began > HELD_UP:
            self._habit.held_up()
        self._read(ready)
        return bool(ready)

    def _pass_on(self) -> None:
        """Somebody who waits must lead, or nobody reads."""
        if self._followers and not self._lead.locked():
            with suppress(IndexError):
                self._followers[0].nudge()

    def drain(self) -> None:
        """Reads what has arrived, unless somebody is reading; never waits."""
        with InterruptGate() as gate:
            if self._can_lead():
                try:
                    self._turn(0, gate)
                finally:
                    self._give_up_lead()

    def wake(self) -> None:
        """Makes the leader look whether it is satisfied."""
        with suppress(BlockingIOError, OSError):
            self._waker.send(b"\0")

    # --- the background -----------------------------------------------------------------------------------------

    def pump_until_done(self, result: PendingResult, borrowed: Lane | None = None) -> None:
        """Has the background thread read until ``result`` is done; ``borrowed`` is read meanwhile.

        Asked for again it does nothing: a result may be waited for, with a limit on the time, any number of times.
        """
        with InterruptGate():
            key = result, borrowed
            with self._lock:
                if key in self._demanded:
                    return
                self._demanded.add(key)
            is_borrowed = borrowed is not None and self._borrow(borrowed)
            with self._lock:
                self._add_demand(1)

            def release(_: PendingResult) -> None:
                if borrowed is not None and is_borrowed:
                    self._give_back(borrowed)
                with self._lock:
                    self._demanded.discard(key)
                    self._add_demand(-1)

            result.add_callback(Aside(release))

    def _add_demand(self, change: int) -> None:
        self._demand += change
        if not self._demand:
            self.wake()
            return
        self._bell.put(None)
        if self._background is None and not self._is_closed:
            self._background = start_thread(self._run_background, "actorio-pump")

    def _run_background(self) -> None:
        gate = InterruptGate()
        while not self._is_closed:
            self._bell.get()
            if self._demand:
                with self._lead:
                    while self._demand and not self._is_closed:
                        self._turn(None, gate)
                self._pass_on()

    def close(self) -> None:
        """Ends the background thread and stops polling. Lanes are closed before. Whoever waits goes on to wait."""
        with self._lock:
            self._is_closed = True
        self.corks.close()
        self._bell.put(None)
        self.wake()
        if self._leader != threading.get_ident():
            # Otherwise a signal handler has interrupted this thread while it led, and nobody else can lead.
            self._see_off()
        self.abandon()

    def _see_off(self) -> None:
        """Waits for whoever reads."""
        background = self._background
        if background is not None and background is not threading.current_thread():
            background.join(_LAST_TURN)
        if self._lead.acquire(timeout=_LAST_TURN):
            self._lead.release()

    def abandon(self) -> None:
        """Closes what belongs to this process alone; in a forked child, where the background thread is none."""
        self._poller.close()
        self._waker.close()
        self._wakee.close()


class _LeaderWaker:
    """A callback of what the leader waits for."""

    __slots__ = ("_pump",)

    # See `PendingResult`.
    only_wakes = True

    def __init__(self, pump: Pump) -> None:
        self._pump = pump

    def __call__(self, _result: PendingResult) -> None:
        self._pump.wake_leader()


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _remaining(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
