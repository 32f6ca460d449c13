"""`PendingResult`: what stands behind a reference until, and after, its result is there.

It completes exactly once. Who completes it and who waits may be different threads; no lock is needed, because
callbacks live in a list whose ``append`` and ``pop`` are atomic, and both sides look after they have written: the
completer sets the state and then empties the list; who adds a callback appends and then checks the state.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from actorio._caller.settling import SETTLER
from actorio._caller.unread import READ, UnreadError
from actorio._caller.waits import forget_wait, note_wait
from actorio._caller.wakers import AsyncioWaker, call_in, running_loop, waker_of
from actorio._caller.ways import way_onward
from actorio._model.context import CURRENT_CALL
from actorio._model.errors import RayError, RaySystemError, UnserializableException
from actorio._model.failure import TaskFailure
from actorio._model.reference import all_pending_of, pending_of
from actorio._model.task_error import RayTaskError
from actorio._store import values
from actorio._wire import payload as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from contextlib import AbstractContextManager

    from actorio._caller.holdings import Holdings
    from actorio._caller.lane import Lane
    from actorio._caller.wakers import Waker
    from actorio._model.definition import MethodDefinition
    from actorio._model.reference import ObjectRef
    from actorio._model.runtime import Flow
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Way

    Callback = Callable[["PendingResult"], object]

PENDING, VALUE, FAILURE, ERROR = range(4)
# How long a session may take to end, in seconds, and more than that.
_LONGEST_END = 10.0

current_task = asyncio.current_task
_logger = logging.getLogger("actorio")
# Of each thread: the results whose callbacks are to be called next, while it calls some.
_CHAIN = threading.local()


class PendingResult:
    """The result of one call of this process.

    Attributes:
        number: unique in this process; the call's number on the wire.
        state: PENDING, then VALUE (payload is pickled), FAILURE (payload is an encoded `TaskFailure`) or ERROR
            (``make_error`` returns a new exception).
        lane: the connection that the reply comes on; None when it needs none.
        what: what was called, for errors.
        parent: the call of this process that has made it; None outside a call.
        way: what the call takes along of where it came from, and how it is to be run.
        is_shared: more than the reference that the call returned may know it: other processes, or this one again.
    """

    __slots__ = (
        "__weakref__",
        "_callbacks",
        "is_shared",
        "lane",
        "make_error",
        "number",
        "parent",
        "payload",
        "state",
        "unread",
        "way",
        "what",
    )

    # How often it was sent: of several attempts an earlier one may have run, whatever has become of the last.
    attempts = 1
    # Another actor may run it when its own is dead.
    outlives_actor = False
    # How many values are wanted of the method.
    returns = 1
    # How many items the method may be ahead, for a call whose values stream.
    window = 0
    # It stands for no call.
    is_question = False
    # This process owns it, and not another one.
    is_owned = True
    payload: Payload
    make_error: Callable[[], BaseException]
    unread: UnreadError | None

    def __init__(self, number: int, lane: Lane | None, what: MethodDefinition | str) -> None:
        self.number = number
        self.lane = lane
        self.what = what
        self.state = PENDING
        self.unread = None
        self._callbacks: list[Callback] = []
        self.is_shared = False
        self.parent = parent = CURRENT_CALL.get()
        self.way: Way | None = None if parent is None else way_onward(parent)

    # --- completing: any thread, the first wins -----------------------------------------------------------------

    def complete(self, state: int, payload: Payload) -> None:
        """Ends with what a reply says; calls the callbacks in this thread."""
        if self.state == PENDING:
            self.payload = payload
            if state == FAILURE and self.unread is None:
                self.unread = UnreadError(lambda: TaskFailure.decode(bytes(payload)).describe())
            self.state = state
            if self._callbacks:
                self._run_callbacks()

    def fail(self, make_error: Callable[[], BaseException], unread: UnreadError | None = None) -> None:
        """Ends with an error of the runtime's own; ``unread`` reports it when nobody reads it."""
        if self.state == PENDING:
            self.make_error = make_error
            self.unread = self.unread or unread
            self.state = ERROR
            self._run_callbacks()

    def take(self, _payload: Payload) -> None:
        """An item has come of a call that streams."""
        raise AssertionError(f"{self.call}() was not asked for a stream")

    def complete_like(self, other: PendingResult) -> None:
        """Ends as another result has."""
        self.unread = self.unread or other.unread
        if other.state == ERROR:
            self.fail(other.make_error)
        else:
            self.complete(other.state, other.payload)

    def note_read(self) -> None:
        """Says that an error which this ended or will end with need not be reported."""
        if self.unread is None:
            self.unread = READ
        else:
            self.unread.is_read = True

    def try_again(self) -> bool:
        """Its actor has died and is being restarted: is the call sent again?"""
        return False

    def stop_trying(self) -> None:
        """It was cancelled: there is no other attempt."""

    def to_cancel(self) -> PendingResult:
        """Returns the result of the call that is to be cancelled in order to cancel this."""
        return self

    def is_awaited(self) -> bool:
        """Does anybody wait for it?"""
        return any(not isinstance(callback, Aside) for callback in list(self._callbacks))

    def is_awaited_beside(self, call: object) -> bool:
        """Does a call of this process wait for it, other than this one?"""
        waiting = [getattr(callback, "call", None) for callback in list(self._callbacks)]
        return any(other is not None and other is not call for other in waiting)

    def abandon(self) -> None:
        """Ends without waking anybody: whoever waits does so in the parent of this forked process."""
        if self.state == PENDING:
            self.make_error = _not_ours
            self.state = ERROR

    def add_callback(self, callback: Callback) -> None:
        """Calls ``callback`` once: now if done, otherwise in the thread that completes this."""
        self._callbacks.append(callback)
        if self.state != PENDING:
            self._run_callbacks()

    def discard_callback(self, callback: Callback) -> int:
        """Forgets callbacks that equal ``callback``; returns how many there were."""
        count = 0
        while True:
            try:
                self._callbacks.remove(callback)
            except ValueError:
                return count
            count += 1

    def _run_callbacks(self) -> None:
        callbacks = self._callbacks
        if len(callbacks) == 1 and getattr(callbacks[0], "only_wakes", False):
            # The commonest case: it completes nothing else, and raises nothing.
            try:
                callback = callbacks.pop(0)
            except IndexError:
                # Another thread took it.
                return
            callback(self)
            return
        waiting = getattr(_CHAIN, "waiting", None)
        if waiting is not None:
            # One of the callbacks below has completed this: it is its turn afterwards, so that a chain of results
            # that end with each other does not nest.
            waiting.append(self)
            return
        _CHAIN.waiting = chain = deque([self])
        try:
            while chain:
                chain.popleft().call_back()
        finally:
            _CHAIN.waiting = None

    def call_back(self) -> None:
        """Calls the callbacks that nobody has called yet; their errors are logged."""
        callbacks = self._callbacks
        while callbacks:
            try:
                callback = callbacks.pop(0)
            except IndexError:
                # Another thread took the last one.
                return
            try:
                callback(self)
            except Exception:
                # The thread reads for everybody and must go on.
                _logger.exception("a callback of %s() failed", self.call)

    # --- reading ------------------------------------------------------------------------------------------------

    @property
    def call(self) -> str:
        """What was called, for errors: ``"Account.deposit"``."""
        return self.what if isinstance(self.what, str) else self.what.call_name

    @property
    def identity(self) -> bytes:
        """28 bytes: the process that made it, its number, and a fixed index as in Ray."""
        return identity_of(self.number)

    @property
    def origin(self) -> int:
        """The number that its owner gave it: part of its identity, and enough of it to hash by."""
        return self.number

    def is_done(self) -> bool:
        """Is there a value or an error?"""
        return self.state != PENDING

    def value(self, *, copy: bool = False) -> Any:
        """Returns the value, unpickled anew, or raises the error, made anew; see `actorio.get` for ``copy``."""
        if self.state == VALUE:
            payload = self.payload
            if payload == wire.NONE:
                return None
            try:
                return (wire.loads if payload else values.copy if copy else values.loads)(payload)
            except (Exception, SystemExit, GeneratorExit) as error:
                raise UnserializableException(self._cannot_load(error)) from error
        self.note_read()
        if self.state == FAILURE:
            raise RayTaskError.from_failure(TaskFailure.decode(bytes(self.payload)), wire.loads)
        raise self.make_error()

    def _cannot_load(self, error: BaseException) -> str:
        return (
            f"the result of {self.call}() arrived, but cannot be unpickled in this process: "
            f"{type(error).__name__}: {error}"
        )

    def has_failed(self) -> bool:
        """Is it done, with something else than a value?"""
        return self.state > VALUE

    # --- waiting ------------------------------------------------------------------------------------------------

    def wait_async(self, ref: ObjectRef[Any] | None = None) -> Generator[Any, None, Any]:
        """Waits on the running loop, asyncio's or trio's.

        Cancelled, it cancels the call, if nobody has ``ref`` but who waits here.
        """
        if self.state == PENDING:
            try:
                loop = running_loop()
                if loop is None or self.lane is None or self.lane.loop is not loop or CURRENT_CALL.get() is not None:
                    yield from self.wait_done()
                else:
                    # The commonest case, on the way of each call: the loop itself reads the answer, no call waits.
                    waker = AsyncioWaker(loop)
                    self.add_callback(waker)
                    try:
                        yield from waker.wait()
                    finally:
                        if self.state == PENDING:
                            self._give_up_waiting(waker)
            except BaseException:
                if self.state == PENDING:
                    HERE.forsake(self, ref)
                raise
        return self.value()

    def wait_done(self) -> Generator[Any, None, None]:
        """Does so without looking at the result."""
        if self.state == PENDING:
            loop = running_loop()
            waker = waker_of(loop)
            self.add_callback(waker)
            self.see_to_pumping(loop)
            call = CURRENT_CALL.get()
            if call is not None:
                waker.call = call
                if call.task is None or call.task is not current_task(loop):
                    # A task that the method has started waits: the method itself may go on.
                    call = None
                else:
                    note_wait(call, waker, (self,))
            try:
                if HERE.resting is None:
                    yield from waker.wait()
                else:
                    with HERE.resting():
                        yield from waker.wait()
            finally:
                if call is not None:
                    forget_wait(call, waker)
                if self.state == PENDING:
                    self._give_up_waiting(waker)

    def _give_up_waiting(self, waker: Waker) -> None:
        """Was cancelled: nobody waits any more, and knows."""
        self.discard_callback(waker)
        self.note_read()

    def outlast(self, timeout: float | None) -> bool:
        """Waits for the end of the session, which ends this; reads nothing. Returns whether it is done."""
        if not self.is_done():
            done = threading.Event()
            self.add_callback(lambda _: done.set())
            if not done.wait(_LONGEST_END if timeout is None else min(timeout, _LONGEST_END)) and timeout is None:
                # Nobody is left to answer.
                self.fail(_not_ours)
        return self.state != PENDING

    def add_loop_callback(self, callback: Callable[[], object], key: object) -> None:
        """Calls ``callback`` on the running loop when done; see `discard_loop_callbacks`."""
        loop = asyncio.get_running_loop()
        self.add_callback(_LoopCallback(loop, callback, key))
        self.see_to_pumping(loop)

    def discard_loop_callbacks(self, key: object) -> int:
        """Forgets the callbacks added under an equal key."""
        return self.discard_callback(_Key(key))

    def future(self) -> concurrent.futures.Future[Any]:
        """Returns a new future of the result; the background pump sees to it if nobody else does.

        It is settled in a thread of its own: its callbacks are the user's, and may wait for other results.
        """
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self.add_callback(lambda _: SETTLER.settle(self, future))
        self.see_to_pumping(None)
        return future

    def see_to_pumping(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Makes sure that somebody reads the reply while a waiter on ``loop`` (or no waiter at all) sleeps."""
        lane = self.lane
        if lane is not None and (lane.loop is None or lane.loop is not loop) and self.state == PENDING:
            lane.keep_pumped(self)

    # --- travelling ---------------------------------------------------------------------------------------------

    def export(self) -> tuple[Any, ...]:
        """Returns what `Runtime.borrow` needs in another process."""
        return HERE.export(self)


class _Here:
    """What results need to know of their process; set by the runtime, and anew in a forked child.

    Attributes:
        identity: 16 bytes, who this process is among those that make references.
        export: registers a result with the server that hands values to other processes.
        export_flow: registers a stream there.
        holdings: which actors this process keeps alive.
        cancel: cancels the call behind a result that nobody can get at; with an error, which is what it ends with.
        forsake: an ``await`` of a reference was cancelled.
        resting: in a worker, what a coroutine waits in.
    """

    identity = b""
    holdings: Holdings
    export: Callable[[PendingResult], tuple[Any, ...]]
    export_flow: Callable[[Flow], tuple[Any, ...]]
    cancel: Callable[..., None]
    forsake: Callable[[PendingResult, ObjectRef[Any] | None], None]
    resting: Callable[[], AbstractContextManager[None]] | None = None


HERE = _Here()


def identity_of(number: int) -> bytes:
    """Returns the identity of this process's result with a number."""
    return HERE.identity + number.to_bytes(8, "big") + b"\x01\0\0\0"


def result_of(ref: ObjectRef[Any]) -> PendingResult:
    """Returns the result behind a reference.

    Raises:
        RayError: another engine made it.
    """
    pending = pending_of(ref)
    if not isinstance(pending, PendingResult):
        raise RayError(f"{ref!r} was made by another engine")
    return pending


def results_of(refs: Iterable[ObjectRef[Any]]) -> list[PendingResult]:
    """Returns the results behind references; see `result_of`."""
    found = all_pending_of(refs)
    if all(issubclass(kind, PendingResult) for kind in set(map(type, found))):
        return found  # type: ignore[return-value]  # as was just checked
    return [result_of(ref) for ref in refs]


def _not_ours() -> RaySystemError:
    return RaySystemError(
        "this reference belongs to a session that this process has left, by shutdown() or a fork; "
        "call actorio.init() and make the call again"
    )


class Aside:
    """A callback of the runtime's own: nobody waits for the result because of it."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callback) -> None:
        self._callback = callback

    def __call__(self, result: PendingResult) -> None:
        self._callback(result)


class _LoopCallback:
    """Runs a callback on a loop; equal to its key."""

    __slots__ = ("callback", "key", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object], key: object) -> None:
        self.loop = loop
        self.callback = callback
        self.key = key

    def __call__(self, _pending: PendingResult) -> None:
        if running_loop() is self.loop:
            self.callback()
        else:
            call_in(self.loop, self.callback)


class _Key:
    """Finds a `_LoopCallback` by its key."""

    __slots__ = ("key",)

    def __init__(self, key: object) -> None:
        self.key = key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _LoopCallback) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __call__(self, _pending: PendingResult) -> None:
        raise AssertionError("a key is only looked for, never added")
