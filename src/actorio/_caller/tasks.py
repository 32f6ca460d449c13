"""Function tasks: a fixed pool of workers, which are actors whose class is ours."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from typing import TYPE_CHECKING, Any

from actorio._caller.pending import ERROR, result_of
from actorio._model.actor_options import ActorOptions
from actorio._model.definition import ClassDefinition
from actorio._model.handle import identity_of
from actorio._wire.payload import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actorio._caller.pending import PendingResult
    from actorio._caller.runtime import CallerRuntime
    from actorio._model.definition import MethodDefinition
    from actorio._model.handle import ActorIdentity

# Threads of one worker: tasks that wait for other tasks hold one each.
_THREADS = 64
_LARGEST_CACHE = 256


class TaskWorker:
    """Runs pickled functions, each in a thread of the pool. Lives in a worker process."""

    def __init__(self) -> None:
        self._functions: dict[bytes, Callable[..., Any]] = {}

    def run(self, payload: bytes, /, *args: Any, **kwargs: Any) -> Any:
        """Runs a function; one that is ``async def``, on an event loop of its own."""
        function = self._functions.get(payload)
        if function is None:
            if len(self._functions) >= _LARGEST_CACHE:
                self._functions.clear()
            function = self._functions[payload] = loads(payload)
        value = function(*args, **kwargs)
        return asyncio.run(value) if inspect.iscoroutine(value) else value

    def __actorio_name_call__(self, payload: bytes, *_args: Any, **_kwargs: Any) -> str:
        """Returns what errors call a call of `run`: the function's name."""
        function = self._functions.get(payload)
        return getattr(function, "__name__", "task")


class TaskWorkers:
    """The workers that this process has started, and how busy each is."""

    def __init__(self, runtime: CallerRuntime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._running: dict[ActorIdentity, int] = {}

    def run(
        self, function: MethodDefinition, payload: bytes, args: tuple[Any, ...], kwargs: Mapping[str, Any], returns: int
    ) -> PendingResult:
        """Runs a function in the least busy worker."""
        worker = self._choose()
        given = (payload, *args)
        result: PendingResult
        if returns == 1:
            result = result_of(self._runtime.call(worker, function, given, kwargs, wire_name="run"))
        else:
            result = self._runtime.calls.begin(worker, function, given, kwargs, returns=returns, wire_name="run")
        result.add_callback(lambda result: self._finished(worker, result))
        return result

    def _choose(self) -> ActorIdentity:
        with self._lock:
            if len(self._running) < (os.cpu_count() or 1) and all(self._running.values()):
                self._running[self._start()] = 0
            worker = min(self._running, key=self._running.__getitem__)
            self._running[worker] += 1
            return worker

    def _start(self) -> ActorIdentity:
        definition = ClassDefinition.of(TaskWorker)
        payload = self._runtime.pickle_definition(TaskWorker)
        handle = self._runtime.create(definition, payload, (), {}, ActorOptions(max_concurrency=_THREADS))
        return identity_of(handle)

    def _finished(self, worker: ActorIdentity, result: PendingResult) -> None:
        with self._lock:
            if worker not in self._running:
                return
            self._running[worker] -= 1
            if result.state == ERROR:
                # The next task starts another worker.
                del self._running[worker]
