"""Function tasks: a fixed pool of workers, which are actors whose class is ours."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from typing import TYPE_CHECKING, Any

from actorio._caller.pending import ERROR
from actorio._caller.retries import RetriedResult
from actorio._caller.several import split
from actorio._caller.threads import start_thread
from actorio._model.actor_options import ActorOptions
from actorio._model.definition import ClassDefinition
from actorio._model.errors import RaySystemError
from actorio._model.handle import identity_of
from actorio._wire.payload import loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from actorio._caller.pending import PendingResult
    from actorio._caller.runtime import CallerRuntime
    from actorio._model.actor_options import Manner
    from actorio._model.definition import MethodDefinition
    from actorio._model.handle import ActorIdentity
    from actorio._model.reference import ObjectRef

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


class TaskResult(RetriedResult):
    """The result of a task, which another worker may run when the one that ran it has died.

    Attributes:
        worker: who runs it, or ran it last.
    """

    __slots__ = ("worker",)

    outlives_actor = True
    worker: ActorIdentity | None


class TaskWorkers:
    """The workers that this process has started, and how busy each is.

    Args:
        runtime: makes them.
        numbers: of results.
    """

    def __init__(self, runtime: CallerRuntime, numbers: Iterator[int]) -> None:
        self._runtime = runtime
        self._numbers = numbers
        self._lock = threading.Lock()
        self._running: dict[ActorIdentity, int] = {}

    def run(
        self,
        manner: Manner,
        function: MethodDefinition,
        payload: bytes,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> list[ObjectRef[Any]]:
        """Runs a function in the least busy worker, and in another one should that die."""
        send_to = self._runtime.calls.prepare(function, args, kwargs, payload)
        result = TaskResult(next(self._numbers), function, manner, lambda _: self._send(result, send_to))
        result.worker = None
        result.add_callback(self._finished)
        result.send()
        return split(result, self._numbers)

    def _send(self, result: TaskResult, send_to: Callable[[ActorIdentity, TaskResult], None]) -> None:
        if result.worker is None:
            result.worker = self._choose()
            send_to(result.worker, result)
            return
        self._leave(result.worker, is_dead=result.lane is None or result.lane.is_lost)
        # A worker may have to be started, and this is the thread that hears of it.
        if start_thread(lambda: self._send_again(result, send_to), "actorio-retry") is None:
            result.fail(_too_late)

    def _send_again(self, result: TaskResult, send_to: Callable[[ActorIdentity, TaskResult], None]) -> None:
        try:
            result.worker = self._choose()
            send_to(result.worker, result)
        except Exception as error:
            result.fail(lambda error=error: error)  # type: ignore[misc]
            return
        result.see_to_pumping(None)

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

    def _finished(self, result: PendingResult) -> None:
        if isinstance(result, TaskResult) and result.worker is not None:
            self._leave(result.worker, is_dead=result.state == ERROR)
            # A result that is kept keeps no worker.
            result.worker = None

    def _leave(self, worker: ActorIdentity, *, is_dead: bool) -> None:
        with self._lock:
            if worker not in self._running:
                return
            self._running[worker] -= 1
            if is_dead:
                # The next task starts another worker.
                del self._running[worker]


def _too_late() -> RaySystemError:
    return RaySystemError("the interpreter is ending: the task is not tried again")
