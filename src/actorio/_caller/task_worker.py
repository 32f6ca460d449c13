"""The class of the actors that run function tasks."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from typing import TYPE_CHECKING, Any, Final

from actorio._model import runtime
from actorio._model.context import CURRENT_CALL
from actorio._transport.loops import new_loop
from actorio._wire.payload import loads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator

HELPERS: Final = object()
"""Threads that tasks have started, and that wait."""
WHO_RESTS: contextvars.ContextVar[object | None] = contextvars.ContextVar("actorio_who_rests", default=HELPERS)
"""The task that gives its CPUs back while this thread or coroutine waits; None: it has none."""

# Threads of one worker: tasks that wait for other tasks hold one each.
THREADS = 64
_LARGEST_CACHE = 256


class TaskWorker:
    """Runs pickled functions, each in a thread of the pool. Lives in a worker process.

    Tasks that it runs may run others, in any worker of their driver, this one among them. While they wait for these,
    others take their place, so that any depth of them can run.
    """

    def __init__(self) -> None:
        self._functions: dict[bytes, Callable[..., Any]] = {}
        self.on_load: Callable[[], object] = bool
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def run(self, payload: bytes, /, *args: Any, **kwargs: Any) -> Any:
        """Runs a function that needs CPUs; one that is ``async def``, on the worker's event loop."""
        WHO_RESTS.set(object())
        return self._run(payload, args, kwargs)

    def run_freely(self, payload: bytes, /, *args: Any, **kwargs: Any) -> Any:
        """Runs one that needs none."""
        WHO_RESTS.set(None)
        return self._run(payload, args, kwargs)

    def _run(self, payload: bytes, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        function = self._functions.get(payload)
        if function is None:
            if len(self._functions) >= _LARGEST_CACHE:
                self._functions.clear()
            function = self._functions[payload] = loads(payload)
            # What it needs has been imported.
            self.on_load()
        call = CURRENT_CALL.get()
        if call is not None:
            call.entitle(getattr(function, "__name__", ""))
        value = function(*args, **kwargs)
        if inspect.isasyncgen(value):
            return self._in_turn(value)
        return self._wait_for(value) if inspect.iscoroutine(value) else value

    def _wait_for(self, value: Coroutine[Any, Any, Any], context: contextvars.Context | None = None) -> Any:
        """Returns what a coroutine does, which runs on the worker's loop, in ``context`` or in a copy of this one."""
        call, here = CURRENT_CALL.get(), {}

        async def run() -> Any:
            here["task"] = asyncio.current_task()
            if call is not None:
                call.on_cancel = cancel
                if call.reason is not None:
                    cancel()
            return await (value if context is None else asyncio.create_task(value, context=context))

        def cancel() -> None:
            if here["task"] is not None:
                loop.call_soon_threadsafe(here["task"].cancel)

        loop = self._the_loop()
        future = asyncio.run_coroutine_threadsafe(run(), loop)
        # The thread makes room for others; the CPU it keeps, as long as the coroutine itself does not wait.
        who = WHO_RESTS.get()
        WHO_RESTS.set(None)
        try:
            with runtime.current().blocking("get"):
                return future.result()
        finally:
            WHO_RESTS.set(who)
            if call is not None:
                call.on_cancel = None

    def _in_turn(self, items: AsyncGenerator[Any, Any]) -> Iterator[Any]:
        """Returns the items of an asynchronous generator, which runs on the worker's loop, one by one."""
        # One context for all of its steps: what it sets in one is there in the next.
        context = contextvars.copy_context()
        try:
            while True:
                try:
                    item = self._wait_for(_next(items), context)
                except StopAsyncIteration:
                    return
                yield item
        finally:
            self._wait_for(_close(items), context)

    def loop_thread(self) -> int | None:
        """Returns the thread of the loop that asynchronous tasks share, None when there is none."""
        return None if self._thread is None else self._thread.ident

    def _the_loop(self) -> asyncio.AbstractEventLoop:
        """Returns the loop that all asynchronous tasks share, made for the first of them."""
        with self._lock:
            if self._loop is None:
                self._loop = new_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="actorio-tasks", daemon=True)
                self._thread.start()
            return self._loop

    def __actorio_name_call__(self, payload: bytes, *_args: Any, **_kwargs: Any) -> str:
        """Returns what errors call a call of `run`: the function's name."""
        function = self._functions.get(payload)
        return getattr(function, "__name__", "task")


async def _next(items: AsyncGenerator[Any, Any]) -> Any:
    return await anext(items)


async def _close(items: AsyncGenerator[Any, Any]) -> None:
    await items.aclose()


# As in Ray: a task that is cancelled gets KeyboardInterrupt.
for _method in (TaskWorker.run, TaskWorker.run_freely):
    _method.__actorio_method_options__ = {"interruptible": True}  # type: ignore[attr-defined]  # a mark, as `method` makes it
