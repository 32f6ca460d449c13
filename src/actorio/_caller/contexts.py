"""Caller contexts: an event loop each, or all threads that have none. Each has its own lanes, one per address."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from actorio._caller.loop_lane import LoopLane
from actorio._caller.pump import Pump
from actorio._caller.thread_lane import ThreadLane
from actorio._transport.sockets import connect
from actorio._transport.spin import LoopSpin

if TYPE_CHECKING:
    import asyncio

    from actorio._caller.lane import Explain, Lane
    from actorio._caller.pending import PendingResult

_FEW = 64


class Context:
    """The lanes of one caller context.

    Args:
        loop: the event loop; None for the threads that have none.
    """

    def __init__(self, pump: Pump, loop: asyncio.AbstractEventLoop | None) -> None:
        self.pump = pump
        self.loop = loop
        self.lanes: dict[str, Lane] = {}
        self._is_closed = False
        self._spin: LoopSpin | None = None
        # How many lanes there are when those that are lost are looked for.
        self._many = _FEW
        # Two threads must not connect at once: their calls to one actor share one order.
        self._lock = threading.Lock()

    def open(self, address: str, explain: Explain, *, is_ordered: bool) -> Lane:
        """Returns the lane to an address, connected anew when there is none or it is lost.

        Raises:
            OSError: nobody listens there.
            ConnectionAbortedError: this process leaves its session.
        """
        with self._lock:
            if self._is_closed:
                raise ConnectionAbortedError("this process has left its session")
            lane = self.lanes.get(address)
            if lane is None or lane.is_lost:
                lane = self.lanes[address] = self._connect(address, explain, is_ordered=is_ordered)
                self._clear_away()
            return lane

    def _clear_away(self) -> None:
        """Forgets the lanes to actors that are dead, now and then."""
        if len(self.lanes) >= self._many:
            for address, lane in list(self.lanes.items()):
                if lane.is_lost:
                    self.lanes.pop(address, None)
            self._many = max(_FEW, 2 * len(self.lanes))

    def _connect(self, address: str, explain: Explain, *, is_ordered: bool) -> Lane:
        sock = connect(address)
        if self.loop is not None:
            if self._spin is None:
                self._spin = LoopSpin(self.loop)
            return LoopLane(address, sock, self.pump, explain, self.loop, is_ordered=is_ordered, spin=self._spin)
        lane = ThreadLane(address, sock, self.pump, explain, is_ordered=is_ordered)
        self.pump.add(lane)
        return lane

    def close(self) -> None:
        """Closes every lane; there will be no others."""
        with self._lock:
            self._is_closed = True
        for lane in list(self.lanes.values()):
            lane.close()
        self.lanes.clear()


class Contexts:
    """The caller contexts of this process."""

    def __init__(self) -> None:
        self.pump = Pump()
        self.threads = Context(self.pump, None)
        # For questions that no call is to hold up; made when the first is asked.
        self.control = Context(self.pump, None)
        self._loops: dict[asyncio.AbstractEventLoop, Context] = {}
        self._orphans: list[Lane] = []
        self._is_closed = False
        self._lock = threading.Lock()

    def of(self, loop: asyncio.AbstractEventLoop | None) -> Context:
        """Returns the context of a loop, or that of the threads without one."""
        if loop is None:
            return self.threads
        context = self._loops.get(loop)
        if context is None:
            with self._lock:
                self._sweep()
                context = Context(self.pump, loop)
                if self._is_closed:
                    context.close()
                else:
                    self._loops[loop] = context
        return context

    def _sweep(self) -> None:
        """Closes what closed loops left; what they still wait for goes to the pump."""
        self._orphans = [lane for lane in self._orphans if not lane.is_lost]
        for loop in [loop for loop in self._loops if loop.is_closed()]:
            for lane in self._loops.pop(loop).lanes.values():
                if lane.is_idle():
                    lane.close()
                else:
                    lane.adopt()
                    # Nobody may ever wait for them, and large ones take memory.
                    lane.see_to_replies()
                    self._orphans.append(lane)

    def _all(self) -> list[Context]:
        return [self.threads, self.control, *list(self._loops.values())]

    def lanes(self) -> list[Lane]:
        """Returns all lanes."""
        return [*(lane for context in self._all() for lane in list(context.lanes.values())), *self._orphans]

    def count_pending(self, address: str) -> int:
        """Returns how many calls to an address have not been answered."""
        return sum(lane.count_pending() for lane in self.lanes() if lane.address == address)

    def oldest_pending(self, address: str) -> PendingResult | None:
        """Returns the result of a call to an address that has not been answered, None when all have."""
        found = (lane.oldest_pending() for lane in self.lanes() if lane.address == address)
        return next((result for result in found if result is not None), None)

    def count_all_pending(self) -> int:
        """Returns how many calls have not been answered."""
        return sum(lane.count_pending() for lane in self.lanes())

    def see_to(self, address: str) -> None:
        """Reads the replies of an actor that nobody may ever wait for: its last handle may have gone."""
        lane = self.threads.lanes.get(address)
        if lane is not None:
            lane.see_to_replies()

    def sever(self, address: str) -> None:
        """Closes the lanes to an address, in every context."""
        for context in self._all():
            lane = context.lanes.pop(address, None)
            if lane is not None:
                lane.close()
        for lane in self._orphans:
            if lane.address == address:
                lane.close()

    def close(self) -> None:
        """Closes every lane of every context, and the pump. Whoever still waits for a result is told of its end."""
        with self._lock:
            self._is_closed = True
        for context in self._all():
            context.close()
        for lane in self._orphans:
            lane.close()
        self.pump.close()

    def abandon(self) -> None:
        """Closes this process's copies of the sockets; in a forked child."""
        for context in self._all():
            for lane in context.lanes.values():
                lane.abandon()
        for lane in self._orphans:
            lane.abandon()
        self.pump.abandon()
