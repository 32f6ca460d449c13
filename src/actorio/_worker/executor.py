"""The executor: the actor's instance, its methods, and how a call becomes a reply.

Methods are looked up on the class, as Ray does: an instance attribute of the same name does not hide them. Runs in
whichever thread the dispatcher chose.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sized
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from actorio._caller.pending import HERE
from actorio._model.argument import OWN, put_back
from actorio._model.context import CURRENT_CALL, get_runtime_context
from actorio._model.ends import WISH, ActorExit
from actorio._model.errors import GetTimeoutError, RaySystemError, TaskCancelledError
from actorio._model.failure import TaskFailure
from actorio._model.task_error import failure_of
from actorio._model.travel import NOTED, KeepingBytes, cut, files_of, framed, take_notes, with_files
from actorio._store import values
from actorio._wire import payload as wire
from actorio._wire.parts import pack
from actorio._worker.arriving import unpack
from actorio._worker.early import error_of, expiry
from actorio._worker.forks import PROCESS, leave_child
from actorio._worker.itself import send_as_handle

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorio._model.birth import Birth
    from actorio._model.certificate import DeathCause
    from actorio._model.definition import ClassDefinition
    from actorio._transport.serving import Connection
    from actorio._wire.messages import Inbound
    from actorio._worker.delivered import Delivered


class Method(NamedTuple):
    """How a method is called."""

    function: Callable[..., Any]
    takes_instance: bool
    is_async: bool
    is_interruptible: bool = False
    needs_thread: bool = False


# What a call that was cancelled ends with, and what one that is to end may end with besides: its calls end, too.
_CANCELLED = (asyncio.CancelledError, KeyboardInterrupt)
_ENDS = (*_CANCELLED, TaskCancelledError, GetTimeoutError, concurrent.futures.CancelledError)
# In the place of an answer, when there has been one.
_ANSWERED = b""

# A class of ours that runs other functions has a method of this name: it says what errors call a call.
_NAMES_CALLS = "__actorio_name_call__"


class ActorEndsError(BaseException):
    """Raised when a method has asked the actor's process to end.

    Attributes:
        code: the exit code.
        cause: what the node is told, so that it does not restart the actor; None where the exit code says enough.
    """

    def __init__(self, code: int, cause: DeathCause | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.cause = cause

    @property
    def lets_others_finish(self) -> bool:
        """May calls that run beside the one that asks come to their end? `sys.exit` means now."""
        return self.cause in {"exit_actor", "terminated"}


class StopRequestedError(BaseException):
    """Raised in the main thread of a threaded actor, wherever it is, when SIGTERM has come."""


class Executor:
    """Runs the calls of one actor.

    Args:
        birth: what the actor is. The class is loaded here, in the actor's process.
    """

    def __init__(self, birth: Birth) -> None:
        self._birth = birth
        self._class: type = wire.loads(birth.class_payload)
        self.definition: ClassDefinition = wire.loads(birth.definition)
        # What spans say of whose method it is; a task is nobody's.
        self._service = None if hasattr(self._class, _NAMES_CALLS) else self.definition.name
        self._methods: dict[str, Method] = {
            "__ray_ready__": Method(lambda: True, takes_instance=False, is_async=False),
            "__ray_call__": Method(_call_with_instance, takes_instance=True, is_async=False),
            "__ray_terminate__": Method(_terminate, takes_instance=False, is_async=False),
        }
        self.instance: Any = None

    # --- the constructor ----------------------------------------------------------------------------------------

    def arguments(self) -> Any:
        """Returns the constructor's positional and keyword arguments, or a reference to both, where they are large.

        References among them are not resolved yet.
        """
        # What arrived is held until the handles in it are there and hold it themselves.
        held = self._birth.held
        arrived = HERE.holdings.arrived((actor_id, 0) for actor_id in held) if held else None
        found = wire.loads(self._birth.arguments)
        del arrived
        return found

    def construct(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Makes the instance; raises what the constructor raises."""
        self.instance = self._class(*args, **kwargs)
        OWN.instance, OWN.handle = self.instance, get_runtime_context().actor
        send_as_handle(type(self.instance))
        if WISH.is_exiting:
            # What that raised was caught.
            raise ActorExit

    @property
    def actor_id(self) -> str:
        """The actor's id."""
        return self._birth.actor_id

    def is_reentrant(self, name: str) -> bool:
        """May a call of this method run while another one of its chain waits, beyond what may run at once?"""
        definition = self.definition.methods.get(name)
        return definition is not None and bool(definition.options.get("reentrant"))

    # --- calls --------------------------------------------------------------------------------------------------

    def _find(self, name: str) -> Method:
        definition = self.definition.methods.get(name)
        if definition is None:
            raise AttributeError(f"{self.definition.name!r} has no method {name!r}")
        found = Method(
            getattr(self._class, name),
            definition.binding == "instance",
            definition.is_async,
            bool(definition.options.get("interruptible")),
            self.definition.is_async and bool(definition.options.get("thread")),
        )
        self._methods[name] = found
        return found

    def prepare(self, call: Delivered) -> tuple[Method, tuple[Any, ...], dict[str, Any]]:
        """Returns the method and its arguments, the instance among them.

        Raises:
            AttributeError: the class has no such method.
            CancelledError: it is to end, and has not begun.
            RaySystemError: what it has brought of a context cannot be read here.
            Exception: whatever unpickling the arguments raises.
        """
        request, payload = call.request, call.payload
        CURRENT_CALL.set(call)
        if request.way is not None and 0 < request.way.deadline <= monotonic() and call.reason is None:
            call.reason, call.words = "expired", expiry(call, self.name_of(call))
        if call.reason is not None:
            raise asyncio.CancelledError
        call.has_begun, call.runner = True, get_ident()
        if call.reason is not None:
            # Now: whoever gave the reason may have seen that it had not begun.
            raise asyncio.CancelledError
        if request.way is not None:
            unpack(call, request.way, self._service)
        arrived = HERE.holdings.arrived(request.lent) if request.lent else None
        method = self._methods.get(request.method) or self._find(request.method)
        if request.parts:
            payload, *parts = cut(payload, (len(payload) - sum(request.parts), *request.parts))
            args, kwargs = values.loads(payload)
            args, kwargs = put_back(args, kwargs, parts, values.loads)
        else:
            args, kwargs = (wire.loads if payload else values.loads)(payload)
        del arrived
        return method, ((self.instance, *args) if method.takes_instance else args), kwargs

    def reply(self, call: Delivered, value: Any) -> bytes:  # noqa: C901  # after each call: calls little
        """Returns the frame that answers a call with a value, or says why the value cannot be sent.

        Raises:
            ActorEndsError: the method has called `exit_actor`, and caught what that raised.

        Nothing ("") when the call has been answered already.
        """
        if PROCESS.is_child:
            leave_child(self.name_of(call))
        if WISH.is_exiting and WISH.call is call:
            raise ActorEndsError(0, "exit_actor")
        if call.reason is not None:
            # It may have caught what was to end it.
            return self.refuse(call, asyncio.CancelledError())
        connection, request = call.connection, call.request
        if request.returns > 1:
            try:
                value = self._values(call, value)
            except BaseException as error:  # a generator of the user's runs here
                return self.refuse(call, error)
        try:
            if request.returns > 1:
                payload = _packed([values.dumps(each) for each in value])
            else:
                payload = wire.NONE if value is None or not request.returns else values.dumps(value)
        except Exception:
            # User code pickles: whatever it raises, the caller must know, in words that name the culprit.
            take_notes()
            return self.refuse(call, wire.UnpicklableError(wire.explain(value, "result", self.name_of(call))))
        lent = () if NOTED.actors is None else HERE.holdings.lend_on(connection, take_notes())
        if call.span is not None:
            call.span.end(None)
        try:
            if payload.__class__ is not KeepingBytes:
                return connection.peer.result(request.id, payload, lent)
            return framed(connection.peer.result, request.id, payload, lent)
        except KeyError:
            return _ANSWERED

    def _values(self, call: Delivered, value: Any) -> list[Any]:
        """Returns the values of a call with ``num_returns``.

        Raises:
            ValueError: there are more or fewer.
        """
        wanted, method = call.request.returns, self.name_of(call)
        if not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping):
            what = f"returned {type(value).__name__}, which is not taken apart"
            raise ValueError(f"{method}() {what}, but num_returns={wanted}: return a tuple or a list")  # noqa: TRY004
        found = list(itertools.islice(value, wanted + 1))
        if len(found) != wanted:
            count = len(value) if isinstance(value, Sized) else "more" if len(found) > wanted else len(found)
            raise ValueError(f"{method}() returned {count} values, but num_returns={wanted}")
        return found

    def items_of(self, call: Delivered, value: Any) -> Any:
        """Returns the iterator that a method has returned whose values stream.

        Raises:
            ValueError: it has returned something else.
        """
        if isinstance(value, Iterator | AsyncIterator):
            return value
        what = f"{self.name_of(call)}() returned {type(value).__name__}, which is no generator"
        raise ValueError(f"{what}, but was called for a stream: write `yield` in it, or call it with a plain .remote()")

    def item(self, call: Delivered, value: Any) -> tuple[bytes, int]:
        """Returns the frame with the next item of a stream, and how many bytes the item takes.

        Raises:
            UnpicklableError: the item cannot be sent; the text says why.
        """
        connection, request = call.connection, call.request
        try:
            payload = values.dumps(value)
        except Exception as error:
            take_notes()
            raise wire.UnpicklableError(wire.explain(value, "item", self.name_of(call))) from error
        lent = () if NOTED.actors is None else HERE.holdings.lend_on(connection, take_notes())
        return framed(connection.peer.item, request.id, payload, lent), values.size_of(payload)

    def refuse(self, call: Delivered, error: BaseException) -> bytes:
        """Returns the frame that answers a call with an error; "" when it has been answered already.

        Raises:
            ActorEndsError: the error ends the actor; there is no answer then.
            StopRequestedError: it is one.
        """
        if PROCESS.is_child:
            leave_child(self.name_of(call))
        if call.span is not None:
            call.span.end(error)
        # By its type: an exception may raise at any question about itself.
        if issubclass(type(error), ActorEndsError | StopRequestedError):
            raise error
        if WISH.is_exiting and WISH.call is call:
            raise ActorEndsError(0, "exit_actor") from error
        # By its type: an exception may raise at any question about itself.
        if issubclass(type(error), SystemExit):
            raise ends_by(error) from error  # type: ignore[arg-type]
        connection, request = call.connection, call.request
        try:
            early = error_of(call, self.name_of(call)) if call.reason is not None and _is_end(error) else None
            failure = None if early is not None else self._describe(call, error)
        except StopRequestedError:
            # SIGTERM has come while the exception was looked at.
            raise
        except BaseException:
            # The exception resists being looked at; its caller gets an answer all the same.
            name = type(error).__qualname__
            text = f"{name}: (the exception could not be described: looking at it raises)"
            failure = TaskFailure(request.method, os.getpid(), self._birth.actor_id, "", text, name, text)
        try:
            if failure is not None:
                return connection.peer.failure(request.id, failure.encode())
            return connection.peer.failure(request.id, early or b"", is_pickled_error=True)
        except KeyError:
            return _ANSWERED

    def _describe(self, call: Delivered, error: BaseException) -> TaskFailure:
        is_cancelled = isinstance(error, _CANCELLED)
        return failure_of(
            error,
            callee=self.name_of(call),
            pid=os.getpid(),
            dumps=wire.dumps,
            actor_id=self._birth.actor_id,
            instance=None if hasattr(self.instance, _NAMES_CALLS) else self.instance,
            explain=wire.explain,
            kind="cancelled" if is_cancelled else "error",
        )

    def name_of(self, call: Delivered) -> str:
        """Returns what errors call a call: ``"Account.deposit"``."""
        request, payload = call.request, call.payload
        name_call = getattr(self.instance, _NAMES_CALLS, None)
        if name_call is None or not (payload or files_of(payload)):
            # Its thread lets go of what a call brought while others may still ask for its name.
            return f"{self.definition.name}.{request.method}"
        try:
            payload = cut(payload, (len(payload) - sum(request.parts),))[0]
            args, kwargs = values.loads(payload)
            return str(name_call(*args, **kwargs))
        except Exception:
            # Arguments may resist being unpickled, and whoever asks for a name has other calls to see to.
            return call.title or "task"


def _is_end(error: BaseException) -> bool:
    # By its type: an exception may raise at any question about itself.
    return issubclass(type(error), _ENDS)


def decline(connection: Connection, request: Inbound) -> None:
    """Answers a request that is no call: an actor does nothing else."""
    error = wire.dumps(RaySystemError(f"an actor does not answer {type(request).__name__}"))
    connection.reply_now(connection.peer.failure(request.id, error, is_pickled_error=True))


def ends_by(error: SystemExit) -> ActorEndsError:
    """Returns the end that a SystemExit asks for. Exit code 0 is no failure, and nothing to restart after."""
    if isinstance(error, ActorExit):
        return ActorEndsError(0, "exit_actor")
    code = exit_code(error)
    return ActorEndsError(code, None if code else "exit")


def _terminate() -> None:
    raise ActorEndsError(0, "terminated")


def exit_code(error: SystemExit) -> int:
    """Returns the exit code that the interpreter would end with; prints what it would print."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code
    sys.stderr.write(f"{error.code}\n")
    return 1


def _call_with_instance(instance: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(instance, *args, **kwargs)


def _packed(payloads: list[bytes]) -> bytes:
    files = tuple(file for each in payloads for file in files_of(each))
    return with_files(pack([bytes(each) for each in payloads]), files)
