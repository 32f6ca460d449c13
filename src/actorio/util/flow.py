"""One map of an `AsyncActorPool`: values in, outcomes out, no more of either on the way than there is room for.

It knows neither members nor references: to begin a call is to await ``acquire`` for a place and then ``call`` with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from actorio._caller.wakers import Inbox
from actorio.util import jobs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from actorio.util.jobs import Job

P = TypeVar("P")


class Outcome(NamedTuple):
    """What one call ended in."""

    value: Any
    error: Exception | None


class Flow(Generic[P]):
    """Calls made from a source of values, and their outcomes.

    All of it runs on one event loop. Between `start` and the end of `stop` it owns one job that takes values, and one
    for each call under way.

    Args:
        acquire: waits for a place.
        call: makes the call for a value at a place, gives the place back and returns the result.
        release: gives a place back whose call was cancelled before it had begun.
        room: how many values may be under way or wait to be consumed.
        is_ordered: outcomes come in the order of the values, not as they come.
    """

    def __init__(
        self,
        acquire: Callable[[], Awaitable[P]],
        call: Callable[[P, Any], Coroutine[Any, Any, Any]],
        release: Callable[[P], object],
        *,
        room: int,
        is_ordered: bool,
    ) -> None:
        self._acquire = acquire
        self._call = call
        self._release = release
        # One for each value that there is room for.
        self._room: Inbox[None] = Inbox()
        for _ in range(room):
            self._room.put(None)
        self._is_ordered = is_ordered
        self._under_way: set[Job[Outcome]] = set()
        # In the order in which outcomes are given; None stands behind the last.
        self._line: Inbox[Job[Outcome] | None] = Inbox()
        self._feeder: Job[None] | None = None

    def start(self, source: AsyncIterator[Any]) -> None:
        """Begins to take values; once."""
        self._feeder = jobs.start(self._feed(source))

    async def next(self) -> Outcome | None:
        """Waits for the next outcome; returns None behind the last.

        Raises:
            Exception: no more values can be taken, or no more calls made, for this reason. Everything before it has
                been given.
        """
        job = await self._line.take()
        if job is None:
            if self._feeder is not None:
                await self._feeder.wait()
                self._feeder.result()
            return None
        if self._is_ordered:
            await job.wait()
        self._room.put(None)
        return job.result()

    async def stop(self) -> None:
        """Takes no more values, waits for no more calls; returns when none of its jobs is left."""
        left: list[Job[Any]] = [*self._under_way]
        if self._feeder is not None:
            left.append(self._feeder)
        for job in left:
            job.cancel()
        with jobs.shielded():
            for job in left:
                await job.wait()

    async def _feed(self, source: AsyncIterator[Any]) -> None:
        try:
            await self._take(source)
        finally:
            try:
                for job in list(self._under_way):
                    await job.wait()
            finally:
                self._line.put(None)

    async def _take(self, source: AsyncIterator[Any]) -> None:
        while True:
            await self._room.take()
            try:
                value = await anext(source)
            except StopAsyncIteration:
                return
            self._begin(await self._acquire(), value)

    def _begin(self, place: P, value: Any) -> None:
        begun: list[bool] = []
        job = jobs.start(self._settle(place, value, begun))
        # Cancelled before its first step, it has not come to what gives the place back.
        job.add_done_callback(lambda _: None if begun else self._release(place))
        self._under_way.add(job)
        job.add_done_callback(self._under_way.discard)
        if self._is_ordered:
            self._line.put(job)
        else:
            job.add_done_callback(self._line.put)

    async def _settle(self, place: P, value: Any, begun: list[bool]) -> Outcome:
        begun.append(True)
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
