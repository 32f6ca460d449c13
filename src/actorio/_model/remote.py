"""`remote`, `method`, and the classes and functions that they make callable from afar."""

from __future__ import annotations

import inspect
from dataclasses import replace
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, overload

from actorio._model import runtime
from actorio._model.actor_options import (
    ACTOR_OPTIONS,
    DEFAULT_WINDOW,
    METHOD_OPTIONS,
    TASK_OPTIONS,
    ActorOptions,
    Manner,
    check_stream,
)
from actorio._model.definition import ClassDefinition, MethodDefinition, is_generator
from actorio._model.errors import ActorClassInheritanceException
from actorio._model.options import validate, with_defaults
from actorio._model.resources import needs_of
from actorio._model.scope import ActorScope, check_scope
from actorio._model.streams import ObjectRefGenerator, Stream
from actorio._model.task import Task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
    from typing import Concatenate, ParamSpec, Unpack

    from actorio._model import typed
    from actorio._model.handle import ActorHandle
    from actorio._model.keywords import EveryKeyword, MethodKeywords, TaskKeywords
    from actorio._model.reference import ObjectRef
    from actorio._model.runtime import Runtime
    from actorio._model.supervision import Membership

    P = ParamSpec("P")
    C = TypeVar("C", bound=type)
    T = TypeVar("T")


class ActorClass:
    """A class whose instances are actors: ``.remote(...)`` starts one, ``.options(...)`` changes how.

    What `remote` returns for a class. It cannot be called or inherited from; inherit from the plain class.
    """

    __class_getitem__ = classmethod(GenericAlias)  # type: ignore[var-annotated]  # for annotations: see `typed`

    def __init__(self, cls: type, options: Mapping[str, Any]) -> None:
        self._cls = cls
        self._options = dict(options)
        self._definition: ClassDefinition | None = None
        self._payload: bytes | None = None
        self._membership: Membership | None = None
        self.__name__ = cls.__name__
        self.__qualname__ = cls.__qualname__
        self.__module__ = cls.__module__
        self.__doc__ = cls.__doc__

    def remote(self, /, *args: Any, **kwargs: Any) -> ActorHandle:
        """Starts an actor; returns its handle at once. Its constructor runs in the actor's own process.

        A constructor that raises makes every call on the handle raise `ActorDiedError` with its traceback.

        Raises:
            TypeError: the arguments do not fit the constructor, or the class or an argument cannot be pickled.
            RaySystemError: the session has ended.
        """
        definition = self._definition
        if definition is None:
            # Not in __init__: when unpickled, the class behind it may still be without its methods.
            definition = self._definition = ClassDefinition.of(self._cls)
        definition.constructor.check(args, kwargs)
        current = runtime.current()
        options = ActorOptions.of(self._options)
        if self._membership is not None:
            options = replace(options, membership=self._membership)
        if self._payload is None:
            self._payload = current.pickle_definition(self._cls)
        return current.create(definition, self._payload, args, kwargs, options)

    def scope(self, /, *args: Any, **kwargs: Any) -> ActorScope:
        """Returns a block that has an actor of its own: ``async with Class.scope(...) as handle:``, or plain ``with``.

        The actor is started where the block begins, as by `remote`, and has ended for good when the block has. At the
        end of the block those of its calls are waited for that this process has made and that have not ended; then
        the actor ends gracefully: its ``__ray_shutdown__`` runs. A block that is left by an exception, or cancelled,
        waits for no call: they are cancelled, and the actor has a second to end gracefully, then it is killed. The
        exception goes on.

        Streams are not waited for: take their items in the block. Should the actor die in the block, calls say so, and
        the end of the block has nothing to do.

        Raises:
            ValueError: with ``lifetime="detached"`` or ``get_if_exists=True``, the actor would not be the block's own.
            RuntimeError: ``with`` on the event loop of an async actor, or a second block.
        """
        check_scope(self._options, f"{self.__name__}.scope()")
        return ActorScope(lambda: self.remote(*args, **kwargs))

    def options(self, **options: Any) -> ActorClass:
        """Returns this class with other options; those not named stay as they were.

        Raises:
            ValueError: an unknown option or a value out of range.
            TypeError: a value of the wrong type.
        """
        given = validate(ACTOR_OPTIONS, options, f"{self.__name__}.options()")
        return self._changed({**self._options, **given}, self._membership)

    def supervised(self, membership: Membership) -> ActorClass:
        """Returns this class with a place in a supervised group; for `actorio.util.Supervisor`."""
        return self._changed(self._options, membership)

    def _changed(self, options: Mapping[str, Any], membership: Membership | None) -> ActorClass:
        changed = ActorClass(self._cls, options)
        changed._definition, changed._payload, changed._membership = self._definition, self._payload, membership
        return changed

    def __call__(self, /, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raises TypeError: instances live in processes of their own.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            f"{self.__name__}() would make an object here: write {self.__name__}.remote(...) to start an actor"
        )

    def __mro_entries__(self, _bases: tuple[Any, ...]) -> NoReturn:
        raise ActorClassInheritanceException(
            f"cannot inherit from the actor class {self.__name__!r}: inherit from the plain class, "
            "and decorate the subclass with @actorio.remote"
        )

    def __repr__(self) -> str:
        return f"ActorClass({self.__name__})"

    def __reduce__(self) -> tuple[type[ActorClass], tuple[Any, ...]]:
        return ActorClass, (self._cls, self._options)


class RemoteFunction:
    """A function whose calls run in worker processes: ``.remote(...)``. What `remote` returns for a function."""

    __class_getitem__ = classmethod(GenericAlias)  # type: ignore[var-annotated]  # for annotations: see `typed`

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self._function = function
        self._options = dict(options)
        chosen = with_defaults(TASK_OPTIONS, options)
        self._needs = needs_of(chosen, is_async=inspect.iscoroutinefunction(function))
        self._manner = Manner.of(
            chosen,
            retries=chosen["max_retries"],
            retried=chosen["retry_exceptions"],
            is_generator=is_generator(function),
        )
        self._definition: MethodDefinition | None = None
        self._payload: bytes | None = None
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        self.__module__ = function.__module__
        self.__doc__ = function.__doc__

    def remote(self, /, *args: Any, **kwargs: Any) -> ObjectRef[Any]:
        """Runs the function in a worker; returns the reference of its result at once.

        With ``num_returns=n``, a list of references, one for each of the ``n`` values that it returns; with 0, None.

        ``async def`` functions run too, on an event loop of their own.

        Raises:
            TypeError: the arguments do not fit the signature, or something cannot be pickled.
            RaySystemError: the session has ended.
        """
        current, task = self._prepare(args, kwargs)
        if self._manner.window:
            return ObjectRefGenerator(current.stream_task(task, args, kwargs))  # type: ignore[return-value]  # as below
        refs = current.run_task(task, args, kwargs)
        return self._manner.given(refs)  # type: ignore[no-any-return]  # as the options say

    def stream(self, /, *args: Any, **kwargs: Any) -> Stream[Any]:
        """Runs a generator function in a worker; returns its values as they come: see `ActorMethod.stream`."""
        check_stream(self._options, lambda: f"{self.__name__}.stream()")
        current, task = self._prepare(args, kwargs)
        manner = self._manner._replace(window=self._options.get("window", DEFAULT_WINDOW))
        return Stream(current.stream_task(task._replace(manner=manner), args, kwargs))

    def _prepare(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Runtime, Task]:
        definition = self._definition
        if definition is None:
            definition = self._definition = MethodDefinition.of_function(self._function)
        definition.check(args, kwargs)
        current = runtime.current()
        if self._payload is None:
            self._payload = current.pickle_definition(self._function)
        return current, Task(definition, self._payload, self._manner, self._needs)

    def options(self, **options: Any) -> RemoteFunction:
        """Returns this function with other options.

        Raises:
            ValueError: an unknown option or a value out of range.
            TypeError: a value of the wrong type.
        """
        given = validate(TASK_OPTIONS, options, f"{self.__name__}.options()")
        changed = RemoteFunction(self._function, {**self._options, **given})
        changed._definition, changed._payload = self._definition, self._payload
        return changed

    def __call__(self, /, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raises TypeError: the function runs in a worker.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"{self.__name__}() is a remote function: write {self.__name__}.remote(...)")

    def __repr__(self) -> str:
        return f"RemoteFunction({self.__name__})"

    def __reduce__(self) -> tuple[type[RemoteFunction], tuple[Any, ...]]:
        return RemoteFunction, (self._function, self._options)


@overload
def remote(target: C, /) -> type[typed.Actor[C]]: ...  # type: ignore[overload-overlap]  # a class is a callable, too
@overload
def remote(target: Callable[P, Coroutine[Any, Any, T]], /) -> typed.RemoteFunction[P, ObjectRef[T]]: ...
@overload
def remote(  # type: ignore[overload-overlap]
    target: Callable[P, Iterator[T] | AsyncIterator[T]], /
) -> typed.RemoteFunction[P, ObjectRefGenerator[T]]: ...
@overload
def remote(target: Callable[P, T], /) -> typed.RemoteFunction[P, ObjectRef[T]]: ...
@overload
def remote(*, num_returns: None = None, **options: Unpack[EveryKeyword]) -> typed.Decorator: ...
@overload
def remote(
    *, num_returns: Literal["streaming"], **options: Unpack[TaskKeywords]
) -> typed.FunctionDecorator[ObjectRefGenerator[Any]]: ...
@overload
def remote(*, num_returns: Literal[0], **options: Unpack[TaskKeywords]) -> typed.FunctionDecorator[None]: ...  # type: ignore[overload-overlap]
@overload
def remote(*, num_returns: Literal[1], **options: Unpack[TaskKeywords]) -> typed.Decorator: ...  # type: ignore[overload-overlap]
@overload
def remote(*, num_returns: int, **options: Unpack[TaskKeywords]) -> typed.FunctionDecorator[list[ObjectRef[Any]]]: ...
def remote(*args: Any, **options: Any) -> Any:
    """Makes a class an actor class, or a function a remote function. Use it bare, with options, or as a call.

    ``@remote``, ``@remote(max_concurrency=2)``, ``remote(Class)``. Works on classes and functions of any module, of
    ``__main__``, of a notebook cell and of a REPL; no ``if __name__ == "__main__"`` guard is needed.

    Returns:
        An `ActorClass` or a `RemoteFunction`; with options, a decorator that returns one.

    Raises:
        TypeError: not a class or function, or an option of the wrong type.
        ValueError: an unknown option or a value out of range.
    """
    if args and (options or len(args) > 1):
        raise TypeError("remote() takes either one class or function, or options by keyword")
    if args:
        return _make(args[0], {})
    if not options:
        raise TypeError("@remote() without options: write @remote")
    return lambda target: _make(target, options)


@overload
def method(function: classmethod[Any, P, T], /) -> typed.Marked[P, T, ObjectRef[T]]: ...
@overload
def method(
    function: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]], /
) -> typed.Marked[P, Coroutine[Any, Any, T], ObjectRef[T]]: ...
@overload
def method(  # type: ignore[overload-overlap]  # a generator is a value, too
    function: Callable[Concatenate[Any, P], Iterator[T]], /
) -> typed.Marked[P, Iterator[T], ObjectRefGenerator[T]]: ...
@overload
def method(  # type: ignore[overload-overlap]
    function: Callable[Concatenate[Any, P], AsyncIterator[T]], /
) -> typed.Marked[P, AsyncIterator[T], ObjectRefGenerator[T]]: ...
@overload
def method(function: Callable[Concatenate[Any, P], T], /) -> typed.Marked[P, T, ObjectRef[T]]: ...
@overload
def method(*, num_returns: None = None, **options: Unpack[MethodKeywords]) -> typed.Mark: ...
@overload
def method(
    *, num_returns: Literal["streaming"], **options: Unpack[MethodKeywords]
) -> typed.MarkOfResults[ObjectRefGenerator[Any]]: ...
@overload
def method(*, num_returns: Literal[0], **options: Unpack[MethodKeywords]) -> typed.MarkOfResults[None]: ...  # type: ignore[overload-overlap]
@overload
def method(*, num_returns: Literal[1], **options: Unpack[MethodKeywords]) -> typed.Mark: ...  # type: ignore[overload-overlap]
@overload
def method(*, num_returns: int, **options: Unpack[MethodKeywords]) -> typed.MarkOfResults[list[ObjectRef[Any]]]: ...
def method(*args: Any, **options: Any) -> Any:
    """Marks a method of an actor class with options for all its calls.

    Without options, ``@method``, it changes nothing, and tells type checkers what `methods_of` gives.

    Raises:
        ValueError: no option, an unknown one, or a value out of range.
        TypeError: a value of the wrong type, or not a method.
    """
    if args and (options or len(args) > 1):
        raise TypeError("method() takes either one method, or options by keyword")
    if args:
        return _method(args[0])
    if not options:
        raise ValueError("@method() needs at least one option: write @method to mark a method without any")
    given = validate(METHOD_OPTIONS, options, "@method()")

    def mark(function: Any) -> Any:
        _method(function).__actorio_method_options__ = given
        return function

    return mark


def _method(function: Any) -> Any:
    """Returns what is to be marked, if it can be."""
    if not callable(function) and not isinstance(function, classmethod):
        raise TypeError(f"@method() marks a method, not {type(function).__name__}")
    return function


def _make(target: Any, options: Mapping[str, Any]) -> ActorClass | RemoteFunction:
    if isinstance(target, ActorClass | RemoteFunction):
        raise TypeError(f"{target!r} is remote already")
    if inspect.isclass(target) and not issubclass(target, type):
        return ActorClass(target, validate(ACTOR_OPTIONS, options, "@remote"))
    if inspect.isfunction(target):
        return RemoteFunction(target, validate(TASK_OPTIONS, options, "@remote"))
    kind = "a metaclass" if inspect.isclass(target) else type(target).__name__
    raise TypeError(f"@remote takes a class or a function, not {kind}")
