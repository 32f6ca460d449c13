"""The runtime of a process that calls actors: drivers and actors alike. Makes calls, keeps results, waits."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

from actorio._caller.arguments import dump_arguments, explain_arguments, pickled
from actorio._caller.contexts import Contexts
from actorio._caller.creation import SHARED_NAMESPACE, ActorMaker
from actorio._caller.held import HeldCall
from actorio._caller.holdings import Holdings
from actorio._caller.loss import Losses
from actorio._caller.pending import ERROR, HERE, PENDING, VALUE, PendingResult, result_of, running_loop
from actorio._caller.retries import RetriedResult
from actorio._caller.sharing import Sharing
from actorio._caller.tasks import TaskWorkers
from actorio._caller.waiting import wait_until_done
from actorio._caller.watching import watch
from actorio._model.argument import OWN, has_references, take_references
from actorio._model.errors import GetTimeoutError, RaySystemError
from actorio._model.handle import ActorHandle
from actorio._model.reference import ObjectRef
from actorio._model.status import Inventory
from actorio._model.travel import NOTED, KeepingBytes, kept_by, take_notes
from actorio._wire import payload as wire
from actorio._wire.payload import UnpicklableError, dumps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from actorio._caller.creation import Home
    from actorio._caller.lane import Lane
    from actorio._caller.node import NodeClient
    from actorio._model.actor_options import ActorOptions, Retried
    from actorio._model.definition import ClassDefinition, MethodDefinition
    from actorio._model.event import ActorEvent
    from actorio._model.handle import ActorIdentity
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Lent


class CallerRuntime:
    """Implements `actorio._model.runtime.Runtime` over lanes.

    Args:
        home: where the actors live that this process makes.
        connect_node: returns this process's connection to the node; called when it is first needed.
        forbid_blocking: raises when this thread must not block; called before each `get` and `wait` that would.
    """

    def __init__(
        self,
        home: Home,
        connect_node: Callable[[], NodeClient],
        forbid_blocking: Callable[[str], None] | None = None,
    ) -> None:
        self.session = home.session
        self._contexts: Contexts | None = None
        self._connect_node = connect_node
        self._node: NodeClient | None = None
        self._forbid_blocking = forbid_blocking
        self._numbers = itertools.count(1)
        # Guards what is made when first needed.
        self._lock = threading.Lock()
        self._killed: set[str] = set()
        self._losses = Losses(self.node)
        self._tasks = TaskWorkers(self)
        self._maker = ActorMaker(home, self.node)
        self.holdings = HERE.holdings = Holdings(self.node, self._see_to)
        self._sharing = Sharing(home.directory, lambda: self.contexts, self._losses, self._numbers)

    @property
    def contexts(self) -> Contexts:
        """The caller contexts, made when first needed: most actors call nobody."""
        with self._lock:
            if self._contexts is None:
                self._contexts = Contexts()
            return self._contexts

    def node(self) -> NodeClient:
        """Returns the connection to the node, made when first needed.

        Raises:
            RaySystemError: the node has gone.
        """
        with self._lock:
            if self._node is None:
                try:
                    self._node = self._connect_node()
                except OSError as error:
                    raise RaySystemError(f"the node of this session has ended: {error}") from error
                self._node.holdings = self.holdings.repeated
            return self._node

    # --- actors -------------------------------------------------------------------------------------------------

    def pickle_definition(self, definition: object) -> bytes:
        """Returns a class or function as bytes; by value where other processes could not import it."""
        import cloudpickle  # a process that only calls never needs it

        name = getattr(definition, "__qualname__", repr(definition))
        # What somebody has pickled on his own is not in this.
        take_notes()
        try:
            data: bytes = cloudpickle.dumps(definition)
            if NOTED.actors is not None:
                data = KeepingBytes.of(data, take_notes())
        except Exception as error:
            raise UnpicklableError(
                f"{name} cannot be sent to an actor. {wire.explain(definition, name, name)}"
            ) from error
        return data

    def create(
        self,
        definition: ClassDefinition,
        class_payload: bytes,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: ActorOptions,
    ) -> ActorHandle:
        """Starts an actor: its socket listens when this returns, its process is on its way."""
        arguments = dump_arguments(args, kwargs, definition.constructor)
        held = kept_by(arguments) | kept_by(class_payload)
        identity, is_new = self._maker.make(definition, class_payload, arguments, options, tuple(held))
        if is_new:
            identity.hold = self.holdings.made(identity.actor_id)
        return ActorHandle(identity)

    def kill(self, identity: ActorIdentity, *, may_restart: bool) -> None:
        """Ends an actor at once; calls that this process makes later fail, though the signal is still on its way."""
        self._check_session(identity)
        self.node().kill(identity.actor_id, may_restart=may_restart)
        if not may_restart:
            self._killed.add(identity.address)
            if self._contexts is not None:
                self._contexts.sever(identity.address)

    def end(self, identity: ActorIdentity) -> None:
        """Ends an actor gracefully, for good."""
        self._check_session(identity)
        self.node().end(identity.actor_id)

    def watch(self, identity: ActorIdentity) -> AsyncIterator[ActorEvent]:
        """Yields what happens to an actor, until it is dead."""
        self._check_session(identity)
        return watch(self.node(), identity.actor_id)

    def get_actor(self, name: str, namespace: str | None) -> ActorHandle:
        """Returns a weak handle on the actor of this name."""
        home = self._maker.home
        try:
            data = self.node().find(name, namespace or home.namespace)
        except ValueError as own:
            if namespace or not home.is_anonymous:
                raise
            try:
                data = self.node().find(name, SHARED_NAMESPACE)
            except ValueError:
                raise own from None
        identity: ActorIdentity = wire.loads(data)
        return ActorHandle(identity.weak())

    def list_actors(self) -> Inventory:
        """Returns what there is in the session."""
        return Inventory.decode(self.node().list())

    def find_hold(self, actor_id: str) -> object:
        """Returns what keeps an actor alive in this process, None when nothing does."""
        return self.holdings.find(actor_id)

    def handle_gone(self, identity: ActorIdentity) -> None:
        """A handle that kept its actor alive has gone; may be called wherever an object may die."""
        self.holdings.handle_gone(identity.address)

    def _see_to(self, address: str) -> None:
        if self._contexts is not None:
            self._contexts.see_to(address)

    # --- calls --------------------------------------------------------------------------------------------------

    def call(
        self,
        identity: ActorIdentity,
        method: MethodDefinition,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        wire_name: str = "",
    ) -> ObjectRef[Any]:
        """Sends a call on the lane of the running context.

        ``wire_name`` is for tasks: the worker's method, whose first argument is the function.
        """
        name = wire_name or method.name
        for value in args:
            if value.__class__ is ObjectRef or value is OWN.instance:
                return self._call_with_references(identity, method, args, kwargs, name)
        if kwargs and has_references(kwargs):
            return self._call_with_references(identity, method, args, kwargs, name)
        loop = running_loop()
        contexts = self._contexts or self.contexts
        lane = (contexts.threads if loop is None else contexts.of(loop)).lanes.get(identity.address)
        if lane is None or lane.is_lost:
            lane = self._open(identity)
        try:
            payload = dumps((args, kwargs))
        except Exception as error:
            take_notes()
            raise UnpicklableError(explain_arguments(args[1:] if wire_name else args, kwargs, method)) from error
        result = PendingResult(next(self._numbers), lane, method)
        if lane is None:
            self._losses.never_connected(identity, result)
        elif NOTED.actors is not None or (lane.held.calls and lane.is_ordered):
            self._send_in_turn(lane, result, name, KeepingBytes.of(payload, take_notes()), identity)
        else:
            lane.actor = identity
            if not lane.call(result, name, payload):
                self._send_anew(identity, result, name, payload, (), ())
        return ObjectRef(result)

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
        while (lane := self._lane(identity)) is not None:
            result.lane, lane.actor = lane, identity
            if lane.call(result, name, payload, parts, lent):
                return
        self._losses.never_connected(identity, result)

    def _send_in_turn(
        self, lane: Lane, result: PendingResult, name: str, payload: bytes, identity: ActorIdentity
    ) -> None:
        lane.actor = identity

        def send() -> None:
            lent = self._lend(result, kept_by(payload))
            if not lane.call(result, name, payload, (), lent):
                self._send_anew(identity, result, name, payload, (), lent)

        if lane.held.calls and lane.is_ordered:
            lane.held.add(HeldCall(result, set(), send))
        else:
            send()

    def call_again(  # noqa: PLR0917  # see the port
        self,
        identity: ActorIdentity,
        method: MethodDefinition,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        retries: int,
        retried: Retried,
    ) -> ObjectRef[Any]:
        """Sends a call that is sent again when its actor is restarted, or when it fails in one of these ways."""
        args, kwargs, refs = take_references(args, kwargs)
        payload = dump_arguments(args, kwargs, method)

        def send(result: RetriedResult) -> None:
            result.lane = lane = self._lane(identity)
            if lane is None:
                self._losses.never_connected(identity, result)
            else:
                self._send_with(lane, identity, result, method.name, payload, refs)

        result = RetriedResult(next(self._numbers), method, retries, retried, send)
        result.send()
        return ObjectRef(result)

    def _lend(self, result: PendingResult, kept: Mapping[str, Any]) -> tuple[Lent, ...]:
        """Lends the handles in what is about to be sent; takes them back should the call be lost."""
        if not kept:
            return ()
        lent = self.holdings.lend(kept)
        result.add_callback(lambda done: self.holdings.take_back(lent) if done.state == ERROR else None)
        return lent

    def _open(self, identity: ActorIdentity) -> Lane | None:
        """Connects the running context to an actor; returns None when nobody listens there any more."""
        self._check_session(identity)
        if identity.address in self._killed:
            return None
        context = self.contexts.of(running_loop())
        try:
            return context.open(identity.address, self._losses.explainer(identity), is_ordered=identity.is_ordered)
        except (FileNotFoundError, ConnectionRefusedError):
            return None

    def _lane(self, identity: ActorIdentity) -> Lane | None:
        lane = self.contexts.of(running_loop()).lanes.get(identity.address)
        return self._open(identity) if lane is None or lane.is_lost else lane

    def _check_session(self, identity: ActorIdentity) -> None:
        if identity.session != self.session:
            raise RaySystemError(
                f"the handle on {identity.definition.name} ({identity.actor_id}) belongs to another session "
                f"({identity.session}), which this process has left by shutdown() or a fork; create the actor again"
            )

    def _call_with_references(
        self,
        identity: ActorIdentity,
        method: MethodDefinition,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        name: str,
    ) -> ObjectRef[Any]:
        args, kwargs, refs = take_references(args, kwargs)
        lane = self._lane(identity)
        payload = dump_arguments(args, kwargs, method)
        result = PendingResult(next(self._numbers), lane, method)
        if lane is None:
            self._losses.never_connected(identity, result)
        else:
            self._send_with(lane, identity, result, name, payload, refs)
        return ObjectRef(result)

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
            kept = {**kept_by(payload), **{each: hold for part in parts for each, hold in kept_by(part).items()}}
            whole, sizes, lent = b"".join((payload, *parts)), tuple(map(len, parts)), self._lend(result, kept)
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

    def run_task(
        self, function: MethodDefinition, payload: bytes, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> ObjectRef[Any]:
        """Runs a function in the least busy worker."""
        return self._tasks.run(function, payload, args, kwargs)

    # --- results ------------------------------------------------------------------------------------------------

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        """Blocks for all values; the first error that is known is raised at once."""
        results = [result_of(ref) for ref in refs]
        # Lists, not generators: this runs for each of thousands.
        if False in [result.state != PENDING or result.is_done() for result in results]:
            self._block("get")
            if True not in [result.state > VALUE for result in results]:
                wait_until_done(self.contexts.pump, results, len(results), timeout, fails_fast=True)
        failed = next((result for result in results if result.state > VALUE), None)
        if failed is not None:
            for result in results:
                # One error stands for all: the others were asked for, too.
                result.note_read()
            failed.value()
        late = [result for result in results if result.state == PENDING]
        if late:
            others = f" and {len(late) - 1} other results" if len(late) > 1 else ""
            raise GetTimeoutError(
                f"{late[0].call}(){others} did not finish within {timeout} seconds; the work goes on, "
                "and the reference can be asked again"
            )
        return [result.value() for result in results]

    def wait(
        self, refs: Sequence[ObjectRef[Any]], num_returns: int, timeout: float | None
    ) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
        """Blocks for some results; an error counts as a result."""
        results = [result_of(ref) for ref in refs]
        if sum(result.is_done() for result in results) < num_returns:
            self._block("wait")
            wait_until_done(self.contexts.pump, results, num_returns, timeout, fails_fast=False)
        ready = [ref for ref, result in zip(refs, results, strict=True) if result.state != PENDING][:num_returns]
        chosen = set(map(id, ready))
        return ready, [ref for ref in refs if id(ref) not in chosen]

    def _block(self, function: str) -> None:
        if self._forbid_blocking is not None:
            self._forbid_blocking(function)

    def put(self, value: Any) -> ObjectRef[Any]:
        """Keeps a pickled copy."""
        result = PendingResult(next(self._numbers), None, "put")
        try:
            payload = pickled(value)
        except Exception as error:
            raise UnpicklableError(wire.explain(value, "value", "put")) from error
        result.complete(VALUE, payload)
        return ObjectRef(result)

    # --- references that travel ---------------------------------------------------------------------------------

    def borrow(self, *exported: Any) -> PendingResult:
        """Returns the result that another process exported; its own results when they come home."""
        return self._sharing.borrow(exported)

    # --- the end ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes every connection; whatever still waits ends with an error."""
        if self._contexts is not None:
            self._contexts.close()
        self._sharing.close()
        self.holdings.close()
        if self._node is not None:
            self._node.close()

    def abandon(self) -> None:
        """Closes this process's copies of the descriptors; in a forked child, where no thread of ours runs."""
        if self._contexts is not None:
            self._contexts.abandon()
        self._sharing.abandon()
        if self._node is not None:
            self._node.abandon()
