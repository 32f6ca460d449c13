"""Function tasks: a fixed pool of workers, which are actors whose class is ours."""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import threading
from typing import TYPE_CHECKING, Any

from actorio._caller.flows import StreamResult
from actorio._caller.pending import ERROR
from actorio._caller.retries import RetriedResult
from actorio._caller.several import split
from actorio._model import runtime
from actorio._model.actor_options import ActorOptions
from actorio._model.context import get_runtime_context
from actorio._model.definition import ClassDefinition
from actorio._model.errors import RaySystemError
from actorio._model.handle import ActorHandle, identity_of
from actorio._transport.threads import start_thread
from actorio._wire.payload import loads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping

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
    """Runs pickled functions, each in a thread of the pool. Lives in a worker process.

    Tasks that it runs may run others, in any worker of their driver, this one among them. While they wait for these,
    others take their place, so that any depth of them can run.

    Args:
        others: the workers that there are.
    """

    def __init__(self, others: list[ActorHandle]) -> None:
        self._functions: dict[bytes, Callable[..., Any]] = {}
        self._runtime: CallerRuntime = runtime.current()  # type: ignore[assignment]  # of its process
        own = get_runtime_context().current_actor
        self._runtime.tasks.know([*random.sample(others, len(others)), own])

    def know(self, other: ActorHandle) -> None:
        """Another worker has been started."""
        self._runtime.tasks.know([other])

    def run(self, payload: bytes, /, *args: Any, **kwargs: Any) -> Any:
        """Runs a function; one that is ``async def``, on an event loop of its own."""
        function = self._functions.get(payload)
        if function is None:
            if len(self._functions) >= _LARGEST_CACHE:
                self._functions.clear()
            function = self._functions[payload] = loads(payload)
        value = function(*args, **kwargs)
        if inspect.isasyncgen(value):
            return _in_turn(value)
        if not inspect.iscoroutine(value):
            return value
        # Nobody can tell what it waits for.
        with self._runtime.blocking("get"):
            return asyncio.run(value)

    def __actorio_name_call__(self, payload: bytes, *_args: Any, **_kwargs: Any) -> str:
        """Returns what errors call a call of `run`: the function's name."""
        function = self._functions.get(payload)
        return getattr(function, "__name__", "task")


def _in_turn(items: AsyncGenerator[Any, Any]) -> Iterator[Any]:
    """Returns the items of an asynchronous generator, which runs on a loop of its own, one by one."""

    async def step() -> Any:
        return await anext(items)

    with asyncio.Runner() as runner:
        try:
            while True:
                try:
                    item = runner.run(step())
                except StopAsyncIteration:
                    return
                yield item
        finally:
            runner.run(items.aclose())


def makes_room(instance: object) -> bool:
    """May other calls run while one of this actor's waits for others?"""
    return isinstance(instance, TaskWorker)


class TaskResult(RetriedResult):
    """The result of a task, which another worker may run when the one that ran it has died.

    Attributes:
        worker: who runs it, or ran it last.
    """

    __slots__ = ("worker",)

    outlives_actor = True
    worker: ActorIdentity | None


class TaskWorkers:
    """The workers that this process has started or knows of, and how busy it keeps each.

    Args:
        runtime: makes them.
        numbers: of results.
    """

    def __init__(self, runtime: CallerRuntime, numbers: Iterator[int]) -> None:
        self._runtime = runtime
        self._numbers = numbers
        # Telling one worker of another may find that it is dead.
        self._lock = threading.RLock()
        # By their ids.
        self._workers: dict[str, ActorIdentity] = {}
        self._running: dict[str, int] = {}

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

    def stream(
        self,
        manner: Manner,
        function: MethodDefinition,
        payload: bytes,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> StreamResult:
        """Runs a generator function in the least busy worker."""
        send_to = self._runtime.calls.prepare(function, args, kwargs, payload)
        result = StreamResult(next(self._numbers), None, function, manner.window, self._numbers)
        worker = self._choose()
        result.add_callback(lambda done: self._leave(worker, is_dead=done.state == ERROR))
        send_to(worker, result)
        return result

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
                self._start()
            chosen = min(self._running, key=self._running.__getitem__)
            self._running[chosen] += 1
            return self._workers[chosen]

    def know(self, workers: Iterable[ActorHandle]) -> None:
        """Others have started these."""
        with self._lock:
            for worker in map(identity_of, workers):
                self._workers.setdefault(worker.actor_id, worker)
                self._running.setdefault(worker.actor_id, 0)

    def _start(self) -> None:
        definition = ClassDefinition.of(TaskWorker)
        payload = self._runtime.pickle_definition(TaskWorker)
        others = [ActorHandle(worker) for worker in self._workers.values()]
        worker = self._runtime.create(definition, payload, (others,), {}, ActorOptions(max_concurrency=_THREADS))
        for other in others:
            self._runtime.call(identity_of(other), definition.methods["know"], (worker,), {})
        self.know([worker])

    def _finished(self, result: PendingResult) -> None:
        if isinstance(result, TaskResult) and result.worker is not None:
            self._leave(result.worker, is_dead=result.state == ERROR)
            # A result that is kept keeps no worker.
            result.worker = None

    def _leave(self, worker: ActorIdentity, *, is_dead: bool) -> None:
        with self._lock:
            if worker.actor_id not in self._running:
                return
            self._running[worker.actor_id] -= 1
            if is_dead:
                # The next task starts another worker.
                del self._running[worker.actor_id], self._workers[worker.actor_id]


def _too_late() -> RaySystemError:
    return RaySystemError("the interpreter is ending: the task is not tried again")
