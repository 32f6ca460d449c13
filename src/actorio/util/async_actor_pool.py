"""`AsyncActorPool`: values go to the least loaded actor, results come with ``async for``. For asynchronous code.

A map is one job that takes values and one job for each call under way; all of them end before the map does. Nothing
outlives a map, so a pool can be used by one event loop after another, and needs no closing of its own.
"""

from __future__ import annotations

import contextlib
import inspect
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from actorio._caller.wakers import Inbox
from actorio._model.generic import A_co, Generic
from actorio._model.handle import ActorHandle
from actorio.util import members
from actorio.util.flow import Flow, source_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable

    from actorio._model.reference import ObjectRef

V = TypeVar("V")
R = TypeVar("R")
# How many values may be under way or waiting to be consumed, for each call that can be made at the same time: while
# a slow first result holds back the others of an ordered map, every actor has something to do.
_AHEAD = 2


class AsyncActorPool(Generic[A_co]):
    """A set of actors that share calls; each new call goes to the member with the fewest under way.

    Usable on any event loop, also in the methods of an async actor; by one loop at a time. Several maps and `submit`
    may run at once and share the members. It can be passed to actors: what arrives is a pool of its own over the same
    actors, with nothing under way.

    A member that is found dead is replaced by what ``factory`` makes, or leaves the pool when there is none. Calls that
    were under way on it end in `ActorDiedError` and are not repeated, since they may have run.

    Args:
        actors: the handles of its members.
        factory: makes one more member, as ``Worker.remote`` does. It runs on the event loop. When it raises, a call
            of the dead member ends in what it raised, and the pool goes on with those that are left.
        calls_per_actor: how many calls may be under way on one member. More than 1 keeps an async or threaded actor
            busy, and spares a plain one the wait for its next call.

    Raises:
        TypeError: something else than a handle is among the actors, or ``calls_per_actor`` is no int.
        ValueError: no actors, the same one twice, or ``calls_per_actor`` less than 1.
    """

    def __init__(
        self,
        actors: Iterable[ActorHandle[A_co]],
        *,
        factory: Callable[[], ActorHandle[A_co]] | None = None,
        calls_per_actor: int = 1,
    ) -> None:
        listed = [members.checked(actor) for actor in actors]
        if not listed or len(set(listed)) != len(listed):
            raise ValueError(f"a pool has at least one actor, and each once, not {listed}")
        if not isinstance(calls_per_actor, int):
            raise TypeError(f"calls_per_actor is an int, not a {type(calls_per_actor).__name__}")
        if calls_per_actor < 1:
            raise ValueError(f"calls_per_actor is at least 1, not {calls_per_actor}")
        self._factory = factory
        self._limit = calls_per_actor
        # Calls under way by member; the one that was chosen last stands last.
        self._load = dict.fromkeys(listed, 0)
        # In the order of asking. Whoever is answered has its place counted already.
        self._waiters: deque[Inbox[ActorHandle[A_co] | Exception]] = deque()
        self._loss: members.Loss | None = None

    @property
    def actors(self) -> list[ActorHandle[A_co]]:
        """The members as they are now."""
        return list(self._load)

    @overload
    def map(
        self,
        fn: Callable[[ActorHandle[A_co], V], Awaitable[R]],
        values: Iterable[V] | AsyncIterable[V],
        *,
        return_exceptions: Literal[False] = False,
    ) -> AsyncGenerator[R, None]: ...
    @overload
    def map(
        self,
        fn: Callable[[ActorHandle[A_co], V], list[ObjectRef[R]]],
        values: Iterable[V] | AsyncIterable[V],
        *,
        return_exceptions: Literal[False] = False,
    ) -> AsyncGenerator[list[R], None]: ...
    @overload
    def map(
        self,
        fn: Callable[[ActorHandle[A_co], V], Awaitable[R]],
        values: Iterable[V] | AsyncIterable[V],
        *,
        return_exceptions: bool,
    ) -> AsyncGenerator[R | Exception, None]: ...
    @overload
    def map(
        self,
        fn: Callable[[ActorHandle[A_co], V], list[ObjectRef[R]]],
        values: Iterable[V] | AsyncIterable[V],
        *,
        return_exceptions: bool,
    ) -> AsyncGenerator[list[R] | Exception, None]: ...
    def map(
        self,
        fn: Callable[[ActorHandle[A_co], V], Any],
        values: Iterable[V] | AsyncIterable[V],
        *,
        return_exceptions: bool = False,
    ) -> AsyncGenerator[Any, None]:
        """Calls ``fn(actor, value)`` for each value; gives the results in the values' order.

        Nothing begins before the first result is asked for. Values are taken as members become free, and while the
        consumer does not ask, at most twice as many as can be under way. When the consumer stops, by ``break``, an
        error, cancelling or ``aclose``, no more are taken, and calls under way are no longer waited for; those that
        their actors have already may still run. ``async with contextlib.aclosing(pool.map(...)) as results``
        does so at the end of the block; a bare ``break`` does so once the loop comes round.

        Args:
            fn: makes the call, as in ``lambda actor, value: actor.method.remote(value)``. It runs on the event loop
                and returns a reference, a list of references, or anything else that can be awaited: with an
                ``async def`` function several calls can be one step.
            values: what to call it for; may be endless. A blocking iterable blocks the event loop.
            return_exceptions: give an error as the result, at its place, and go on. Otherwise it is raised there and
                ends the map.

        Raises:
            ActorDiedError: every member is dead, so that no more calls can be made; also with ``return_exceptions``.
            Exception: what a call, or taking a value, ended in.
        """
        return self._map(fn, source_of(values), is_ordered=True, return_exceptions=return_exceptions)

    @overload
    def map_unordered(
        self,
        fn: Callable[[ActorHandle[A_co], V], Awaitable[R]],
        values: Iterable[V] | AsyncIterable[V],
        *,
        return_exceptions: Literal[False] = False,
    ) -> AsyncGenerator[R, None]: ...
    @overload
    def map_unordered(
        self,
        fn: Callable[[ActorHandle[A_co], V], list[ObjectRef[R]]],
        values: Iterable[V] | AsyncIterable[V],
        *,
        return_exceptions: Literal[False] = False,
    ) -> AsyncGenerator[list[R], None]: ...
    @overload
    def map_unordered(
        self,
        fn: Callable[[ActorHandle[A_co], V], Awaitable[R]],
        values: Iterable[V] | AsyncIterable[V],
        *,
        return_exceptions: bool,
    ) -> AsyncGenerator[R | Exception, None]: ...
    @overload
    def map_unordered(
        self,
        fn: Callable[[ActorHandle[A_co], V], list[ObjectRef[R]]],
        values: Iterable[V] | AsyncIterable[V],
        *,
        return_exceptions: bool,
    ) -> AsyncGenerator[list[R] | Exception, None]: ...
    def map_unordered(
        self,
        fn: Callable[[ActorHandle[A_co], V], Any],
        values: Iterable[V] | AsyncIterable[V],
        *,
        return_exceptions: bool = False,
    ) -> AsyncGenerator[Any, None]:
        """Does as `map`, but gives results as they come."""
        return self._map(fn, source_of(values), is_ordered=False, return_exceptions=return_exceptions)

    @overload
    async def submit(self, fn: Callable[[ActorHandle[A_co], V], Awaitable[R]], value: V) -> R: ...
    @overload
    async def submit(self, fn: Callable[[ActorHandle[A_co], V], list[ObjectRef[R]]], value: V) -> list[R]: ...
    async def submit(self, fn: Callable[[ActorHandle[A_co], V], Any], value: V) -> Any:
        """Waits for a free member, calls ``fn(actor, value)`` and returns its result.

        Cancelling gives up the place in the queue, or the result.

        Raises:
            ActorDiedError: the member died, or every member is dead.
            Exception: what the call ended in.
        """
        return await self._call(await self._acquire(), fn, value)

    def push(self, actor: ActorHandle[A_co]) -> None:
        """Adds a member, which gets waiting calls at once.

        Raises:
            ValueError: it is in the pool already.
            TypeError: not a handle.
        """
        if members.checked(actor) in self._load:
            raise ValueError(f"{actor!r} is in this pool already")
        self._load[actor] = 0
        self._hand_out()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_load": dict.fromkeys(self._load, 0), "_waiters": deque()}

    async def _map(
        self,
        fn: Callable[[ActorHandle[A_co], Any], Any],
        source: AsyncIterator[Any],
        *,
        is_ordered: bool,
        return_exceptions: bool,
    ) -> AsyncGenerator[Any, None]:
        room = _AHEAD * self._limit * max(1, len(self._load))
        flow = Flow(
            self._acquire,
            lambda member, value: self._call(member, fn, value),
            self._release,
            room=room,
            is_ordered=is_ordered,
        )
        flow.start(source)
        try:
            while (outcome := await flow.next()) is not None:
                if outcome.error is not None and not return_exceptions:
                    raise outcome.error
                yield outcome.value if outcome.error is None else outcome.error
        finally:
            # An error's traceback holds this frame: together they would keep the actors.
            outcome = None
            await flow.stop()

    async def _call(self, member: ActorHandle[A_co], fn: Callable[[ActorHandle[A_co], Any], Any], value: Any) -> Any:
        try:
            return await _result(fn(member, value))
        except Exception as error:
            if members.is_death_of(member, error):
                self._replace(member, error)
            raise
        finally:
            self._release(member)

    async def _acquire(self) -> ActorHandle[A_co]:
        """Waits for a place at the least loaded member. Cancelling gives it to the next who waits."""
        waiter: Inbox[ActorHandle[A_co] | Exception] = Inbox()
        self._waiters.append(waiter)
        self._hand_out()
        try:
            answer = await waiter.take()
        except BaseException:  # cancelled, as asyncio or trio does it
            with contextlib.suppress(ValueError):
                self._waiters.remove(waiter)
            if waiter and isinstance(given := waiter.take_nowait(), ActorHandle):
                self._release(given)
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _release(self, member: ActorHandle[A_co]) -> None:
        # One that has been replaced meanwhile is no longer counted.
        if member in self._load:
            self._load[member] -= 1
        self._hand_out()

    def _hand_out(self) -> None:
        """Gives free places to those who have waited longest, or the reason why there will be none."""
        while self._waiters:
            member = min(self._load, key=self._load.__getitem__, default=None)
            if member is None:
                if self._loss is None:
                    raise AssertionError("the last member of a pool leaves it for a reason")
                self._waiters.popleft().put(self._loss.error("this call was not made."))
            elif self._load[member] < self._limit:
                # Last now, so that of equally loaded members each has its turn.
                self._load[member] = self._load.pop(member) + 1
                self._waiters.popleft().put(member)
            else:
                return

    def _replace(self, member: ActorHandle[A_co], error: Exception) -> None:
        if self._load.pop(member, None) is None:
            return
        self._loss = members.Loss(error)
        try:
            if self._factory is not None:
                self.push(self._factory())
        except Exception as failure:
            self._loss = members.Loss(failure)
            raise
        finally:
            self._hand_out()


async def _result(made: Any) -> Any:
    if isinstance(made, list):
        return [await one for one in made]
    if not inspect.isawaitable(made):
        raise TypeError(
            f"a pool's function returns an ObjectRef, a list of them or something else to await, not {made!r}: "
            "write lambda actor, value: actor.method.remote(value)"
        )
    return await made
