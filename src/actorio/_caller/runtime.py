"""The runtime of a process that calls actors: drivers and actors alike. Makes calls, keeps results, waits."""

from __future__ import annotations

import itertools
import threading
from contextlib import ExitStack, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from actorio._caller.arguments import dump_arguments, pickled, pickled_definition
from actorio._caller.calls import Calls
from actorio._caller.cancelling import Canceller
from actorio._caller.creation import SHARED_NAMESPACE, ActorMaker
from actorio._caller.forsaking import forsake
from actorio._caller.holdings import Holdings
from actorio._caller.ledger import is_value
from actorio._caller.loss import Losses
from actorio._caller.pending import HERE, PENDING, VALUE, PendingResult, result_of, results_of
from actorio._caller.sharing import Sharing, identify
from actorio._caller.tasks import Tasks
from actorio._caller.waiting import wait_until_done
from actorio._caller.waits import waiting_for
from actorio._caller.watching import complete_at_end, watch
from actorio._model.context import CURRENT_CALL, get_runtime_context
from actorio._model.errors import GetTimeoutError, ObjectStoreFullError, RaySystemError
from actorio._model.handle import ActorHandle, identity_of
from actorio._model.reference import ObjectRef
from actorio._model.status import ActorStatistics, Inventory
from actorio._model.streams import ObjectRefGenerator, Stream
from actorio._model.travel import files_of, kept_by
from actorio._store.store import Store
from actorio._store.values import abandon_store, close_store, dumps, open_store
from actorio._wire import payload as wire
from actorio._wire.messages import Inspect, Limit
from actorio._wire.payload import UnpicklableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from actorio._caller.creation import Home
    from actorio._caller.node import NodeClient
    from actorio._model.actor_options import ActorOptions
    from actorio._model.definition import ClassDefinition
    from actorio._model.event import ActorEvent
    from actorio._model.handle import ActorIdentity
    from actorio._model.runtime import Flow, Pending

_NOTHING = nullcontext()
# Pickles a value that waits for room.
_WAITING = partial(dumps, waits=True)


class CallerRuntime:
    """Implements `actorio._model.runtime.Runtime` over lanes.

    Args:
        home: where the actors live that this process makes.
        connect_node: returns this process's connection to the node; called when it is first needed.
        around_blocking: returns what each `get` and `wait` that would block runs in; raises when this thread must not.
    """

    def __init__(
        self,
        home: Home,
        connect_node: Callable[[], NodeClient],
        around_blocking: Callable[[str], AbstractContextManager[None]] | None = None,
    ) -> None:
        self.session = home.session
        open_store(lambda: Store(home.directory, _own_name))
        self._connect_node = connect_node
        self._node: NodeClient | None = None
        self._around_blocking = around_blocking
        self._numbers = itertools.count(1)
        # Guards what is made when first needed.
        self._lock = threading.Lock()
        self._losses = Losses(self.node)
        self._maker = ActorMaker(home, self.node)
        self._sharing = Sharing(home.directory, lambda: self.calls.contexts, self._losses, self._numbers)
        self.holdings = HERE.holdings = Holdings(self.node, self._sharing, self._see_to)
        self.calls = Calls(home.session, self._losses, self.holdings, self._numbers)
        self.tasks = Tasks(self.node, self.calls, self._maker, self._sharing.is_needed, self._numbers)
        self._canceller = Canceller(self.calls, self.tasks)
        HERE.cancel, HERE.forsake = self._canceller.cancel, forsake
        self.cancel_made_in = self._canceller.cancel_made_in
        # On the way of every call: as attributes they take a step less.
        self.call, self.call_in, self.run_task = self.calls.call, self.calls.call_in, self.tasks.run
        self.stream, self.stream_task = self.calls.stream, self.tasks.stream

    def settle(self, home: Home) -> None:
        """Becomes the runtime of the process that was forked from the one where it was made."""
        self._maker.home = home
        identify()

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
                    raise RaySystemError(f"the node of this session cannot be reached: {error}") from error
                self._node.holdings = lambda: [*self.holdings.repeated(), *self.tasks.repeated()]
                self._node.on_work = self.tasks.hear
                self._node.on_over = lambda: self.tasks.close("its session has ended")
            return self._node

    # --- actors -------------------------------------------------------------------------------------------------

    def pickle_definition(self, definition: object) -> bytes:
        """Returns a class or function as bytes; by value where other processes could not import it."""
        return pickled_definition(definition)

    def create(
        self,
        definition: ClassDefinition,
        class_payload: bytes,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: ActorOptions,
    ) -> ActorHandle:
        """Starts an actor: its socket listens when this returns, its process is on its way."""
        args, kwargs = self.calls.without_generators(args, kwargs, definition.constructor)
        arguments = self._constructor_arguments(args, kwargs, definition, options)
        held = kept_by(arguments) | kept_by(class_payload)
        identity, is_new = self._maker.make(definition, class_payload, arguments, options, held=tuple(held))
        if is_new:
            identity.hold = hold = self.holdings.made(identity.actor_id)
            # Values, until the actor has them, and as long as this process may see it restarted. Actors: see the node.
            hold.others = [kept for key, kept in held.items() if is_value(key)]
        return ActorHandle(identity)

    def _constructor_arguments(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], definition: ClassDefinition, options: ActorOptions
    ) -> bytes:
        """Returns the arguments as a payload, or a reference to them, where they are large."""
        is_restartable = options.max_restarts or options.membership is not None
        streams = [value for value in (*args, *kwargs.values()) if isinstance(value, Stream | ObjectRefGenerator)]
        if streams and is_restartable:
            raise ValueError(
                f"{definition.name} may be restarted, and a stream or generator among the arguments of its constructor "
                "can be taken only once: pass it to a method, or have the actor made with max_restarts=0"
            )
        if is_restartable or options.is_detached:
            # It may need them when this process has nothing of it any more.
            return dump_arguments(args, kwargs, definition.constructor, dumps=wire.dumps)
        payload = dump_arguments(args, kwargs, definition.constructor)
        if not files_of(payload):
            return payload
        result = PendingResult(next(self._numbers), None, f"{definition.name}.__init__")
        result.complete(VALUE, payload)
        return pickled(ObjectRef(result))

    def kill(self, identity: ActorIdentity, *, may_restart: bool) -> None:
        """Ends an actor at once; calls that this process makes later fail, though the signal is still on its way."""
        self.calls.check_session(identity)
        self.node().kill(identity.actor_id, may_restart=may_restart)
        if not may_restart:
            self.calls.killed.note(identity.address, True)
            if self.calls.existing_contexts is not None:
                self.calls.existing_contexts.sever(identity.address)

    def end(self, identity: ActorIdentity) -> None:
        """Ends an actor gracefully, for good."""
        self.calls.check_session(identity)
        self.node().end(identity.actor_id)

    def ended(self, identity: ActorIdentity) -> PendingResult:
        """Returns a result that is there, as None, when an actor is dead for good."""
        self.calls.check_session(identity)
        result = PendingResult(next(self._numbers), None, f"the end of {identity.definition.name}")
        complete_at_end(result, self.node(), identity.actor_id)
        return result

    def pending_of(self, identity: ActorIdentity) -> Sequence[PendingResult]:
        """Returns the results of this process's calls to an actor that have not ended; those of streams excepted."""
        return self.calls.pending_of(identity)

    def watch(self, identity: ActorIdentity) -> AsyncIterator[ActorEvent]:
        """Yields what happens to an actor, until it is dead."""
        self.calls.check_session(identity)
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
        if self.calls.existing_contexts is not None:
            self.calls.existing_contexts.see_to(address)

    # --- results ------------------------------------------------------------------------------------------------

    def get_one(self, ref: ObjectRef[Any]) -> Any:
        """Blocks for one value, the commonest case."""
        result = result_of(ref)
        if result.state == PENDING and not result.is_done():
            pump = self.calls.contexts.pump
            if self._around_blocking is None and CURRENT_CALL.get() is None:
                wait_until_done(pump, (result,), 1, None, fails_fast=True)
            else:
                with self.blocking("get"), waiting_for((result,)):
                    wait_until_done(pump, (result,), 1, None, fails_fast=True)
        return result.value()

    def get(
        self, refs: Sequence[ObjectRef[Any]], timeout: float | None, *, copy: bool = False, cancels: bool = False
    ) -> list[Any]:
        """Blocks for all values; the first error that is known is raised at once."""
        results = results_of(refs)
        # Lists, not generators, where all are looked at: this runs for each of thousands.
        if any(result.state == PENDING and not result.is_done() for result in results):
            with self.blocking("get"), _NOTHING if timeout is not None else waiting_for(results):
                if True not in [result.state > VALUE for result in results]:
                    wait_until_done(self.calls.contexts.pump, results, len(results), timeout, fails_fast=True)
        failed = next((result for result in results if result.state > VALUE), None)
        if failed is not None:
            for result in results:
                # One error stands for all: the others were asked for, too.
                result.note_read()
            failed.value()
        late = [result for result in results if result.state == PENDING]
        if late:
            others = f" and {len(late) - 1} other results" if len(late) > 1 else ""
            for result in late if cancels else ():
                self._canceller.cancel(result)
            fate = "it was cancelled" if cancels else "the work goes on, and the reference can be asked again"
            raise GetTimeoutError(f"{late[0].call}(){others} did not finish within {timeout} seconds; {fate}")
        return [result.value(copy=copy) for result in results]

    def wait(
        self, refs: Sequence[ObjectRef[Any]], num_returns: int, timeout: float | None
    ) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
        """Blocks for some results; an error counts as a result."""
        results = [result_of(ref) for ref in refs]
        if sum(result.is_done() for result in results) < num_returns:
            is_all = timeout is None and num_returns == len(results)
            with self.blocking("wait"), waiting_for(results) if is_all else _NOTHING:
                wait_until_done(self.calls.contexts.pump, results, num_returns, timeout, fails_fast=False)
        ready = [ref for ref, result in zip(refs, results, strict=True) if result.state != PENDING][:num_returns]
        chosen = set(map(id, ready))
        return ready, [ref for ref in refs if id(ref) not in chosen]

    def block(self, pending: Pending, function: str) -> None:
        """Blocks until a result is done."""
        if isinstance(pending, PendingResult):
            with self.blocking(function):
                wait_until_done(self.calls.contexts.pump, [pending], 1, None, fails_fast=False)

    def cancel(self, pending: Pending, *, is_forced: bool, is_recursive: bool) -> None:
        """Has the call behind a result end."""
        if not isinstance(pending, PendingResult):
            raise RaySystemError("this reference was made by another engine")
        self._canceller.cancel(pending, is_forced=is_forced, is_recursive=is_recursive)

    async def ready(self, identity: ActorIdentity) -> None:
        """Waits until this process may make another call to an actor."""
        await self.calls.gate.ready(identity)

    def set_concurrency(self, identity: ActorIdentity, limit: int, group: str) -> ObjectRef[None]:
        """Changes how many calls of an actor run at once."""
        return self.calls.ask(identity, "set_concurrency", lambda number: Limit(number, limit, group))

    def statistics(self, identity: ActorIdentity) -> ObjectRef[ActorStatistics]:
        """Asks how busy an actor is."""
        return self.calls.ask(identity, "statistics", lambda number: Inspect(number, "summary"))

    def blocking(self, function: str) -> AbstractContextManager[None]:
        """Returns what a wait of this thread runs in."""
        return _NOTHING if self._around_blocking is None else self._around_blocking(function)

    def put(self, value: Any) -> ObjectRef[Any]:
        """Keeps a pickled copy."""
        result = PendingResult(next(self._numbers), None, "put")
        try:
            payload = pickled(value, _WAITING)
        except ObjectStoreFullError:
            raise
        except Exception as error:
            raise UnpicklableError(wire.explain(value, "value", "put")) from error
        result.complete(VALUE, payload)
        return ObjectRef(result)

    # --- references that travel ---------------------------------------------------------------------------------

    def borrow(self, *exported: Any) -> PendingResult:
        """Returns the result that another process exported; its own results when they come home."""
        return self._sharing.borrow(exported)

    def subscribe(self, *exported: Any) -> Flow:
        """Goes on with the stream that another process has passed on."""
        return self._sharing.subscribe(exported)

    # --- the end ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes every connection; whatever still waits ends with an error."""
        with ExitStack() as rest:
            # Each is closed whatever becomes of the others.
            if self._node is not None:
                rest.callback(self._node.close)
            rest.callback(self.holdings.close)
            rest.callback(self._sharing.close)
            rest.callback(close_store)
            rest.callback(self.calls.close)
            self.tasks.close()

    def abandon(self) -> None:
        """Closes this process's copies of the descriptors; in a forked child, where no thread of ours runs."""
        if self.calls.existing_contexts is not None:
            self.calls.existing_contexts.abandon()
        self._sharing.abandon()
        abandon_store()
        if self._node is not None:
            self._node.abandon()


def _own_name() -> str:
    """Returns what to call this process where it is one of many."""
    actor = get_runtime_context().actor
    return "the driver" if actor is None else identity_of(actor).definition.name
