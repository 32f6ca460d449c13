"""Generators as arguments: they stay where they are, and the actor takes their items as a stream.

An asynchronous generator runs on the loop that made the call, a plain one in a thread of its own.
"""

from __future__ import annotations

import asyncio
import inspect
import queue
import weakref
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from actorio._caller.arguments import pickled
from actorio._caller.flows import CommonFlow, end_of_stream
from actorio._caller.pending import HERE, VALUE, PendingResult
from actorio._model.errors import RayError, RaySystemError
from actorio._model.streams import Stream
from actorio._transport.threads import start_thread
from actorio._wire import payload as wire
from actorio._wire.payload import UnpicklableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator, Mapping

    from actorio._model.definition import MethodDefinition
    from actorio._model.runtime import Pending


# Generators that are arguments: one actor can take the items of each.
_TAKEN: weakref.WeakSet[Any] = weakref.WeakSet()


def has_generators(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Is one of the arguments itself a generator?"""
    return any(inspect.isgenerator(value) or inspect.isasyncgen(value) for value in (*args, *kwargs.values()))


def replace_generators(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], method: MethodDefinition, numbers: Iterator[int]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the arguments with a stream for each generator.

    Raises:
        RuntimeError: one is asynchronous, and no loop runs here.
        ValueError: one is an argument of another call already.
    """

    def stream(value: Any) -> Any:
        if not inspect.isgenerator(value) and not inspect.isasyncgen(value):
            return value
        if value in _TAKEN:
            name = value.__qualname__
            raise ValueError(f"{method.call_name}(): the generator {name} is the argument of another call already")
        kind: type[Any] = LoopSource if inspect.isasyncgen(value) else ThreadSource
        source = kind(value, method.call_name, numbers)
        _TAKEN.add(value)
        return Stream(source)

    return tuple(map(stream, args)), {name: stream(value) for name, value in kwargs.items()}


class _Source(CommonFlow):
    """A generator of this process, as the call behind a stream; implements `Flow`."""

    def __init__(self, call: str, numbers: Iterator[int]) -> None:
        self.call = f"an argument of {call}"
        self._numbers = numbers
        self._given_back: PendingResult | None = None

    @property
    def end(self) -> Pending:
        """See `Flow.end`."""
        raise RaySystemError(f"{self.call}() says when it has ended by its last item")

    def next(self) -> Pending:
        """See `Flow.next`."""
        given, self._given_back = self._given_back, None
        if given is not None:
            return given
        item = PendingResult(next(self._numbers), None, self.call)
        self._make(item)
        return item

    def _make(self, item: PendingResult) -> None:
        raise NotImplementedError

    def give_back(self, pending: Pending) -> None:
        """See `Flow.give_back`."""
        if isinstance(pending, PendingResult):
            self._given_back = pending

    def leave(self) -> None:
        """See `Flow.leave`."""
        raise NotImplementedError

    def _fail(self, item: PendingResult, error: BaseException) -> None:
        """Ends an item with what the generator has raised, so that it can be raised in the actor."""
        try:
            wire.dumps(error)
        except Exception:
            text = f"{self.call}() raised {type(error).__name__}, which cannot be pickled: {error}"
            item.fail(lambda: RayError(text))
        else:
            item.fail(lambda: error)

    def _complete(self, item: PendingResult, value: Any) -> None:
        try:
            payload = pickled(value)
        except Exception:
            text = wire.explain(value, "item", self.call)
            item.fail(lambda: UnpicklableError(text))
        else:
            item.complete(VALUE, payload)


class LoopSource(_Source):
    """An asynchronous generator, which runs on the loop that made the call.

    Raises:
        RuntimeError: no loop runs.
    """

    def __init__(self, items: AsyncGenerator[Any, Any], call: str, numbers: Iterator[int]) -> None:
        super().__init__(call, numbers)
        self._items = items
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                f"{call}(): an asynchronous generator goes on in the event loop that makes the call, and none runs "
                "here. Make the call in `async def`, or pass a plain generator"
            ) from None
        self._step: asyncio.Task[None] | None = None
        self._is_left = False

    def _make(self, item: PendingResult) -> None:
        try:
            self._loop.call_soon_threadsafe(self._begin, item)
        except RuntimeError:
            item.fail(lambda: RuntimeError(f"the event loop that runs {self.call}() has been closed"))

    def _begin(self, item: PendingResult) -> None:
        self._step = self._loop.create_task(self._take(item))

    async def _take(self, item: PendingResult) -> None:
        try:
            value = await anext(self._items)
        except StopAsyncIteration:
            item.fail(end_of_stream)
        except BaseException as error:  # whatever it raises is the actor's
            self._fail(item, error)
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
        else:
            self._complete(item, value)

    def leave(self) -> None:
        """See `Flow.leave`."""
        if not self._is_left:
            self._is_left = True
            # It may be called wherever an object dies.
            HERE.holdings.call_later(self._ask_to_close)

    def _ask_to_close(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._close_soon)
        except RuntimeError:
            # The loop has closed, and its generators with it.
            return

    def _close_soon(self) -> None:
        self._step = closing = self._loop.create_task(_Steps(self._close(self._step)))
        # The loop may be about to end, and closes its generators itself then: a task that it does not come to run any
        # more is no mistake, nor are its steps.
        closing._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001  # as asyncio.gather does

    def _close(self, step: asyncio.Task[None] | None) -> Generator[Any, None, None]:
        if step is not None and not step.done():
            step.cancel()
            yield from asyncio.wait([step]).__await__()
        yield from self._items.aclose().__await__()


class _Steps(Coroutine[Any, Any, None]):
    """What a task runs, written as a generator; says nothing when it never begins, as a coroutine would."""

    def __init__(self, steps: Generator[Any, Any, None]) -> None:
        self._steps = steps

    def send(self, value: Any) -> Any:
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        return self._steps.throw(*error)

    def close(self) -> None:
        self._steps.close()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._steps


class ThreadSource(_Source):
    """A plain generator, which runs in a thread of its own from the first item on."""

    def __init__(self, items: Generator[Any, Any, Any], call: str, numbers: Iterator[int]) -> None:
        super().__init__(call, numbers)
        self._items = items
        self._wanted: queue.SimpleQueue[PendingResult | None] = queue.SimpleQueue()
        self._is_started = False

    def _make(self, item: PendingResult) -> None:
        self._wanted.put(item)
        if not self._is_started:
            self._is_started = True
            start_thread(self._run, "actorio-source")

    def _run(self) -> None:
        while (item := self._wanted.get()) is not None:
            try:
                value = next(self._items)
            except StopIteration:
                item.fail(end_of_stream)
                return
            except BaseException as error:  # whatever it raises is the actor's
                self._fail(item, error)
                return
            self._complete(item, value)
        self._items.close()

    def leave(self) -> None:
        """See `Flow.leave`. A generator that has not begun has nothing to undo."""
        self._wanted.put(None)
