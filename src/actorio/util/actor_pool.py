"""`ActorPool`: values go to whichever actor is free, results are fetched by blocking calls. Ray's interface.

The pool lives in the process that uses it and has neither a thread nor an actor of its own: calls that wait for a
free actor are made when a result is fetched. In asynchronous code use `actorio.util.AsyncActorPool`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from actorio._model.generic import A_co, Generic
from actorio.util import members
from actorio.util.calls import Call, first_done

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from actorio._model.handle import ActorHandle
    from actorio._model.reference import ObjectRef

V = TypeVar("V")
R = TypeVar("R")


class ActorPool(Generic[A_co]):
    """A fixed set of actors that share calls: each has one at a time, the others wait for whoever is free first.

    Use it from one thread at a time, in a script, a task or the method of a plain actor.

    It can be passed to actors, as an argument or inside one. What arrives is a pool of its own over the same actors.
    Calls under way travel as references do, so that both pools can fetch their results. Calls that wait for a free
    actor stay with the original alone: none is made twice.

    A member that is found dead leaves the pool; the call that found it raises `ActorDiedError`. `push` adds another.

    Args:
        actors: the handles of its actors. The last one is used first. One that is given twice has two calls at a time.

    Raises:
        TypeError: something else than a handle is among them.
    """

    def __init__(self, actors: Iterable[ActorHandle[A_co]]) -> None:
        self._idle = [members.checked(actor) for actor in actors]
        # In the order of submission.
        self._calls: list[Call] = []
        self._queue: deque[tuple[Callable[..., Any], Any]] = deque()
        # Results were taken as they came, so that nobody can tell which is the next in order.
        self._is_unordered = False
        self._loss: members.Loss | None = None

    @overload
    def map(self, fn: Callable[[ActorHandle[A_co], V], ObjectRef[R]], values: Iterable[V]) -> Iterator[R]: ...
    @overload
    def map(
        self, fn: Callable[[ActorHandle[A_co], V], list[ObjectRef[R]]], values: Iterable[V]
    ) -> Iterator[list[R]]: ...
    def map(self, fn: Callable[[ActorHandle[A_co], V], Any], values: Iterable[V]) -> Iterator[Any]:
        """Calls ``fn(actor, value)`` for each value; returns an iterator of the results in the values' order.

        All values are taken and submitted before it returns; results that nobody has fetched before are dropped, and
        calls that still wait for a free actor are not made. A result that is an error is raised at its place; the
        iterator goes on behind it when it is asked again.

        Args:
            fn: makes the call and returns its reference or a list of references, as in
                ``lambda actor, value: actor.method.remote(value)``. It runs in the calling thread.
            values: what to call it for.

        Raises:
            ValueError: the pool has no actors.
            TypeError: ``fn`` returned something else.
        """
        self._submit_all(fn, values)
        return _Results(self.get_next)

    @overload
    def map_unordered(self, fn: Callable[[ActorHandle[A_co], V], ObjectRef[R]], values: Iterable[V]) -> Iterator[R]: ...
    @overload
    def map_unordered(
        self, fn: Callable[[ActorHandle[A_co], V], list[ObjectRef[R]]], values: Iterable[V]
    ) -> Iterator[list[R]]: ...
    def map_unordered(self, fn: Callable[[ActorHandle[A_co], V], Any], values: Iterable[V]) -> Iterator[Any]:
        """Does as `map`, but gives results as they come."""
        self._submit_all(fn, values)
        return _Results(self.get_next_unordered)

    def submit(self, fn: Callable[[ActorHandle[A_co], V], Any], value: V) -> None:
        """Calls ``fn(actor, value)`` with a free actor now, or keeps both until a fetched result frees one.

        Never blocks. What ``fn`` raises now is raised here and leaves the pool as it was; what it raises later is
        that call's result.

        Args:
            fn: as for `map`.
            value: what to call it for.

        Raises:
            TypeError: ``fn`` returned neither a reference nor a list of references.
        """
        if not self._idle:
            self._queue.append((fn, value))
            return
        actor = self._idle.pop()
        try:
            call = Call(actor, fn(actor, value))
        except BaseException:
            self._idle.append(actor)
            raise
        self._calls.append(call)

    def has_next(self) -> bool:
        """Is there a result that has not been fetched yet?"""
        return bool(self._calls) or self._is_lost()

    def get_next(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:  # noqa: FBT001, FBT002  # Ray's signature
        """Blocks for the next result in the order of submission; returns it, a list for a call that has several.

        A call that ends in an error raises it here. Its actor is free again all the same.

        Args:
            timeout: seconds to wait at most; None waits as long as it takes.
            ignore_if_timedout: forget the result when the time is up, and take its actor for free.

        Raises:
            StopIteration: every result has been fetched.
            TimeoutError: the time was up; the result can still be fetched unless ``ignore_if_timedout``.
            ValueError: `get_next_unordered` has taken results, and not all of them.
            ActorDiedError: the call's actor is dead and has left the pool, or none is left for this call.
            RuntimeError: called on the event loop of an async actor; nothing is lost.
        """
        self._check_next()
        if self._is_unordered:
            raise ValueError(
                "get_next() after get_next_unordered(): the order is lost until every result has been fetched"
            )
        call = self._calls[0]
        if not call.wait(timeout):
            self._give_up(call, is_ignored=ignore_if_timedout)
        return self._take(call)

    def get_next_unordered(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:  # noqa: FBT001, FBT002  # Ray's signature
        """Blocks for any result; returns it. `get_next` cannot be used until all have been fetched.

        Args:
            timeout: seconds to wait at most; None waits as long as it takes.
            ignore_if_timedout: forget the oldest result when the time is up, and take its actor for free.

        Raises:
            StopIteration: every result has been fetched.
            TimeoutError: the time was up; nothing is lost unless ``ignore_if_timedout``.
            ActorDiedError: the call's actor is dead and has left the pool, or none is left for this call.
            RuntimeError: called on the event loop of an async actor; nothing is lost.
        """
        self._check_next()
        call = first_done(self._calls, timeout)
        if call is None:
            self._give_up(self._calls[0], is_ignored=ignore_if_timedout)
        self._is_unordered = len(self._calls) > 1
        return self._take(call)

    def has_free(self) -> bool:
        """Is there an idle actor? One whose result has not been fetched is not idle."""
        return bool(self._idle) and not self._queue

    def push(self, actor: ActorHandle[A_co]) -> None:
        """Adds an actor, which takes a waiting call at once.

        Raises:
            ValueError: it is in the pool already.
            TypeError: not a handle.
        """
        members.checked(actor)
        if actor in self._idle or any(call.actor == actor for call in self._calls):
            raise ValueError(f"{actor!r} is in this pool already")
        self._idle.append(actor)
        self._loss = None
        self._send_queued()

    def pop_idle(self) -> ActorHandle[A_co] | None:
        """Removes an idle actor from the pool and returns it; None when all are busy."""
        return self._idle.pop() if self.has_free() else None

    def __getstate__(self) -> dict[str, Any]:
        # Those that failed before they were made are their submitter's affair, as are those that were not made yet.
        calls = [call for call in self._calls if call.actor is not None]
        return {**self.__dict__, "_idle": self._idle[:], "_calls": calls, "_queue": deque()}

    def _submit_all(self, fn: Callable[[ActorHandle[A_co], V], Any], values: Iterable[V]) -> None:
        self._idle += [call.actor for call in self._calls if call.actor is not None]
        self._calls.clear()
        self._queue.clear()
        self._is_unordered = False
        if not self._idle:
            raise ValueError("the pool has no actors: push() one")
        for value in values:
            self.submit(fn, value)

    def _check_next(self) -> None:
        if not self.has_next():
            raise StopIteration("every result has been fetched")
        if self._loss is not None and not self._calls:
            # One error for each call, so that whoever counts results counts this one.
            self._queue.popleft()
            raise self._loss.error("this call was not made; push() one for those that still wait.")

    def _is_lost(self) -> bool:
        """Do calls wait for an actor though the last one is dead?"""
        return self._loss is not None and bool(self._queue) and not self._calls

    def _take(self, call: Call) -> Any:
        try:
            value = call.value()
        except BaseException as error:
            self._release(call, error)
            raise
        self._release(call)
        return value

    def _give_up(self, call: Call, *, is_ignored: bool) -> NoReturn:
        if is_ignored:
            self._release(call)
            raise TimeoutError("the result was not there in time and has been given up")
        raise TimeoutError("the result was not there in time; it can be fetched later")

    def _release(self, call: Call, error: BaseException | None = None) -> None:
        self._calls.remove(call)
        actor = call.actor
        if actor is not None and error is not None and members.is_death_of(actor, error):
            self._idle = [other for other in self._idle if other != actor]
            self._loss = members.Loss(error)
        elif actor is not None:
            self._idle.append(actor)
        self._send_queued()

    def _send_queued(self) -> None:
        while self._queue and self._idle:
            fn, value = self._queue.popleft()
            try:
                self.submit(fn, value)
            except Exception as error:
                # Not the affair of whoever fetches another result now: it is raised in its own place.
                self._calls.append(Call.failed(error))


class _Results:
    """The results of one `map`. Unlike a generator it goes on after an error."""

    def __init__(self, get_next: Callable[[], Any]) -> None:
        self._get_next = get_next

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._get_next()
