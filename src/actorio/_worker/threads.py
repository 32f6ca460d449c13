"""The dispatcher of a threaded actor: ``max_concurrency`` threads, the first of which is the process's main thread.

The mailbox's loop runs in a thread beside them and keeps reading while methods run. A thread that has finished a
call writes the reply itself and takes the next call from the mailbox: no hop through the loop.
"""

from __future__ import annotations

import contextvars
import functools
import queue
import threading
import time
from collections import deque
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from actorio._model.context import CURRENT_CALL
from actorio._model.propagation import CARRIED
from actorio._transport.lookout import LoopLookout
from actorio._transport.serving import CUT_OFF
from actorio._transport.spin import HELD_UP, SECONDS, Habit, is_worth_it
from actorio._wire.messages import Call
from actorio._worker.arriving import brings_context
from actorio._worker.delivered import Delivered
from actorio._worker.executor import ActorEndsError
from actorio._worker.flowing import flow_in_thread
from actorio._worker.inspection import Meter
from actorio._worker.intake import Intake
from actorio._worker.interruption import AGAIN, Interruptions

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from actorio._model.concurrency import Rules
    from actorio._transport.serving import Connection
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Inbound
    from actorio._worker.early import EarlyEnds
    from actorio._worker.executor import Executor

# How often it is looked whether the last answers have left, in seconds.
_MOMENT = 0.001


class ThreadDispatcher:
    """Hands calls to threads.

    Args:
        loop: the mailbox's.
        end: ends the process; called in the thread whose method asked for it.
        early: makes what ends calls early.
        lookout: watches the callers.
    """

    def __init__(  # noqa: PLR0917  # what it stands between
        self,
        loop: asyncio.AbstractEventLoop,
        executor: Executor,
        rules: Rules,
        end: Callable[[ThreadDispatcher, ActorEndsError], object],
        early: Callable[[ThreadDispatcher], EarlyEnds],
        lookout: LoopLookout | None = None,
    ) -> None:
        self._loop = loop
        self._executor = executor
        self._end = end
        self.early = early(self)
        # Taken again by what a call does that is refused while it is held.
        self._lock = threading.RLock()
        self.intake = Intake(rules, executor, self.early, loop, self._start_all, self._lock)
        self._interruptions = Interruptions()
        self._meter = Meter()
        # Calls that have been admitted and that no thread has taken yet, oldest first.
        self._admitted: deque[Delivered] = deque()
        # An entry wakes a thread, which wakes the next one if there are calls for it: one at a time. A busy thread may
        # be quicker to take a call; the one that was woken then finds nothing and waits again. Small methods so run in
        # one thread, one after the other, and do not pay for changes of threads.
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_waking = False
        self._threads = 1
        # A thread with nothing to do looks out for the next call itself for a moment: no change of threads then.
        self.lookout = LoopLookout(loop) if lookout is None else lookout
        self._habit = Habit(is_allowed=is_worth_it())
        # Since when a thread has had nothing to do, and whether it has polled; 0: something has arrived since.
        self._idle_since = 0.0
        self._has_polled = False
        # What calls wait for others in, where others may run in their place; None: they may not.
        self.rests_in: Callable[[], AbstractContextManager[None]] | None = None
        # So many wait.
        self._resting = 0
        # Threads of this dispatcher, as opposed to those that methods start.
        self._here = threading.local()
        self._is_closed = False
        # One of the calls that ran when the end began has ended.
        self._others_ended = threading.Event()
        # As many as there are threads whose calls have ended and whose answers may not have left yet.
        self._answering: list[Connection] = []

    def on_requests(self, connection: Connection, requests: list[tuple[Inbound, Payload]]) -> None:
        """Takes a batch of requests, in order. In the loop's thread."""
        admitted = []
        idle_since, self._idle_since = self._idle_since, 0.0
        if idle_since:
            # A thread had nothing to do, and has it from now on.
            self._habit.waited(time.monotonic() - idle_since, polled=self._has_polled)
        with self._lock:
            self._meter.arrived += len(requests)
            for request, payload in requests:
                if type(request) is not Call:
                    self._meter.answer(connection, request, self.intake)
                    continue
                call = Delivered(connection, request, payload)
                # Those that come at the end learn of it when it is there.
                if not self._is_closed and self.intake.offer(call):
                    admitted.append(call)
            self._admitted += admitted
            self._wake()

    def _wake(self) -> None:
        """Sees to it that calls which have been admitted are taken. With the lock."""
        if self._admitted and not self._is_waking:
            self._is_waking = True
            self._wakes.put(None)
        if self._threads < self.intake.mailbox.running + self._resting:
            self._add_threads()

    def _add_threads(self) -> None:
        before = self._threads
        self._threads = max(before, self.intake.mailbox.running + self._resting)
        for name in [f"actor-{number}" for number in range(before + 1, self._threads + 1)]:
            threading.Thread(target=self.work, name=name, daemon=True).start()

    def _start_all(self, calls: Iterable[Delivered]) -> None:
        """Has calls started that waited for something else than the end of another."""
        with self._lock:
            self._admitted += () if self._is_closed else calls
            self._wake()

    def revoke(self, call: Delivered) -> bool:
        """See `early.Dispatcher`."""
        return self.intake.revoke(call)

    def stop(self, call: Delivered) -> None:
        """See `early.Dispatcher`: a stream ends, and the method is interrupted if it allows that."""
        outflow = call.connection.outflows.get(call.request.id)
        if outflow is not None:
            outflow.leave()
        # Read once: its thread takes it back when it is done.
        on_cancel = call.on_cancel
        if on_cancel is not None:
            on_cancel()
        elif not self._interruptions.interrupt(call):
            self._loop.call_later(AGAIN, self.stop, call)

    @contextmanager
    def resting(self) -> Iterator[None]:
        """While a call waits for others, another one may run in its place. In the thread that runs it."""
        around = nullcontext() if self.rests_in is None else self.rests_in()
        if not getattr(self._here, "runs_calls", False):
            # A thread that a method has started waits: the method itself may go on.
            with around:
                yield
            return
        with self._lock:
            call = CURRENT_CALL.get()
            following = self.intake.ended(call) if isinstance(call, Delivered) else ()
            self._resting += 1
            self._admitted += following
            self._wake()
        try:
            with around:
                yield
        finally:
            with self._lock:
                self._resting -= 1
                if isinstance(call, Delivered):
                    self.intake.resume(call)

    def work(self) -> None:
        """Runs calls for ever, or until one ends the actor. The first worker is the main thread."""
        self._here.runs_calls = True
        while True:
            call = self._look_out() or self._sleep()
            while call is not None:
                try:
                    if (CARRIED.variables or call.request.way is not None) and brings_context(call):
                        # What it sets is not there for the next call in this thread.
                        frame = contextvars.copy_context().run(self._execute, call)
                    else:
                        frame = self._execute(call)
                except ActorEndsError as end:
                    self._end(self, end)
                    return
                connection = call.connection
                self._answering.append(connection)
                call = self._next(call)
                if frame:
                    connection.reply_now(frame, more_follow=call is not None)
                self._answering.pop()
                # What a call gave need not live until the next one has ended.
                frame = b""
            # Nor what the last one brought, while the thread has nothing to do.
            CURRENT_CALL.set(None)

    def _sleep(self) -> Delivered | None:
        """Waits until a call may have been admitted."""
        self._wakes.get()
        with self._lock:
            self._is_waking = False
            call = self._admitted.popleft() if self._admitted else None
            self._wake()
        return call

    def _look_out(self) -> Delivered | None:
        """Watches the callers for a moment, in the place of the loop; returns a call that has come."""
        began = time.monotonic()
        self._idle_since, self._has_polled = began, False
        if not self._habit.polls or self._admitted or not self.lookout.take():
            return None
        self._has_polled = True
        rest: Callable[[], object] | None = None
        try:
            call, rest = self._watch(began)
        finally:
            self.lookout.give_back(rest)
        return call

    def _watch(self, began: float) -> tuple[Delivered | None, Callable[[], object] | None]:
        """Polls for a moment; returns a call that may run, or what is left to the loop's thread to do."""
        poll = self.lookout.poll
        while (connection := poll()) is None and not self._admitted and time.monotonic() - began < SECONDS:
            pass
        took = time.monotonic() - began
        if took > HELD_UP:
            self._habit.held_up()
        if connection is None:
            return None, None
        self._habit.waited(took, polled=True)
        self._idle_since = 0.0
        try:
            requests = connection.receive()
        except BlockingIOError:
            return None, None
        except CUT_OFF as error:
            return None, functools.partial(connection.break_off, error)
        call = None
        if len(requests) == 1 and not connection.peer.notes:
            call = self._admit(connection, *requests[0])
        return call, None if call is not None else functools.partial(connection.handle, requests)

    def _admit(self, connection: Connection, request: Inbound, payload: Payload) -> Delivered | None:
        """Takes a call that has come alone, if it simply starts: whatever else may happen is for the loop's thread."""
        if type(request) is not Call or (request.way is not None and (request.way.group or request.way.priority)):
            return None
        with self._lock:
            if self._is_closed or self._admitted or not self.intake.mailbox.has_simply_room():
                return None
            self._meter.arrived += 1
            call = Delivered(connection, request, payload)
            if not self.intake.offer(call):
                raise AssertionError("there was room, and this thread holds the lock")
            return call

    def _next(self, ended: Delivered) -> Delivered | None:
        """Says that a call has ended; returns the one to go on with, None when none waits."""
        # What it brought need not live as long as what it has called, and what knows of it.
        ended.payload, ended.has_ended = b"", True
        with self._lock:
            following = self.intake.ended(ended)
            if self._is_closed:
                self._others_ended.set()
                return None
            if following:
                # At the end: those that were admitted before it must not be overtaken.
                self._admitted += following
            call = self._admitted.popleft() if self._admitted else None
            if len(following) > 1:
                # Its end may have made room in several groups, and this thread takes one.
                self._wake()
        return call

    def finish(self, patience: float) -> None:
        """Starts no more calls, and waits for those that run in other threads, up to ``patience`` seconds.

        Called in a thread that runs a call.
        """
        with self._lock:
            self._is_closed = True
            self.intake.clear()
            # Those that were admitted and not begun count as running.
            for call in self._admitted:
                self.intake.ended(call)
            self._admitted.clear()
        deadline = time.monotonic() + patience
        while self.intake.mailbox.running > 1 and time.monotonic() < deadline:
            self._others_ended.wait(deadline - time.monotonic())
            self._others_ended.clear()
        while self._answering and time.monotonic() < deadline:
            time.sleep(_MOMENT)

    def _execute(self, call: Delivered) -> bytes:
        executor, meter, started = self._executor, self._meter, 0.0
        if meter.skipped > 0:
            meter.skipped -= 1
        else:
            started = time.monotonic()
        try:
            method, args, kwargs = executor.prepare(call)
            if method.is_interruptible:
                value = self._interruptions.run(call, method.function, args, kwargs)
            else:
                value = method.function(*args, **kwargs)
            if call.request.window:
                flow_in_thread(executor, call, value, self.resting if self.rests_in else None)
                value = None
            frame = executor.reply(call, value)
        except BaseException as error:  # whatever a method raises is its caller's
            frame = executor.refuse(call, error)
        if started:
            meter.note(started)
        return frame
