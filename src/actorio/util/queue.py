"""`Queue`: a queue between processes, in an actor of its own. Ray's interface.

Used from scripts and plain actors by methods that block, from ``async`` code by those whose names end in ``_async``.
"""

from __future__ import annotations

import asyncio
import os
import queue
from collections import deque
from typing import TYPE_CHECKING, Any

from actorio._model import runtime, verbs
from actorio._model.remote import remote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actorio._model.handle import ActorHandle
    from actorio._model.reference import ObjectRef

# So many calls may wait in the queue's actor at a time: each is a task on its loop, and not a thread.
_WAITING = 1_000_000
# What an ``await`` ends with that has not been cancelled; a task that nobody runs any more is closed.
_ANSWERS = (Exception, GeneratorExit)


class Empty(queue.Empty):
    """There was nothing in the queue. As in Ray, `queue.Empty` catches it."""


class Full(queue.Full):
    """The queue had no room. As in Ray, `queue.Full` catches it."""


class Queue:
    """A first-in, first-out queue that any number of processes share; those who wait are served in their order.

    Handles of it travel as those of actors do: pass it as an argument. It ends with the last of them, or with the
    process that made it, unless ``actor_options`` say otherwise. Safe to use from any thread and any event loop.

    Args:
        maxsize: how many items it holds at most; 0 is any number.
        actor_options: options of its actor, as for ``Class.options``.

    Raises:
        TypeError: ``maxsize`` is no int.
        ValueError: ``maxsize`` is negative, or an option is unknown.
    """

    def __init__(self, maxsize: int = 0, actor_options: Mapping[str, Any] | None = None) -> None:
        self.maxsize = _count(maxsize, "maxsize")
        options = {"max_concurrency": _WAITING, **(actor_options or {})}
        self.actor: ActorHandle = remote(_QueueActor).options(**options).remote(maxsize)

    def __repr__(self) -> str:
        return f"Queue(maxsize={self.maxsize}, {self.actor!r})"

    def __len__(self) -> int:
        """Returns how many items are in it. Blocks for a moment."""
        return self.size()

    def size(self) -> int:
        """Returns how many items are in it. Blocks for a moment."""
        _check_blocking("size")
        return int(verbs.get(self.actor.qsize.remote()))

    def qsize(self) -> int:
        """Returns how many items are in it. Blocks for a moment."""
        return self.size()

    def empty(self) -> bool:
        """Is there no item in it? Blocks for a moment."""
        return not self.size()

    def full(self) -> bool:
        """Is there no room in it? Blocks for a moment."""
        _check_blocking("full")
        return bool(verbs.get(self.actor.full.remote()))

    # --- putting ------------------------------------------------------------------------------------------------

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002  # as in Ray
        """Adds an item; waits for room. Interrupted by Ctrl-C while it waits, it adds nothing.

        Args:
            item: anything that can be pickled; of a reference, its value.
            block: False does not wait for room.
            timeout: how long to wait for room, in seconds; None is without end.

        Raises:
            Full: there was no room.
            ValueError: the timeout is negative.
            ActorDiedError: the queue has ended.
        """
        _check_blocking("put")
        place, ref = self._put(item, timeout, block=block)
        try:
            _take(ref)
        except (KeyboardInterrupt, SystemExit):
            self.actor.leave.remote(place)
            raise

    async def put_async(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ASYNC109, FBT001, FBT002
        """Adds an item, as `put` does, on the running loop. Cancelled while it waits for room, it adds nothing."""
        place, ref = self._put(item, timeout, block=block)
        try:
            await _take_async(ref)
        except _ANSWERS:
            raise
        except BaseException:  # cancelled, as asyncio or trio does it
            self.actor.leave.remote(place)
            raise

    def put_nowait(self, item: Any) -> None:
        """Adds an item if there is room; see `put`."""
        self.put(item, block=False)

    def put_nowait_batch(self, items: Iterable[Any]) -> None:
        """Adds all of the items, or none.

        Raises:
            TypeError: not an iterable.
            Full: there is no room for all of them.
        """
        _check_blocking("put_nowait_batch")
        _take(self.actor.put_all.remote(list(items)))

    def _put(self, item: Any, timeout: float | None, *, block: bool) -> tuple[bytes, ObjectRef[None]]:
        place = os.urandom(8)
        return place, self.actor.put.remote(item, place, _seconds(timeout) if block else 0)

    # --- getting ------------------------------------------------------------------------------------------------

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002  # as in Ray
        """Removes the first item and returns it; waits for one. Interrupted by Ctrl-C, it leaves the item where it was.

        Args:
            block: False does not wait.
            timeout: how long to wait, in seconds; None is without end.

        Raises:
            Empty: there was no item.
            ValueError: the timeout is negative.
            ActorDiedError: the queue has ended, and its items with it.
        """
        _check_blocking("get")
        place, ref = self._get(timeout, block=block)
        try:
            return _take(ref)
        except (KeyboardInterrupt, SystemExit):
            self._leave(place, ref)
            raise

    async def get_async(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ASYNC109, FBT001, FBT002
        """Removes the first item and returns it, as `get` does, on the running loop. Cancelling it loses no item."""
        place, ref = self._get(timeout, block=block)
        try:
            return await _take_async(ref)
        except _ANSWERS:
            raise
        except BaseException:  # cancelled, as asyncio or trio does it
            self._leave(place, ref)
            raise

    def get_nowait(self) -> Any:
        """Removes the first item and returns it, if there is one; see `get`."""
        return self.get(block=False)

    def get_nowait_batch(self, num_items: int) -> list[Any]:
        """Removes the first items and returns them: so many, or none.

        Raises:
            Empty: there are not so many.
            TypeError, ValueError: ``num_items`` is no number of items.
        """
        _check_blocking("get_nowait_batch")
        items: list[Any] = _take(self.actor.get_many.remote(_count(num_items, "num_items")))
        return items

    def _get(self, timeout: float | None, *, block: bool) -> tuple[bytes, ObjectRef[Any]]:
        place = os.urandom(8)
        return place, self.actor.get.remote(place, _seconds(timeout) if block else 0)

    def _leave(self, place: bytes, ref: ObjectRef[Any]) -> None:
        """Waits no more; an item that has left the queue meanwhile goes back to its front."""
        actor = self.actor
        actor.leave.remote(place)
        ref.future().add_done_callback(lambda got: got.exception() or actor.give_back.remote(got.result()))

    # --- the end ------------------------------------------------------------------------------------------------

    def shutdown(self, force: bool = False, grace_period_s: float = 5) -> None:  # noqa: FBT001, FBT002  # as in Ray
        """Ends the queue's actor. Calls that wait in it fail with `ActorDiedError`, and so do all that follow.

        Args:
            force: ends it at once. Otherwise calls that were made before may be answered first.
            grace_period_s: for how long, in seconds.
        """
        if not force:
            verbs.wait([self.actor.__ray_terminate__.remote()], timeout=grace_period_s)
        verbs.kill(self.actor)


class _QueueActor:
    """The actor behind a `Queue`. Each method runs on its loop to its next ``await`` without being interrupted."""

    def __init__(self, maxsize: int) -> None:
        self._maxsize = maxsize
        self._items: deque[Any] = deque()
        # Who waits for an item, and who with one for room. Never both.
        self._getters: dict[bytes, asyncio.Future[Any]] = {}
        self._putters: dict[bytes, tuple[Any, asyncio.Future[None]]] = {}

    async def qsize(self) -> int:
        return len(self._items)

    async def full(self) -> bool:
        return not self._has_room(1)

    async def put(self, item: Any, place: bytes, patience: float | None) -> None:
        if self._has_room(1):
            self._add(item)
            return
        putter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._putters[place] = item, putter
        try:
            is_added = await _is_done(putter, patience) and not putter.cancelled()
        finally:
            self._putters.pop(place, None)
        if not is_added:
            raise Full(f"the queue is full, with {self._maxsize} items")

    async def put_all(self, items: list[Any]) -> None:
        if not self._has_room(len(items)):
            text = f"the queue holds {len(self._items)} of {self._maxsize} items: there is no room for {len(items)}"
            raise Full(text)
        for item in items:
            self._add(item)

    async def give_back(self, item: Any) -> None:
        self._add(item, is_first=True)

    async def get(self, place: bytes, patience: float | None) -> Any:
        if self._items:
            return self._pop()
        getter = self._getters[place] = asyncio.get_running_loop().create_future()
        is_there = False
        try:
            is_there = await _is_done(getter, patience) and not getter.cancelled()
        finally:
            if self._getters.pop(place, None) is None and not is_there and not getter.cancelled():
                # Cancelled at the moment when an item came.
                self._add(getter.result(), is_first=True)
        if not is_there:
            raise Empty("the queue is empty")
        return getter.result()

    async def leave(self, place: bytes) -> None:
        getter = self._getters.pop(place, None) or self._putters.pop(place, (None, None))[1]
        if getter is not None:
            getter.cancel()

    async def get_many(self, number: int) -> list[Any]:
        if number > len(self._items):
            raise Empty(f"the queue holds {len(self._items)} items, not {number}")
        return [self._pop() for _ in range(number)]

    def _has_room(self, number: int) -> bool:
        return not self._maxsize or len(self._items) + number <= self._maxsize

    def _add(self, item: Any, *, is_first: bool = False) -> None:
        if self._getters:
            # Who has waited longest has it, and nobody comes between.
            self._getters.pop(next(iter(self._getters))).set_result(item)
        elif is_first:
            self._items.appendleft(item)
        else:
            self._items.append(item)

    def _pop(self) -> Any:
        item = self._items.popleft()
        if self._putters and self._has_room(1):
            waiting, putter = self._putters.pop(next(iter(self._putters)))
            self._items.append(waiting)
            putter.set_result(None)
        return item


async def _is_done(future: asyncio.Future[Any], patience: float | None) -> bool:
    """Waits for a future, which is left alone whatever happens; returns whether it was done in time (seconds)."""
    done, _ = await asyncio.wait([future], timeout=patience)
    return bool(done)


def _take(ref: ObjectRef[Any]) -> Any:
    """Returns a value. That there is none is an answer and no failure: the actor's traceback says nothing about it."""
    try:
        return verbs.get(ref)
    except (Empty, Full) as error:
        raise _plain(error) from None


async def _take_async(ref: ObjectRef[Any]) -> Any:
    try:
        return await ref
    except (Empty, Full) as error:
        raise _plain(error) from None


def _plain(error: Empty | Full) -> Empty | Full:
    kind = Empty if isinstance(error, Empty) else Full
    return kind(*getattr(error, "cause", error).args)


def _check_blocking(method: str) -> None:
    """Refuses before anything is sent: what is refused must not be done all the same."""
    runtime.current().blocking(f"Queue.{method}")


def _seconds(timeout: float | None) -> float | None:
    if timeout is not None and not isinstance(timeout, int | float):
        raise TypeError(f"a queue's timeout is a number of seconds or None, not {timeout!r}")
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"a queue's timeout is seconds, at least 0, not {timeout}")
    return timeout


def _count(value: int, name: str) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{name} is an int, not {value!r}")
    if value < 0:
        raise ValueError(f"{name} is at least 0, not {value}")
    return value
