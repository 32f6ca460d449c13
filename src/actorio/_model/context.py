"""`get_runtime_context`: who runs this code."""

from __future__ import annotations

import contextlib
import contextvars
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorio._model.handle import ActorHandle


class RunningCall(Protocol):
    """What is known of a call that runs in this process.

    Attributes:
        connection: the connection that it came on.
        request: its header.
        reason: why it is to end early; None when it is not.
        has_ended: its method has; what it has started may go on.
        onward: what the calls that it makes take along, once it has made one.
        task: what runs it on the loop of an async actor.
        runner: the thread that runs it.
        waits: what it waits for now, by whoever waits in it.
        title: what it runs, where its method says nothing of that: a task's function; "" otherwise.
        on_cancel: what is called, in the mailbox's thread, when it is to end early.
    """

    connection: Any
    request: Any
    has_ended: bool
    task: Any
    runner: int
    onward: Any
    waits: dict[object, Any] | None
    on_cancel: Callable[[], object] | None

    @property
    def title(self) -> str: ...

    @property
    def reason(self) -> str | None: ...

    def entitle(self, title: str) -> None: ...


CURRENT_CALL: contextvars.ContextVar[RunningCall | None] = contextvars.ContextVar("actorio_call", default=None)
"""The call that runs in this task or thread."""


def id_of(call: RunningCall) -> str:
    """Returns the id of a call that runs in this process."""
    return f"{os.getpid():08x}{id(call.connection):016x}{call.request.id:016x}"


@dataclass(frozen=True, slots=True)
class RuntimeContext:
    """Who runs the calling code: a driver, or an actor.

    Attributes:
        session: the session's name; "" when there is none.
        namespace: where the names of this process's actors are unique; "" when there is no session.
        actor: the actor's own handle inside an actor, None in a driver.
        actor_id: the actor's id, None in a driver.
        gpus: the ids of the GPUs that this process has been given.
    """

    session: str = ""
    actor: ActorHandle | None = None
    actor_id: str | None = None
    namespace: str = ""
    gpus: tuple[str, ...] = ()

    @property
    def current_actor(self) -> ActorHandle:
        """The handle of the actor that runs this code.

        Raises:
            RuntimeError: this is not an actor.
        """
        if self.actor is None:
            raise RuntimeError("current_actor is known inside an actor only; this process is a driver")
        return self.actor

    @property
    def exit_stack(self) -> contextlib.AsyncExitStack:
        """What this actor has to undo when it ends: ``enter_context(...)``, ``await enter_async_context(...)``.

        Unwound after the clean-up hook ``__ray_shutdown__`` on every graceful end, in the reverse order; on the loop
        of an async actor, and otherwise in the thread that ends the actor.

        Raises:
            RuntimeError: this is not an actor.
        """
        if self.actor_id is None:
            raise RuntimeError("exit_stack belongs to an actor; this process is a driver: use contextlib.ExitStack")
        if _Slot.exit_stack is None:
            _Slot.exit_stack = contextlib.AsyncExitStack()
        return _Slot.exit_stack

    def get_actor_id(self) -> str | None:
        """Returns the id of the actor that runs this code, as in its handle's repr; None in a driver."""
        return self.actor_id

    def get_task_id(self) -> str | None:
        """Returns the id of the call that runs this code, None outside a call. It differs from call to call."""
        call = CURRENT_CALL.get()
        return None if call is None else id_of(call)

    def is_cancelled(self) -> bool:
        """Is the call that runs this code to end early: was it cancelled, is its time up, is its caller gone?

        For methods that run in threads, and for tasks, to look at now and then; False outside a call.
        """
        call = CURRENT_CALL.get()
        return call is not None and call.reason is not None

    is_canceled = is_cancelled

    def remaining_time(self) -> float | None:
        """Returns how many seconds the call that runs this code has left, 0 when its time is up; None: any number."""
        call = CURRENT_CALL.get()
        way = None if call is None or call.has_ended else call.request.way
        return max(0.0, way.deadline - time.monotonic()) if way is not None and way.deadline else None

    def get_trace_headers(self) -> dict[str, str]:
        """Returns the headers of W3C's Trace Context that a call made here takes along; {} when there are none.

        In a method they are what its call has brought: ``{"traceparent": "00-...", "tracestate": "..."}``, the second
        one only if it is not empty. Hand them on with requests to other services.
        """
        # Whoever asks has marked something; most never do.
        from actorio._model.propagation import trace_here

        return {name: value for name, value in zip(("traceparent", "tracestate"), trace_here(), strict=True) if value}

    def get_job_id(self) -> str:
        """Returns the session's name: a session is what Ray calls a job."""
        return self.session

    def get_node_id(self) -> str:
        """Returns the session's name: there is one node per session."""
        return self.session

    def get_accelerator_ids(self) -> dict[str, list[str]]:
        """Returns the ids of the GPUs that this actor or task has been given: ``{"GPU": ["0"]}``."""
        return {"GPU": list(self.gpus)}

    def get_worker_id(self) -> str:
        """Returns this process's id as text."""
        return str(os.getpid())


class _Slot:
    """The context of this process."""

    value = RuntimeContext()
    exit_stack: contextlib.AsyncExitStack | None = None


def install(context: RuntimeContext) -> None:
    """Makes ``context`` the one of this process."""
    _Slot.value = context


def opened_exit_stack() -> contextlib.AsyncExitStack | None:
    """Returns the actor's exit stack, None when nobody has asked for it."""
    return _Slot.exit_stack


def get_runtime_context() -> RuntimeContext:
    """Returns who runs the calling code. Works anywhere, starts nothing."""
    return _Slot.value
