"""The pump: reads the lanes of all threads that have no event loop.

One thread at a time leads: it polls every such lane and completes what arrives, its own results and others'. A
thread that blocks in `get` leads if nobody does, so that in a script the thread that waits is the one that reads.
Others follow: they sleep until their result is there, or until the lead is free. When somebody needs results for
which no thread blocks (a future with a callback, a task on a loop that awaits what a script sent), a background
thread leads for as long as that is so. It is started when first needed and sleeps otherwise.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from actorio._caller.interrupts import InterruptGate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actorio._caller.lane import Lane
    from actorio._caller.pending import PendingResult
    from actorio._caller.waiting import Waiter

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Pump:
    """Reads lanes for blocked threads; any thread may call any method."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lead = threading.Lock()
        self._followers: deque[Waiter] = deque()
        self._borrowed: dict[Lane, int] = {}
        # Guards the selector's registrations, the borrowed lanes and the demand.
        self._lock = threading.RLock()
        self._demand = 0
        self._has_demand = threading.Event()
        self._background: threading.Thread | None = None
        self._is_closed = False
        self._waker, self._wakee = socket.socketpair()
        self._waker.setblocking(False)
        self._wakee.setblocking(False)
        self._selector.register(self._wakee, _READ)

    # --- lanes --------------------------------------------------------------------------------------------------

    def add(self, lane: Lane) -> None:
        """Reads this lane from now on."""
        with self._lock:
            if self._borrowed.pop(lane, 0) == 0 and lane.sock.fileno() >= 0:
                self._selector.register(lane.sock, _READ, lane)

    def forget(self, lane: Lane) -> None:
        """Stops reading a lane that is about to be closed."""
        with self._lock, suppress(KeyError, ValueError):
            self._borrowed.pop(lane, None)
            if self._selector.unregister(lane.sock).events & _WRITE:
                self._add_demand(-1)

    def watch_writable(self, lane: Lane, *, is_wanted: bool) -> bool:
        """Flushes the lane when its socket takes more; the background pump sees to it if nobody blocks.

        Returns False when the pump does not have the lane.
        """
        with self._lock:
            try:
                was_wanted = bool(self._selector.get_key(lane.sock).events & _WRITE)
            except (KeyError, ValueError):
                return False
            if was_wanted is not is_wanted:
                self._selector.modify(lane.sock, _READ | _WRITE if is_wanted else _READ, lane)
                self._add_demand(1 if is_wanted else -1)
            return True

    @contextmanager
    def borrowing(self, lanes: Iterable[Lane]) -> Iterator[None]:
        """Also reads these lanes, whose loops do not run while the caller blocks."""
        borrowed = [lane for lane in lanes if self._borrow(lane)]
        try:
            yield
        finally:
            for lane in borrowed:
                self._give_back(lane)

    def _borrow(self, lane: Lane) -> bool:
        with self._lock:
            if lane.loop is None or lane.sock.fileno() < 0:
                return False
            count = self._borrowed.get(lane, 0)
            self._borrowed[lane] = count + 1
            if not count:
                lane.is_borrowed = True
                self._selector.register(lane.sock, _READ, lane)
        lane.flush()
        return True

    def _give_back(self, lane: Lane) -> None:
        with self._lock:
            count = self._borrowed.pop(lane, 0)
            if count > 1:
                self._borrowed[lane] = count - 1
            elif count == 1:
                lane.is_borrowed = False
                with suppress(KeyError, ValueError):
                    if self._selector.unregister(lane.sock).events & _WRITE:
                        self._add_demand(-1)
        lane.take_back()

    # --- pumping ------------------------------------------------------------------------------------------------

    def wait(self, waiter: Waiter, timeout: float | None) -> None:
        """Blocks until the waiter is satisfied, the time (seconds) is up, or a signal handler raises."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with InterruptGate() as gate:
            self._followers.append(waiter)
            try:
                while not waiter.is_satisfied and not _is_over(deadline):
                    if self._lead.acquire(blocking=False):
                        self._lead_for(waiter, deadline, gate)
                    else:
                        gate.open()
                        waiter.sleep(_remaining(deadline))
                        gate.close()
            finally:
                with suppress(ValueError):
                    self._followers.remove(waiter)
                self._pass_on()

    def _lead_for(self, waiter: Waiter, deadline: float | None, gate: InterruptGate) -> None:
        waiter.leads = True
        try:
            while not waiter.is_satisfied and not _is_over(deadline):
                self._turn(_remaining(deadline), gate)
        finally:
            waiter.leads = False
            self._lead.release()

    def _turn(self, timeout: float | None, gate: InterruptGate) -> None:
        gate.open()
        ready = self._selector.select(timeout)
        gate.close()
        for key, events in ready:
            lane: Lane | None = key.data
            if lane is None:
                with suppress(BlockingIOError):
                    self._wakee.recv(4096)
                continue
            if events & _WRITE:
                lane.flush()
            if events & _READ:
                lane.read()

    def _pass_on(self) -> None:
        """Somebody who waits must lead, or nobody reads."""
        if self._followers and not self._lead.locked():
            with suppress(IndexError):
                self._followers[0].nudge()

    def drain(self) -> None:
        """Reads what has arrived, unless somebody is reading; never waits."""
        with InterruptGate() as gate:
            if self._lead.acquire(blocking=False):
                try:
                    self._turn(0, gate)
                finally:
                    self._lead.release()
                    self._pass_on()

    def wake(self) -> None:
        """Makes the leader look whether it is satisfied."""
        with suppress(BlockingIOError, OSError):
            self._waker.send(b"\0")

    # --- the background -----------------------------------------------------------------------------------------

    def pump_until_done(self, result: PendingResult, borrowed: Lane | None = None) -> None:
        """Has the background thread read until ``result`` is done; ``borrowed`` is read meanwhile."""
        if borrowed is not None and not self._borrow(borrowed):
            borrowed = None
        with self._lock:
            self._add_demand(1)

        def release(_: PendingResult) -> None:
            if borrowed is not None:
                self._give_back(borrowed)
            with self._lock:
                self._add_demand(-1)

        result.add_callback(release)

    def _add_demand(self, change: int) -> None:
        self._demand += change
        if not self._demand:
            self._has_demand.clear()
            self.wake()
            return
        self._has_demand.set()
        if self._background is None and not self._is_closed:
            self._background = threading.Thread(target=self._run_background, name="actorio-pump", daemon=True)
            self._background.start()

    def _run_background(self) -> None:
        gate = InterruptGate()
        while True:
            self._has_demand.wait()
            if self._is_closed:
                return
            with self._lead:
                while self._demand and not self._is_closed:
                    self._turn(None, gate)
            self._pass_on()

    def close(self) -> None:
        """Ends the background thread and closes the selector. Lanes are closed before."""
        self._is_closed = True
        self._has_demand.set()
        self.wake()
        background = self._background
        if background is not None and background is not threading.current_thread():
            background.join()
        self.abandon()

    def abandon(self) -> None:
        """Closes what belongs to this process alone; in a forked child, where the background thread is none."""
        self._selector.close()
        self._waker.close()
        self._wakee.close()


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _remaining(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
