"""The port through which handles and references reach whatever runs them.

Handles and references sit at the bottom of the house, since everything pickles them; what makes calls, keeps
results and waits sits above. It installs itself here with `install`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from actorio._model.actor_options import ActorOptions, Manner
    from actorio._model.definition import ClassDefinition, MethodDefinition
    from actorio._model.event import ActorEvent
    from actorio._model.handle import ActorHandle, ActorIdentity
    from actorio._model.reference import ObjectRef
    from actorio._model.status import ActorStatistics, Inventory
    from actorio._model.task import Task


class Pending(Protocol):
    """What a reference asks of the pending result behind it."""

    @property
    def identity(self) -> bytes:
        """28 bytes, the same for every reference to this result in every process."""

    @property
    def origin(self) -> int:
        """Part of the identity, to hash by."""

    def is_done(self) -> bool:
        """Is there a value or an error?"""

    def value(self, *, copy: bool = False) -> Any:
        """Returns the value, a new one each time, or raises the error; see `actorio.get` for ``copy``. When done."""

    def wait_async(self, ref: ObjectRef[Any] | None = None) -> Generator[Any, None, Any]:
        """Waits on the running event loop; returns the value or raises the error. See `ObjectRef.__await__`."""

    def wait_done(self) -> Generator[Any, None, None]:
        """Waits on the running event loop until there is a value or an error, and looks at neither."""

    def outlast(self, timeout: float | None) -> bool:
        """Blocks until done while the session ends; returns whether it was within ``timeout`` seconds."""

    def future(self) -> concurrent.futures.Future[Any]:
        """Returns a future that gets the value or the error, whoever pumps the connection."""

    def add_loop_callback(self, callback: Callable[[], object], key: object) -> None:
        """Calls ``callback`` once, on the running event loop, when done."""

    def discard_loop_callbacks(self, key: object) -> int:
        """Forgets the callbacks that were added under an equal key; returns how many there were."""

    def export(self) -> tuple[Any, ...]:
        """Returns what another process needs to `Runtime.borrow` this result; its owner keeps it from now on."""


class Flow(Protocol):
    """What a stream asks of the call behind it."""

    @property
    def call(self) -> str:
        """What was called: ``"Account.changes"``."""

    @property
    def end(self) -> Pending:
        """Completes when the last item has come, with None or the error."""

    def next(self) -> Pending:
        """Returns what the next item will be, or is."""

    def is_end(self, pending: Pending, /) -> bool:
        """Is this, which is done, no item?"""

    def give_back(self, pending: Pending, /) -> None:
        """Nobody takes this: the item that it is, or was to be, is the next again."""

    def export(self) -> tuple[Any, ...]:
        """Returns what another process needs to `Runtime.subscribe` to the items."""

    def leave(self) -> None:
        """Nobody takes items any more. May be called wherever an object may die."""


class Runtime(Protocol):
    """What an engine provides to handles, references and the public functions."""

    def pickle_definition(self, definition: object) -> bytes:
        """Returns a class or function as bytes that any process of the session can load."""

    def create(
        self,
        definition: ClassDefinition,
        class_payload: bytes,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: ActorOptions,
    ) -> ActorHandle:
        """Starts an actor; returns its handle at once."""

    def call(
        self,
        identity: ActorIdentity,
        method: MethodDefinition,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        manner: Manner | None = None,
    ) -> ObjectRef[Any]:
        """Sends a call; returns its reference at once.

        Raises:
            PendingCallsLimitExceeded: this process has as many calls to the actor pending as it may.
        """

    def call_in(
        self,
        manner: Manner,
        identity: ActorIdentity,
        method: MethodDefinition,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> list[ObjectRef[Any]]:
        """Sends a call that brings several values, or may be made again; returns a reference for each value."""

    def run_task(self, task: Task, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[ObjectRef[Any]]:
        """Runs a function in a worker, again if that dies or the function fails so; see `call_in`.

        Raises:
            ValueError: it needs what the session does not have.
        """

    def stream(
        self,
        manner: Manner,
        identity: ActorIdentity,
        method: MethodDefinition,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> Flow:
        """Sends a call whose values stream."""

    def stream_task(self, task: Task, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Flow:
        """Runs a generator function in a worker; raises as `run_task` does."""

    def get_one(self, ref: ObjectRef[Any]) -> Any:
        """Blocks until a value is there; returns it."""

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None, *, copy: bool, cancels: bool) -> list[Any]:
        """Blocks until every value is there; returns them in order."""

    def wait(
        self, refs: Sequence[ObjectRef[Any]], num_returns: int, timeout: float | None
    ) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
        """Blocks until ``num_returns`` are done; returns the done and the others."""

    def block(self, pending: Pending, function: str) -> None:
        """Blocks until a result is done; ``function`` is what the user has called.

        Raises:
            RuntimeError: this thread must not wait.
        """

    def blocking(self, function: str) -> AbstractContextManager[None]:
        """Returns what a wait of this thread runs in.

        Raises:
            RuntimeError: this thread must not wait; ``function`` is what the user has called.
        """

    def cancel(self, pending: Pending, *, is_forced: bool, is_recursive: bool) -> None:
        """Has the call behind a result end; returns at once.

        Raises:
            ValueError: it is a method's, and ``is_forced``.
        """

    async def ready(self, identity: ActorIdentity) -> None:
        """Waits until this process may make another call to an actor."""

    def set_concurrency(self, identity: ActorIdentity, limit: int, group: str) -> ObjectRef[None]:
        """Changes how many calls of an actor run at once; the reference is done when it has heard."""

    def statistics(self, identity: ActorIdentity) -> ObjectRef[ActorStatistics]:
        """Asks how busy an actor is; no call that waits there holds up the answer."""

    def put(self, value: Any) -> ObjectRef[Any]:
        """Keeps a copy of a value; returns its reference."""

    def borrow(self, *exported: Any) -> Pending:
        """Returns the result that another process exported."""

    def subscribe(self, *exported: Any) -> Flow:
        """Goes on with the stream that another process exported."""

    def kill(self, identity: ActorIdentity, *, may_restart: bool) -> None:
        """Ends an actor at once."""

    def end(self, identity: ActorIdentity) -> None:
        """Ends an actor gracefully, for good."""

    def ended(self, identity: ActorIdentity) -> Pending:
        """Returns a result that is there, as None, when an actor is dead for good, or its session is over."""

    def pending_of(self, identity: ActorIdentity) -> Sequence[Pending]:
        """Returns the results of this process's calls to an actor that have not ended; those of streams excepted."""

    def watch(self, identity: ActorIdentity) -> AsyncIterator[ActorEvent]:
        """Yields what happens to an actor."""

    def get_actor(self, name: str, namespace: str | None) -> ActorHandle:
        """Returns a weak handle on the actor of this name."""

    def list_actors(self) -> Inventory:
        """Returns what there is in the session."""

    def find_hold(self, actor_id: str) -> object:
        """Returns what keeps an actor alive in this process, None when nothing does."""

    def handle_gone(self, identity: ActorIdentity) -> None:
        """A handle that kept its actor alive has gone; may be called wherever an object may die."""


class _Slot:
    """The runtime of this process, and what starts one when it is first needed."""

    runtime: Runtime | None = None
    starter: Callable[[], object] | None = None


SLOT = _Slot()


def install(runtime: Runtime | None) -> None:
    """Makes ``runtime`` the one of this process; None removes it."""
    SLOT.runtime = runtime


def on_first_use(starter: Callable[[], object]) -> None:
    """Registers what `current` calls when there is no runtime; it must install one."""
    SLOT.starter = starter


def installed() -> Runtime | None:
    """Returns the runtime of this process, None when there is none; starts nothing."""
    return SLOT.runtime


def find_hold(actor_id: str) -> object:
    """Returns what keeps an actor alive in this process, None when nothing does."""
    return None if SLOT.runtime is None else SLOT.runtime.find_hold(actor_id)


def handle_gone(identity: ActorIdentity) -> None:
    """A handle has gone that kept its actor alive."""
    if SLOT.runtime is not None:
        SLOT.runtime.handle_gone(identity)


def of_handles() -> Runtime:
    """Returns the runtime of this process for something that came from a session; starts nothing.

    Raises:
        RaySystemError: there is none, so the session has ended.
    """
    if SLOT.runtime is None:
        # Imported for this alone: `import actorio` loads this module, and should load little else.
        from actorio._model.errors import RaySystemError

        raise RaySystemError(
            "this handle or reference belongs to a session that this process has left, by shutdown() or a fork: "
            "call actorio.init() and create the actor again"
        )
    return SLOT.runtime


def current() -> Runtime:
    """Returns the runtime of this process; starts one on first use, as Ray does."""
    runtime = SLOT.runtime
    if runtime is not None:
        return runtime
    if SLOT.starter is None:
        raise AssertionError("the package registers a starter when it is imported")
    SLOT.starter()
    return current()
