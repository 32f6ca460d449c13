"""Actor classes, functions and methods as type checkers see them. Nothing imports this at runtime.

What `remote` returns at runtime is `remote.ActorClass` and `remote.RemoteFunction`, and what a handle returns is
`handle.ActorMethod`: each is one class for all parameters and results, with these signatures. A decorated class is
written in annotations, as in ``ActorHandle[Counter]``; that is why it is a class here, of the metaclass `ActorClass`.

What a checker cannot derive from these is in `actorio.mypy_plugin`.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    Never,
    ParamSpec,
    Protocol,
    TypeVar,
    Unpack,
    final,
    overload,
)

from actorio._model.generic import Generic, P, R_co
from actorio._model.handle import ActorHandle
from actorio._model.keywords import ActorKeywords, CallKeywords, TaskKeywords
from actorio._model.reference import ObjectRef
from actorio._model.scope import ActorScope
from actorio._model.streams import ObjectRefGenerator, Stream

if not TYPE_CHECKING:
    raise ImportError("actorio._model.typed is for type checkers")

Q = ParamSpec("Q")
V = TypeVar("V")
C = TypeVar("C", bound=type)
C_co = TypeVar("C_co", covariant=True)


class RemoteCall(Protocol[P, R_co]):
    """``remote``: takes the parameters ``P``, each of which may be a reference to what the method takes."""

    # What stands for a parameter cannot be widened without knowing its name. So one reference among the first four
    # positional arguments turns off the check of the others; the plugin checks all. The signature that is checked
    # stands last, because errors speak of that one.
    @overload
    def __call__(self, reference: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> R_co: ...
    @overload
    def __call__(self, a: Any, reference: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> R_co: ...
    @overload
    def __call__(self, a: Any, b: Any, reference: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> R_co: ...
    @overload
    def __call__(self, a: Any, b: Any, c: Any, reference: ObjectRef[Any], /, *args: Any, **kwargs: Any) -> R_co: ...
    @overload
    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class Remote(Generic[P, R_co]):
    """What is called by ``.remote(...)``. ``R_co`` is what that returns: `ObjectRef` of the value, in most cases."""

    @property
    def remote(self) -> RemoteCall[P, R_co]:
        """Makes the call; returns the reference of its result at once."""
        raise NotImplementedError

    @property
    def stream(self: Remote[Q, ObjectRefGenerator[V]]) -> RemoteCall[Q, Stream[V]]:
        """Makes the call of a generator; returns its values as they come."""
        raise NotImplementedError


class ActorMethod(Remote[P, R_co]):
    """A method of an actor: ``.remote(...)`` calls it, ``.options(...)`` changes how."""

    async def ready(self) -> None:
        """Waits until a call may be made without being refused or piling up."""

    @overload
    def options(self, *, num_returns: None = None, **options: Unpack[CallKeywords]) -> ActorMethod[P, R_co]: ...
    @overload
    def options(
        self, *, num_returns: Literal["streaming"], **options: Unpack[CallKeywords]
    ) -> ActorMethod[P, ObjectRefGenerator[Any]]: ...
    @overload
    def options(  # type: ignore[overload-overlap]  # the literals are told apart first
        self, *, num_returns: Literal[0], **options: Unpack[CallKeywords]
    ) -> ActorMethod[P, None]: ...
    @overload
    def options(  # type: ignore[overload-overlap]
        self, *, num_returns: Literal[1], **options: Unpack[CallKeywords]
    ) -> ActorMethod[P, ObjectRef[Any]]: ...
    @overload
    def options(self, *, num_returns: int, **options: Unpack[CallKeywords]) -> ActorMethod[P, list[ObjectRef[Any]]]: ...
    def options(self, **options: Any) -> Any: ...


class RemoteFunction(Remote[P, R_co]):
    """A function whose calls run in worker processes: ``.remote(...)``."""

    @overload
    def options(self, *, num_returns: None = None, **options: Unpack[TaskKeywords]) -> RemoteFunction[P, R_co]: ...
    @overload
    def options(
        self, *, num_returns: Literal["streaming"], **options: Unpack[TaskKeywords]
    ) -> RemoteFunction[P, ObjectRefGenerator[Any]]: ...
    @overload
    def options(  # type: ignore[overload-overlap]  # the literals are told apart first
        self, *, num_returns: Literal[0], **options: Unpack[TaskKeywords]
    ) -> RemoteFunction[P, None]: ...
    @overload
    def options(  # type: ignore[overload-overlap]
        self, *, num_returns: Literal[1], **options: Unpack[TaskKeywords]
    ) -> RemoteFunction[P, ObjectRef[Any]]: ...
    @overload
    def options(
        self, *, num_returns: int, **options: Unpack[TaskKeywords]
    ) -> RemoteFunction[P, list[ObjectRef[Any]]]: ...
    def options(self, **options: Any) -> Any: ...


class ActorClass(ABCMeta):
    """What `remote` makes of a class: ``.remote(...)`` starts an actor, ``.options(...)`` changes how."""

    # A class is a callable from its constructor's parameters to itself: that is how these become known.
    @property
    def remote(cls: type[Actor[Callable[Q, V]]]) -> RemoteCall[Q, ActorHandle[V]]:
        """Starts an actor; returns its handle at once."""
        raise NotImplementedError

    @property
    def scope(cls: type[Actor[Callable[Q, V]]]) -> RemoteCall[Q, ActorScope[V]]:
        """Returns a block that has an actor of its own."""
        raise NotImplementedError

    def options(cls: type[Actor[C]], /, **options: Unpack[ActorKeywords]) -> type[Actor[C]]:
        raise NotImplementedError

    def __call__(cls, never: Never, /) -> Never:
        raise NotImplementedError


@final
class Actor(Protocol[C_co], metaclass=ActorClass):  # type: ignore[misc]  # it has no instances of its own
    """The type of a decorated class in annotations: that of its undecorated instances, whose class is ``C_co``."""

    @property  # type: ignore[misc]  # an object's class can be set, in theory
    def __class__(self) -> C_co: ...  # type: ignore[override]  # what tells the instances of one class from others


class Decorator(Protocol):
    """What ``remote(...)`` with options returns."""

    @overload
    def __call__(self, target: C, /) -> type[Actor[C]]: ...  # type: ignore[overload-overlap]  # a class is a callable
    @overload
    def __call__(self, target: Callable[Q, Coroutine[Any, Any, V]], /) -> RemoteFunction[Q, ObjectRef[V]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, target: Callable[Q, Iterator[V] | AsyncIterator[V]], /
    ) -> RemoteFunction[Q, ObjectRefGenerator[V]]: ...
    @overload
    def __call__(self, target: Callable[Q, V], /) -> RemoteFunction[Q, ObjectRef[V]]: ...


class FunctionDecorator(Protocol[R_co]):
    """What ``remote(num_returns=...)`` returns."""

    def __call__(self, target: Callable[Q, Any], /) -> RemoteFunction[Q, R_co]: ...


class Marked(Generic[Q, V, R_co]):
    """A method with the mark of `method`: callable where it is defined, `ActorMethod` in `methods_of`."""

    @overload
    def __get__(self, instance: None, owner: type, /) -> ActorMethod[Q, R_co]: ...
    @overload
    def __get__(self, instance: object, owner: type, /) -> Callable[Q, V]: ...
    def __get__(self, instance: object, owner: type, /) -> Any: ...


class Mark(Protocol):
    """What ``method(...)`` returns, and ``method`` without options."""

    @overload
    def __call__(self, function: classmethod[Any, Q, V], /) -> Marked[Q, V, ObjectRef[V]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Any, Q], Coroutine[Any, Any, V]], /
    ) -> Marked[Q, Coroutine[Any, Any, V], ObjectRef[V]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # a generator is a value, too
        self, function: Callable[Concatenate[Any, Q], Iterator[V]], /
    ) -> Marked[Q, Iterator[V], ObjectRefGenerator[V]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[Any, Q], AsyncIterator[V]], /
    ) -> Marked[Q, AsyncIterator[V], ObjectRefGenerator[V]]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Any, Q], V], /) -> Marked[Q, V, ObjectRef[V]]: ...


class MarkOfResults(Protocol[R_co]):
    """What ``method(num_returns=...)`` returns."""

    def __call__(self, function: Callable[Concatenate[Any, Q], V], /) -> Marked[Q, V, R_co]: ...
