"""The dispatcher of an async actor: a task on the loop for each running call, as many as the mailbox allows.

Everything here runs in the loop's thread, which is the process's main thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from contextlib import nullcontext
from time import monotonic
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from actorio._wire.messages import Call
from actorio._worker.delivered import Delivered
from actorio._worker.ending import PATIENCE
from actorio._worker.executor import ActorEndsError
from actorio._worker.flowing import first_of, flow_on_loop
from actorio._worker.inspection import Meter
from actorio._worker.intake import Intake
from actorio._worker.interruption import AGAIN, Interruptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import ThreadPoolExecutor

    from actorio._model.concurrency import Rules
    from actorio._transport.serving import Connection
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Inbound
    from actorio._worker.early import EarlyEnds
    from actorio._worker.executor import Executor, Method
    from actorio._worker.stall import StallWatch

# How long calls that were cancelled at the end may take for it, in seconds.
_PATIENCE = 0.5
# How many methods run in threads at once, at most.
_MOST_THREADS = 64


class LoopDispatcher:
    """Starts calls as tasks.

    Args:
        end: called when a method has asked for the end of the actor.
        early: makes what ends calls early.
    """

    def __init__(  # noqa: PLR0917  # what it stands between
        self,
        loop: asyncio.AbstractEventLoop,
        executor: Executor,
        rules: Rules,
        watch: StallWatch,
        end: Callable[[ActorEndsError], None],
        early: Callable[[LoopDispatcher], EarlyEnds],
    ) -> None:
        self._loop = loop
        self._executor = executor
        self.early = early(self)
        self.intake = Intake(rules, executor, self.early, loop, self._start_all, nullcontext())
        self._meter = Meter()
        self._watch = watch
        self._end = end
        self._interruptions = Interruptions()
        # Of the methods that are to run in threads.
        self._pool: ThreadPoolExecutor | None = None
        # As the constructor has left it.
        self._context = contextvars.copy_context()
        # The loop itself keeps only weak references to tasks.
        self._is_closed = self._is_cut_off = False
        self._tasks: dict[Delivered, asyncio.Task[None]] = {}

    def on_requests(self, connection: Connection, requests: list[tuple[Inbound, Payload]]) -> None:
        """Takes a batch of requests, in order."""
        self._watch.notice()
        self._meter.arrived += len(requests)
        for request, payload in requests:
            if type(request) is not Call:
                self._meter.answer(connection, request, self.intake)
                continue
            call = Delivered(connection, request, payload)
            if self.intake.offer(call) and not self._is_closed:
                self._start(call)

    def close(self) -> None:
        """Starts no more calls, from this moment on."""
        self._is_closed = True

    async def finish(self, *, is_urgent: bool) -> None:
        """Waits for the calls that run, after `close`; if it is urgent, cancels them first."""
        running = set(self._tasks.values()) - {asyncio.current_task()}
        if is_urgent:
            # They learn of the death instead of an answer.
            self._is_cut_off = True
            for task in running:
                task.cancel()
        if running:
            await asyncio.wait(running, timeout=_PATIENCE if is_urgent else PATIENCE)

    def is_running(self) -> bool:
        """Does any call run?"""
        return self.intake.mailbox.running > 0

    def revoke(self, call: Delivered) -> bool:
        """See `early.Dispatcher`."""
        return self.intake.revoke(call)

    def stop(self, call: Delivered) -> None:
        """See `early.Dispatcher`: the coroutine gets CancelledError where it awaits."""
        if call.task is not None:
            call.task.cancel()
        elif not self._interruptions.interrupt(call):
            self._loop.call_later(AGAIN, self.stop, call)

    def _start_all(self, calls: Iterable[Delivered]) -> None:
        """Starts calls that had to wait, and not in the context of the one whose end they have waited for."""
        if not self._is_closed:
            for call in calls:
                self._context.run(self._start, call)

    def _start(self, call: Delivered) -> None:
        # Plain methods get a task too: run here and now, they would overtake a coroutine that was called before.
        call.task = self._tasks[call] = self._loop.create_task(self._run(call))

    async def _run(self, call: Delivered) -> None:
        executor, meter, started = self._executor, self._meter, 0.0
        if meter.skipped > 0:
            meter.skipped -= 1
        else:
            started = monotonic()
        try:
            method, args, kwargs = executor.prepare(call)
            if method.needs_thread:
                value = await self._run_in_thread(call, method, args, kwargs)
            else:
                value = method.function(*args, **kwargs)
            if value.__class__ is CoroutineType or (method.is_async and inspect.isawaitable(value)):
                value = await value
            if call.request.window:
                await flow_on_loop(executor, call, value)
                value = None
            elif call.request.returns > 1 and inspect.isasyncgen(value):
                value = await first_of(value, call.request.returns + 1)
            frame = executor.reply(call, value)
        except BaseException as error:  # whatever a method raises is its caller's
            if self._is_cut_off:
                return
            try:
                frame = executor.refuse(call, error)
            except ActorEndsError as end:
                self._end(end)
                return
        if started:
            meter.note(started)
        del self._tasks[call]
        self._ended(call, frame)

    async def _run_in_thread(
        self, call: Delivered, method: Method, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        # Cancelling would leave the thread alone, and say that the call has ended.
        call.task = None
        if self._pool is None:
            # Few actors need one, and each would pay for the module.
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(_MOST_THREADS, "actorio-method")
        run = self._interruptions.run if method.is_interruptible else _run
        context = contextvars.copy_context()
        return await self._loop.run_in_executor(self._pool, context.run, run, call, method.function, args, kwargs)

    def _ended(self, call: Delivered, frame: bytes) -> None:
        if frame:
            (call.connection.reply_soon if self._tasks else call.connection.reply_last)(frame)
        # What it brought need not live as long as what it has called, and what knows of it.
        call.payload, call.task, call.has_ended = b"", None, True
        following = self.intake.ended(call)
        if following:
            self._start_all(following)


def _run(call: Delivered, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if call.reason is not None:
        # It has waited for a thread, and is to end.
        raise asyncio.CancelledError
    return function(*args, **kwargs)
