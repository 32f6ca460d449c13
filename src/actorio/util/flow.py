"""One map of an `AsyncActorPool`: values in, outcomes out, no more of either on the way than there is room for.

It knows neither members nor references: to begin a call is to await ``acquire`` for a place and then ``call`` with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

P = TypeVar("P")


class Outcome(NamedTuple):
    """What one call ended in."""

    value: Any
    error: Exception | None


class Flow(Generic[P]):
    """Calls made from a source of values, and their outcomes.

    All of it runs on one event loop. Between `start` and the end of `stop` it owns one task that takes values, and one
    for each call under way.

    Args:
        acquire: waits for a place.
        call: makes the call for a value at a place, gives the place back and returns the result.
        room: how many values may be under way or wait to be consumed.
        is_ordered: outcomes come in the order of the values, not as they come.
    """

    def __init__(
        self,
        acquire: Callable[[], Awaitable[P]],
        call: Callable[[P, Any], Coroutine[Any, Any, Any]],
        *,
        room: int,
        is_ordered: bool,
    ) -> None:
        self._acquire = acquire
        self._call = call
        self._room = asyncio.Semaphore(room)
        self._is_ordered = is_ordered
        self._under_way: set[asyncio.Task[Outcome]] = set()
        # In the order in which outcomes are given; None stands behind the last.
        self._line: asyncio.Queue[asyncio.Task[Outcome] | None] = asyncio.Queue()
        self._feeder: asyncio.Task[None] | None = None

    def start(self, source: AsyncIterator[Any]) -> None:
        """Begins to take values; once."""
        self._feeder = asyncio.create_task(self._feed(source))

    async def next(self) -> Outcome | None:
        """Waits for the next outcome; returns None behind the last.

        Raises:
            Exception: no more values can be taken, or no more calls made, for this reason. Everything before it has
                been given.
        """
        task = await self._line.get()
        if task is None:
            if self._feeder is not None:
                await self._feeder
            return None
        if self._is_ordered:
            await asyncio.wait([task])
        self._room.release()
        return task.result()

    async def stop(self) -> None:
        """Takes no more values, waits for no more calls; returns when none of its tasks is left."""
        tasks: list[asyncio.Task[Any]] = [*self._under_way]
        if self._feeder is not None:
            tasks.append(self._feeder)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _feed(self, source: AsyncIterator[Any]) -> None:
        try:
            await self._take(source)
        finally:
            try:
                if self._under_way:
                    await asyncio.wait(self._under_way)
            finally:
                self._line.put_nowait(None)

    async def _take(self, source: AsyncIterator[Any]) -> None:
        while True:
            await self._room.acquire()
            try:
                value = await anext(source)
            except StopAsyncIteration:
                return
            self._begin(await self._acquire(), value)

    def _begin(self, place: P, value: Any) -> None:
        task = asyncio.create_task(self._settle(place, value))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        if self._is_ordered:
            self._line.put_nowait(task)
        else:
            task.add_done_callback(self._line.put_nowait)

    async def _settle(self, place: P, value: Any) -> Outcome:
        try:
            return Outcome(await self._call(place, value), None)
        except Exception as error:
            return Outcome(None, error)


class _Each:
    """An iterable as an asynchronous one. Not a generator: one that is left behind is closed by a task."""

    def __init__(self, values: Iterable[Any]) -> None:
        self._values = iter(values)

    def __aiter__(self) -> _Each:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self._values)
        except StopIteration:
            raise StopAsyncIteration from None


def source_of(values: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    """Returns values of either kind as an asynchronous iterator.

    Raises:
        TypeError: they can be iterated over in neither way.
    """
    if isinstance(values, AsyncIterable):
        return aiter(values)
    if isinstance(values, Iterable):
        return _Each(values)
    raise TypeError(f"a pool maps over an iterable or an asynchronous one, not a {type(values).__name__}")
