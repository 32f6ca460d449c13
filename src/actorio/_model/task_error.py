"""The error a caller gets when the code it called raised: from an exception to a record, and back to an exception.

`failure_of` runs where the exception was raised and makes a `TaskFailure` of it. `RayTaskError.from_failure` runs at
the caller and makes an exception of the record, of a class derived from both `RayTaskError` and the class of the cause:
`except ValueError` catches it, its attributes are the cause's, and its text is the remote traceback.
"""

import contextlib
import pickle
import traceback
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from actorio._model.base_error import RayError, TaskCancelledError
from actorio._model.dual import dual_class, native_new
from actorio._model.failure import FailureKind, TaskFailure

_Error = TypeVar("_Error", bound=RayError)

_REPR_LIMIT: Final = 200
_TEXT_LIMIT: Final = 100_000
_PACKAGE: Final = __file__.rpartition("_model")[0]
_FIRST_LINE: Final = "Traceback (most recent call last):\n"


class RayTaskError(RayError):
    """The method or function that was called raised an exception.

    Every attribute that is not this class's own is the cause's. `function_name`, `traceback_str`, `pid`, `actor_id` and
    `actor_repr` say where it was raised, unless the cause has attributes of those names.

    Attributes:
        cause: The exception as it was raised; None when it could not travel, and then the text says why.
    """

    __module__ = "actorio.exceptions"

    cause: BaseException | None

    def __init__(self, failure: TaskFailure, cause: BaseException | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self._actorio_failure = failure

    @classmethod
    def from_failure(cls, failure: TaskFailure, loads: Callable[[bytes], Any]) -> RayError:
        """Make the exception that a caller raises.

        Args:
            failure: What the callee sent.
            loads: Reads the pickled cause. What it raises becomes part of the text.

        Returns:
            An instance of both `RayTaskError` and the cause's class where that is possible. A plain `RayTaskError` when
            the cause is missing, is no `Exception`, is a `StopIteration` (which no coroutine can raise) or has a class
            that cannot be derived from. A `TaskCancelledError` when the call was cancelled.
        """
        if failure.kind == "cancelled":
            return TaskCancelledError(None, failure.describe())
        if failure.cause is None:
            return cls(failure)
        try:
            cause = loads(failure.cause)
        except Exception as why:
            return cls(_without_cause(failure, f"it could not be unpickled here: {type(why).__name__}: {why}"))
        if not isinstance(cause, BaseException):
            return cls(_without_cause(failure, f"an object of type {type(cause).__name__} came in its place"))
        return _joined(failure, cause.cause if isinstance(cause, RayTaskError) else cause)

    def __str__(self) -> str:
        return self._actorio_failure.describe()

    def __getattr__(self, name: str) -> Any:
        # Reached only for what neither this object nor its class has. Protocols such as copying, and the notes that
        # belong to the remote traceback, must not be answered by the cause.
        own = self.__dict__
        if not name.startswith("__") and "_actorio_failure" in own:
            cause = own.get("cause")
            if hasattr(cause, name):
                return getattr(cause, name)
            if name in _PLACE:
                return getattr(own["_actorio_failure"], _PLACE[name])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        failure = self._actorio_failure
        # The bytes that arrived are certain to travel again; the object that was made of them is not.
        cause = self.cause if failure.cause is None else None
        return _rebuilt, (failure, cause, self.__dict__.get("__notes__"))

    def __copy__(self) -> "RayTaskError":
        return _with_notes(_joined(self._actorio_failure, self.cause), self.__dict__.get("__notes__"))


_PLACE: Final = {
    "function_name": "callee",
    "traceback_str": "traceback_text",
    "pid": "pid",
    "actor_id": "actor_id",
    "actor_repr": "repr_text",
}


def failure_of(
    error: BaseException,
    *,
    callee: str,
    pid: int,
    dumps: Callable[[Any], bytes],
    actor_id: str = "",
    instance: object = None,
    explain: Callable[[Any, str, str], str] | None = None,
    kind: FailureKind = "error",
) -> TaskFailure:
    """Describe an exception for the caller. Runs in the process that raised it, and never raises an `Exception`.

    Args:
        error: What was raised. When it is a `RayTaskError` of a call made in turn, that call's own cause travels on and
            the text shows the chain.
        callee: What was called, `"Account.withdraw"`.
        pid: This process.
        dumps: Pickles the exception.
        actor_id: The actor's id in hex.
        instance: The actor's instance, for its `repr`.
        explain: Says why a value (second argument: what to call it; third: the call) cannot be pickled.
        kind: `"cancelled"` when the exception is only the end of a cancelled call.
    """
    cause, note = _pickled(error, callee, dumps, explain) if kind == "error" else (None, "")
    type_name, message = _identity(error)
    return TaskFailure(
        callee=callee,
        pid=pid,
        actor_id=actor_id,
        repr_text="" if instance is None else _bounded_repr(instance),
        traceback_text=_bounded(remote_traceback(error)),
        type_name=type_name,
        message=_bounded(message),
        cause=cause,
        kind=kind,
        note=note,
    )


def remote_traceback(error: BaseException) -> str:
    """Format an exception and its chain without the package's own frames and without the first line."""
    try:
        story = traceback.TracebackException.from_exception(error, compact=True)
        _drop_own_frames(story)
        return "".join(story.format()).removeprefix(_FIRST_LINE).rstrip("\n")
    except Exception:
        # Formatting calls the user's code (`__str__`, `__cause__` as a property); the class is always there.
        return type(error).__qualname__


def _drop_own_frames(story: traceback.TracebackException) -> None:
    story.stack[:] = [frame for frame in story.stack if not frame.filename.startswith(_PACKAGE)]
    for linked in (story.__cause__, story.__context__, *(story.exceptions or ())):
        if linked is not None:
            _drop_own_frames(linked)


def _pickled(
    error: BaseException,
    callee: str,
    dumps: Callable[[Any], bytes],
    explain: Callable[[Any, str, str], str] | None,
) -> tuple[bytes | None, str]:
    cause: BaseException | None = error
    if isinstance(error, RayTaskError):
        inner = _failure_behind(error)
        if inner.cause is not None or error.cause is None:
            return inner.cause, inner.note
        cause = error.cause
    try:
        return _dumped(cause, dumps), ""
    except Exception as why:
        if explain is not None:
            return None, explain(cause, "exception", callee)
        return None, f"it could not be pickled: {type(why).__name__}: {why}"


def _dumped(cause: BaseException | None, dumps: Callable[[Any], bytes]) -> bytes:
    data = dumps(cause)
    try:
        pickle.loads(data)
    except Exception:
        # The class wants other arguments than `args`, as many do: sent by what it holds instead.
        return dumps(_ByState(cause))
    return data


class _ByState:
    """Pickles an exception by class, `args` and attributes, and is unpickled as that exception."""

    def __init__(self, error: Any) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_state, (type(self._error), self._error.args, vars(self._error))


def _from_state(cls: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    error = cls.__new__(cls, *args)
    error.args = args
    vars(error).update(state)
    return error


def _failure_behind(error: RayTaskError) -> TaskFailure:
    failure: TaskFailure = vars(error)["_actorio_failure"]
    return failure


def _identity(error: BaseException) -> tuple[str, str]:
    if isinstance(error, RayTaskError):
        inner = _failure_behind(error)
        return inner.type_name, inner.message
    try:
        message = str(error)
    except Exception:
        message = "<str() of the exception failed>"
    return type(error).__qualname__, message


def _bounded(text: str) -> str:
    if len(text) <= _TEXT_LIMIT:
        return text
    half = _TEXT_LIMIT // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def _bounded_repr(instance: object) -> str:
    try:
        text = repr(instance)
    except Exception as why:
        return f"<{type(instance).__name__} whose repr raised {type(why).__name__}>"
    return text if len(text) <= _REPR_LIMIT else text[: _REPR_LIMIT - 3] + "..."


def _without_cause(failure: TaskFailure, note: str) -> TaskFailure:
    return msgspec.structs.replace(failure, cause=None, note=note)


def _joined(failure: TaskFailure, cause: BaseException | None) -> RayTaskError:
    """Make one exception of a failure and its cause, of both classes if that can be."""
    if isinstance(cause, Exception):
        dual = dual_class(RayTaskError, type(cause))
        if dual is not None:
            with contextlib.suppress(Exception):
                return _instance(dual, failure, cause)
    return RayTaskError(failure, cause)


def _instance(dual: type[RayTaskError], failure: TaskFailure, cause: BaseException) -> RayTaskError:
    # No constructor of the user's runs: it ran where the exception was raised. The attributes are copied because a
    # default on the class would otherwise hide what the instance has.
    args = (cause.message, cause.exceptions) if isinstance(cause, BaseExceptionGroup) else cause.args
    error: RayTaskError = native_new(type(cause))(dual, *args)
    error.__dict__.update((name, value) for name, value in vars(cause).items() if name != "__notes__")
    error.__dict__.update(cause=cause, _actorio_failure=failure)
    # Not `error.args = ...`: the cause's class may refuse assignments (a frozen dataclass does).
    object.__setattr__(error, "args", (cause,))
    return error


def _rebuilt(failure: TaskFailure, cause: BaseException | None, notes: list[str] | None) -> RayError:
    """Make the exception again from its pickle."""
    error = RayTaskError.from_failure(failure, pickle.loads) if cause is None else _joined(failure, cause)
    return _with_notes(error, notes)


def _with_notes(error: _Error, notes: list[str] | None) -> _Error:
    for note in notes or ():
        error.add_note(note)
    return error
