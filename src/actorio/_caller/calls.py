"""Calls to actors: each finds its lane, is pickled, and is sent, at once or when the results it needs are there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from actorio._caller.arguments import blame_arguments, dump_arguments
from actorio._caller.carrying import take_along
from actorio._caller.contexts import Contexts
from actorio._caller.deadlines import Deadlines
from actorio._caller.flows import StreamResult
from actorio._caller.gate import Gate
from actorio._caller.held import HeldCall
from actorio._caller.pending import ERROR, Aside, PendingResult, result_of
from actorio._caller.recent import Recent
from actorio._caller.retries import RetriedResult
from actorio._caller.several import split
from actorio._caller.sources import has_generators, replace_generators
from actorio._caller.wakers import running_loop
from actorio._caller.ways import way_with
from actorio._model.argument import OWN, has_references, take_references
from actorio._model.errors import RaySystemError
from actorio._model.propagation import CARRIED
from actorio._model.reference import ObjectRef
from actorio._model.travel import NOTED, KeepingBytes, files_of, join, kept_by, take_notes
from actorio._store.values import dumps

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from actorio._caller.holdings import Holdings
    from actorio._caller.lane import Lane
    from actorio._caller.loss import Losses
    from actorio._model.actor_options import Manner
    from actorio._model.definition import MethodDefinition
    from actorio._model.handle import ActorIdentity
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Inspect, Lent, Limit

# An actor that was killed before so many others listens no more.
_MAX_KILLED = 1000


class Calls:
    """Makes calls, in whichever caller context runs.

    Args:
        session: the name of the session that handles must belong to.
        numbers: of calls and of references.

    Attributes:
        killed: the addresses of actors that this process has just killed: calls to them fail though they may still
            listen.
        gate: what calls have to pass first, to actors that say how many may wait.
        existing_contexts: None until the first call.
    """

    def __init__(self, session: str, losses: Losses, holdings: Holdings, numbers: Iterator[int]) -> None:
        self.killed: Recent[str, bool] = Recent(_MAX_KILLED)
        self.existing_contexts: Contexts | None = None
        self._session = session
        self._losses = losses
        self._holdings = holdings
        self._numbers = numbers
        self._lock = threading.Lock()
        self._deadlines = Deadlines(self._open_calls)
        self.gate = Gate(lambda: self.contexts, self._lane, numbers)

    @property
    def contexts(self) -> Contexts:
        """The caller contexts, made when first needed: most actors call nobody."""
        with self._lock:
            if self.existing_contexts is None:
                self.existing_contexts = Contexts()
            return self.existing_contexts

    def close(self) -> None:
        """Closes every connection to an actor: what is pending ends, and so do calls that come too late."""
        self._deadlines.close()
        # Made if there are none yet, so that a call which comes later finds them closed.
        self.contexts.close()

    def pending_of(self, identity: ActorIdentity) -> list[PendingResult]:
        """Returns the results of this process's calls to an actor that have not ended, whichever thread made them.

        Those of streams are not among them: they end when somebody takes their items.
        """
        lanes = [] if self.existing_contexts is None else self.existing_contexts.lanes()
        results = [result for lane in lanes if lane.address == identity.address for result in lane.pending()]
        results += self._losses.unexplained(identity.actor_id)
        return [result for result in dict.fromkeys(results) if not result.window and not result.is_done()]

    def made_in(self, parent: object) -> list[PendingResult]:
        """Returns the calls to actors that were made in a call of this process, and have not ended."""
        return [result for result in self._open_calls() if result.parent is parent]

    def _open_calls(self) -> list[PendingResult]:
        contexts = self.existing_contexts
        return [] if contexts is None else [result for lane in contexts.lanes() for result in lane.pending()]

    def bid_farewell(self) -> None:
        """Tells whom this process has called that it ends in order: what it has called goes on."""
        if self.existing_contexts is not None:
            for lane in self.existing_contexts.lanes():
                lane.bid_farewell()

    # --- making -------------------------------------------------------------------------------------------------

    def call(  # noqa: C901  # a call; on the way of each, so that nothing is called that can stand here
        self,
        identity: ActorIdentity,
        method: MethodDefinition,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        manner: Manner | None = None,
    ) -> ObjectRef[Any]:
        """Sends a call on the lane of the running context."""
        if manner is not None and manner.is_limited:
            self.gate.admit(identity, method)
        for value in args:
            if value.__class__ is ObjectRef or value is OWN.instance:
                return self._call_with_references(identity, method, args, kwargs, manner)
        if kwargs and has_references(kwargs):
            return self._call_with_references(identity, method, args, kwargs, manner)
        loop = running_loop()
        contexts = self.existing_contexts or self.contexts
        lane = (contexts.threads if loop is None else contexts.of(loop)).lanes.get(identity.address)
        if lane is None or lane.is_lost:
            lane = self._open(identity, loop)
        try:
            payload = dumps((args, kwargs))
        except Exception as error:
            take_notes()
            return self._call_differently(error, identity, method, args, kwargs, manner)
        except BaseException:
            take_notes()
            raise
        result = PendingResult(next(self._numbers), lane, method)
        if manner is not None or result.way is not None or CARRIED.is_on:
            self.set_way(result, manner)
        if lane is None:
            self._losses.never_connected(identity, result)
        elif NOTED.actors is not None or (lane.held.calls and lane.is_ordered):
            self._send_with(
                lane, identity, result, method.name, KeepingBytes.of(payload, take_notes(), files_of(payload)), ()
            )
        else:
            lane.actor = identity
            if not lane.call_simply(result, method.name, payload):
                self._send_anew(identity, result, method.name, payload, (), ())
        return ObjectRef(result)

    def set_way(self, result: PendingResult, manner: Manner | None, *, is_task: bool = False) -> None:
        """Notes how a call is to be run and what it takes along, and watches over its deadline.

        Raises:
            UnpicklableError: a context variable's value cannot be pickled.
        """
        if manner is not None:
            result.way = way_with(result.way, manner)
        if CARRIED.is_on:
            take_along(result)
        if result.way is not None and result.way.deadline:
            self._deadlines.watch(result, is_task=is_task)

    def ask(self, identity: ActorIdentity, what: str, request: Callable[[int], Limit | Inspect]) -> ObjectRef[Any]:
        """Asks an actor something that no call is to hold up, on a connection of its own."""
        self.check_session(identity)
        result = PendingResult(next(self._numbers), None, f"{identity.definition.name}.{what}")
        result.is_shared = True
        try:
            explain = self._losses.explainer(identity)
            result.lane = lane = self.contexts.control.open(identity.address, explain, is_ordered=False)
        except (FileNotFoundError, ConnectionRefusedError, ConnectionAbortedError):
            self._losses.never_connected(identity, result)
        else:
            lane.actor = identity
            lane.ask(result, request(result.number))
        return ObjectRef(result)

    def _call_differently(  # noqa: PLR0917  # a call
        self,
        error: Exception,
        identity: ActorIdentity,
        method: MethodDefinition,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        manner: Manner | None,
    ) -> ObjectRef[Any]:
        """Makes a call whose arguments could not be pickled: with generators among them, as one with references."""
        if not has_generators(args, kwargs):
            blame_arguments(args, kwargs, method, error)
            raise error
        return self._call_with_references(identity, method, args, kwargs, manner)

    def call_in(
        self,
        manner: Manner,
        identity: ActorIdentity,
        method: MethodDefinition,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> list[ObjectRef[Any]]:
        """Sends a call that brings several values, or may be made again; returns a reference for each value."""
        if manner.is_limited:
            self.gate.admit(identity, method)
        send_to = self.prepare(method, args, kwargs)
        result = RetriedResult(next(self._numbers), method, manner, lambda result: send_to(identity, result))
        self.set_way(result, manner)
        result.send()
        return split(result, self._numbers)

    def stream(
        self,
        manner: Manner,
        identity: ActorIdentity,
        method: MethodDefinition,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> StreamResult:
        """Sends a call whose values stream. It is made once: of what has been taken, nothing can be taken back."""
        if manner.is_limited:
            self.gate.admit(identity, method)
        send_to = self.prepare(method, args, kwargs)
        result = StreamResult(next(self._numbers), None, method, manner.window, self._numbers)
        self.set_way(result, manner)
        send_to(identity, result)
        return result

    def prepare(
        self, method: MethodDefinition, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Callable[[ActorIdentity, PendingResult], None]:
        """Returns what sends a call from the context that is running, any number of times, to whichever actor.

        Raises:
            UnpicklableError: an argument cannot be pickled.
        """
        args, kwargs, refs = self._taken_apart(args, kwargs, method)
        payload = dump_arguments(args, kwargs, method)
        return lambda identity, result: self._send_to(identity, running_loop(), result, method.name, payload, refs)

    def prepare_task(
        self,
        definition: MethodDefinition,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        function: bytes,
        method: str,
    ) -> tuple[Callable[[ActorIdentity, PendingResult], None], list[ObjectRef[Any]]]:
        """Returns what sends a task to whichever worker, whose ``method`` runs it, and the references that it needs.

        It is sent and answered in the context of the threads, wherever it is made: its end may begin another one,
        whether or not a loop runs.

        Raises:
            UnpicklableError: an argument cannot be pickled.
        """
        args, kwargs, refs = self._taken_apart(args, kwargs, definition)
        payload = dump_arguments(args, kwargs, definition, before=(function,))
        return lambda identity, result: self._send_to(identity, None, result, method, payload, refs), refs

    def _send_to(  # noqa: PLR0917  # a call
        self,
        identity: ActorIdentity,
        loop: asyncio.AbstractEventLoop | None,
        result: PendingResult,
        name: str,
        payload: bytes,
        refs: Sequence[ObjectRef[Any]],
    ) -> None:
        result.lane = lane = self._lane(identity, loop)
        if lane is None:
            self._losses.never_connected(identity, result)
        else:
            self._send_with(lane, identity, result, name, payload, refs)

    def _call_with_references(
        self,
        identity: ActorIdentity,
        method: MethodDefinition,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        manner: Manner | None,
    ) -> ObjectRef[Any]:
        args, kwargs, refs = self._taken_apart(args, kwargs, method)
        lane = self._lane(identity, running_loop())
        payload = dump_arguments(args, kwargs, method)
        result = PendingResult(next(self._numbers), lane, method)
        if manner is not None or result.way is not None or CARRIED.is_on:
            self.set_way(result, manner)
        if lane is None:
            self._losses.never_connected(identity, result)
        else:
            self._send_with(lane, identity, result, method.name, payload, refs)
        return ObjectRef(result)

    def _taken_apart(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], method: MethodDefinition
    ) -> tuple[tuple[Any, ...], dict[str, Any], list[ObjectRef[Any]]]:
        """Returns the arguments as they are pickled, and the references that were among them."""
        return take_references(*self.without_generators(args, kwargs, method))

    def without_generators(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], method: MethodDefinition
    ) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Returns the arguments with a stream in the place of each generator.

        Raises:
            RuntimeError: one is asynchronous, and no loop runs here.
            ValueError: one is an argument of another call already.
        """
        if not has_generators(args, kwargs):
            return args, kwargs
        return replace_generators(args, kwargs, method, self._numbers)

    # --- sending ------------------------------------------------------------------------------------------------

    def _send_with(  # noqa: PLR0917  # a call
        self,
        lane: Lane,
        identity: ActorIdentity,
        result: PendingResult,
        name: str,
        payload: bytes,
        refs: Sequence[ObjectRef[Any]],
    ) -> None:
        """Sends a call when the results behind ``refs`` are there, which it takes along."""
        dependencies = [result_of(ref) for ref in refs]

        def send() -> None:
            failed = next((one for one in dependencies if one.has_failed()), None)
            if failed is not None:
                result.complete_like(failed)
                return
            parts = [one.payload for one in dependencies]
            whole, sizes = join([payload, *parts]), tuple(map(len, parts))
            lent = self._lend(result, kept_by(whole))
            if not lane.call(result, name, whole, sizes, lent):
                self._send_anew(identity, result, name, whole, sizes, lent)

        lane.actor = identity
        missing = {one for one in dependencies if not one.is_done()}
        for one in missing:
            one.see_to_pumping(None)
        if missing or lane.held:
            lane.held.add(HeldCall(result, missing, send))
        else:
            send()

    def _send_anew(  # noqa: PLR0917  # a call
        self,
        identity: ActorIdentity,
        result: PendingResult,
        name: str,
        payload: Payload,
        parts: tuple[int, ...],
        lent: tuple[Lent, ...],
    ) -> None:
        """Sends a call that found its lane's other end closed: the actor may be on its way back."""
        loop = None if result.lane is None else result.lane.loop
        while (lane := self._lane(identity, loop)) is not None:
            result.lane, lane.actor = lane, identity
            if lane.call(result, name, payload, parts, lent):
                return
        self._losses.never_connected(identity, result)

    def _lend(self, result: PendingResult, kept: Mapping[str, Any]) -> tuple[Lent, ...]:
        """Lends the handles in what is about to be sent; takes them back should the call be lost."""
        if not kept:
            return ()
        lent = self._holdings.lend(kept)
        if isinstance(result, RetriedResult):
            # What an earlier attempt has lent will not arrive any more, if it has not.
            self._holdings.take_back(result.lent)
            result.lent = lent
        result.add_callback(Aside(lambda done: self._holdings.take_back(lent) if done.state == ERROR else None))
        return lent

    # --- lanes --------------------------------------------------------------------------------------------------

    def _lane(self, identity: ActorIdentity, loop: asyncio.AbstractEventLoop | None) -> Lane | None:
        lane = self.contexts.of(loop).lanes.get(identity.address)
        return self._open(identity, loop) if lane is None or lane.is_lost else lane

    def _open(self, identity: ActorIdentity, loop: asyncio.AbstractEventLoop | None) -> Lane | None:
        """Connects the context of a loop to an actor; returns None when nobody listens there any more."""
        self.check_session(identity)
        if identity.address in self.killed:
            return None
        context = self.contexts.of(loop)
        try:
            return context.open(identity.address, self._losses.explainer(identity), is_ordered=identity.is_ordered)
        except (FileNotFoundError, ConnectionRefusedError, ConnectionAbortedError):
            return None

    def check_session(self, identity: ActorIdentity) -> None:
        if identity.session != self._session:
            raise RaySystemError(
                f"the handle on {identity.definition.name} ({identity.actor_id}) belongs to another session "
                f"({identity.session}), which this process has left by shutdown() or a fork; create the actor again"
            )
