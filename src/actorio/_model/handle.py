"""Handles: what a program holds of an actor. They find methods, check arguments and pass calls to the runtime."""

from __future__ import annotations

from types import GenericAlias
from typing import TYPE_CHECKING, Any, NoReturn

from actorio._model import runtime
from actorio._model.actor_options import CALL_OPTIONS, CONCURRENCY, DEFAULT_WINDOW, Manner, Terms, check_stream
from actorio._model.definition import ClassDefinition, MethodDefinition
from actorio._model.generic import A_co, Generic
from actorio._model.options import validate
from actorio._model.streams import ObjectRefGenerator, Stream
from actorio._model.travel import note

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from typing import TypeVar

    from actorio._model import typed
    from actorio._model.event import ActorEvent
    from actorio._model.reference import ObjectRef

    C = TypeVar("C", bound=type)

_READY = MethodDefinition.of_function(lambda: None, name="__ray_ready__")
_CALL = MethodDefinition.of_function(lambda function, *args, **kwargs: None, name="__ray_call__")  # noqa: ARG005  # the shape
_TERMINATE = MethodDefinition.of_function(lambda: None, name="__ray_terminate__")
_BUILT_IN = {"__ray_ready__": _READY, "__ray_call__": _CALL, "__ray_terminate__": _TERMINATE}
_NO_TERMS = Terms()
_PLAIN = Manner()


class ActorIdentity:
    """Which actor, where it listens, and what it can do. Shared by a handle and its methods.

    Nothing in it points back at a handle, so that the last user of an actor going away is seen at once.

    Attributes:
        terms: what holds for all its calls, unless they say otherwise.
        hold: keeps the actor alive; None in a weak handle, which does not.
    """

    __slots__ = (
        "__weakref__",
        "actor_id",
        "address",
        "definition",
        "hold",
        "is_ordered",
        "session",
        "terms",
    )

    def __init__(
        self,
        actor_id: str,
        address: str,
        session: str,
        definition: ClassDefinition,
        *,
        is_ordered: bool,
        terms: Terms = _NO_TERMS,
        hold: object = None,
    ) -> None:
        self.actor_id = actor_id
        self.address = address
        self.session = session
        self.definition = definition
        # One thread runs all its calls: one that waits for an argument holds back the same caller's later ones.
        self.is_ordered = is_ordered
        self.terms = terms
        self.hold = hold

    def check_group(self, group: str, where: str) -> None:
        """Checks that the actor has a concurrency group.

        Raises:
            ValueError: it has not.
        """
        if group and group not in self.terms.groups:
            known = ", ".join(map(repr, self.terms.groups)) or "none"
            raise ValueError(f"{where}: there is no concurrency group {group!r}; the groups of the actor are: {known}")

    def weak(self) -> ActorIdentity:
        """Returns the same identity, without keeping the actor alive."""
        return ActorIdentity(
            self.actor_id,
            self.address,
            self.session,
            self.definition,
            is_ordered=self.is_ordered,
            terms=self.terms,
        )

    def __reduce__(self) -> tuple[Callable[..., ActorIdentity], tuple[Any, ...]]:
        note(self.actor_id, self.hold)
        what = (self.actor_id, self.address, self.session, self.definition)
        return _identity, (*what, self.is_ordered, self.terms)


class ActorHandle(Generic[A_co]):
    """A handle on an actor: ``handle.method.remote(...)`` calls it. Handles are hashable, comparable and picklable.

    Attributes are the methods of the actor's class; anything else is an `AttributeError`. Safe to use from any
    thread and any event loop.

    In annotations ``ActorHandle[Counter]``: see [Have calls checked](../how-to/types.md).
    """

    if TYPE_CHECKING:
        # What every actor has. The first two are the user's where a class has such methods.
        watch: Any
        set_concurrency: Any
        __ray_ready__: typed.ActorMethod[[], ObjectRef[bool]]
        __ray_call__: typed.ActorMethod[..., ObjectRef[Any]]
        __ray_terminate__: typed.ActorMethod[[], ObjectRef[None]]

    def __init__(self, identity: ActorIdentity) -> None:
        """Not for users: handles come from ``Class.remote(...)``."""
        if not isinstance(identity, ActorIdentity):
            raise TypeError("handles are not made by hand: Class.remote(...) and get_actor(name) return them")
        self.__dict__["_actorio_identity"] = identity

    def __getattr__(self, name: str) -> typed.ActorMethod[..., Any]:
        identity: ActorIdentity = self.__dict__["_actorio_identity"]
        definition = identity.definition.methods.get(name) or _BUILT_IN.get(name)
        if definition is None and name in {"watch", "set_concurrency"}:
            # No attributes of its own: a class may have methods of these names.
            return self._watch if name == "watch" else self._set_concurrency  # type: ignore[return-value]
        if definition is None:
            raise AttributeError(_no_such_method(identity.definition, name), name=name, obj=self)
        method = ActorMethod(identity, definition, name)
        # The next look-up finds it without coming here.
        self.__dict__[name] = method
        return method  # type: ignore[return-value]  # one class for all signatures

    def _watch(self) -> AsyncIterator[ActorEvent]:
        """Yields what happens to the actor: ``async for event in handle.watch()``.

        Begins with its present state; ends when it is dead for good, or its session is over. Safe to cancel. Yields
        `ActorEvent`: started, restarting (with the cause), died (with the cause). Only in a running event loop.
        """
        return runtime.of_handles().watch(self.__dict__["_actorio_identity"])

    def _set_concurrency(self, limit: int, *, group: str = "") -> ObjectRef[None]:
        """Changes how many calls the actor runs at once: ``await handle.set_concurrency(8)``, while it works.

        Calls that run go on, also if they are too many now. When it is restarted, it begins as its options say.

        Args:
            limit: how many, at least 1.
            group: of which concurrency group; "" for the default one.

        Raises:
            TypeError: not a whole number.
            ValueError: less than 1, or there is no such group.
        """
        identity: ActorIdentity = self.__dict__["_actorio_identity"]
        validate(CONCURRENCY, {"limit": limit}, "set_concurrency()")
        identity.check_group(group, f"{self!r}.set_concurrency()")
        return runtime.of_handles().set_concurrency(identity, limit, group)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"cannot set {name!r} on {self!r}: the actor's state lives in its own process; set it in a method"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"cannot delete {name!r} of {self!r}: the actor's state lives in its own process")

    def __dir__(self) -> list[str]:
        identity: ActorIdentity = self.__dict__["_actorio_identity"]
        return [*identity.definition.methods, *_BUILT_IN, "__init__"]

    def __repr__(self) -> str:
        identity: ActorIdentity = self.__dict__["_actorio_identity"]
        return f"Actor({identity.definition.name}, {identity.actor_id})"

    def __hash__(self) -> int:
        return hash(identity_of(self).actor_id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorHandle) and identity_of(self).actor_id == identity_of(other).actor_id

    def __reduce__(self) -> tuple[type[ActorHandle], tuple[Any, ...]]:
        return ActorHandle, (self.__dict__["_actorio_identity"],)

    def __del__(self) -> None:
        identity: ActorIdentity | None = self.__dict__.get("_actorio_identity")
        if identity is not None and identity.hold is not None:
            runtime.handle_gone(identity)


class ActorMethod:
    """A method of an actor: ``.remote(...)`` calls it, ``.options(...)`` changes how."""

    __class_getitem__ = classmethod(GenericAlias)  # type: ignore[var-annotated]  # for annotations: see `typed`
    __slots__ = ("_arities", "_definition", "_identity", "_manner", "_name", "_options")

    def __init__(
        self,
        identity: ActorIdentity,
        definition: MethodDefinition,
        name: str,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        # How many positional arguments alone surely fit; anything else is checked in full.
        self._arities = definition.arities()
        self._identity = identity
        self._definition = definition
        self._name = name
        self._options = {**definition.options, **(options or {})}
        self._manner = self._find_manner()

    def _find_manner(self) -> Manner | None:
        """Returns how its calls are made; None for the common way."""
        terms, options = self._identity.terms, self._options
        manner = Manner.of(
            options if "timeout" in options or not terms.timeout else {**options, "timeout": terms.timeout},
            retries=options.get("max_task_retries", terms.retries),
            retried=options.get("retry_exceptions", terms.retried),
            is_generator=self._definition.is_generator,
        )
        self._identity.check_group(manner.group, repr(self))
        if terms.is_limited():
            manner = manner._replace(is_limited=True)
        return None if manner == _PLAIN else manner

    def remote(self, /, *args: Any, **kwargs: Any) -> ObjectRef[Any]:
        """Sends the call; returns the reference of its result at once. Never waits, may be called anywhere.

        The arguments are pickled before it returns, so they may be changed afterwards. References among them are
        resolved before the method runs; those inside containers stay references.

        With ``num_returns=n``, a list of references, one for each of the ``n`` values that the method returns; with 0,
        None. For a generator method, or with ``num_returns="streaming"``, an `ObjectRefGenerator`.

        Raises:
            TypeError: the arguments do not fit the method's signature, or cannot be pickled (the text names the
                path to what cannot).
        """
        if kwargs or len(args) not in self._arities:
            self._definition.check(args, kwargs)
        current = runtime.SLOT.runtime or runtime.of_handles()
        manner = self._manner
        if manner is None:
            return current.call(self._identity, self._definition, args, kwargs)
        if manner.is_single():
            return current.call(self._identity, self._definition, args, kwargs, manner)
        if manner.window:
            return ObjectRefGenerator(  # type: ignore[return-value]  # as the options say
                current.stream(manner, self._identity, self._definition, args, kwargs)
            )
        refs = current.call_in(manner, self._identity, self._definition, args, kwargs)
        return manner.given(refs)  # type: ignore[no-any-return]  # as the options say

    def stream(self, /, *args: Any, **kwargs: Any) -> Stream[Any]:
        """Calls a generator method; returns its values as they come, for ``async for`` and for ``for``.

        The method runs ahead of whoever takes the values, but for no more than its ``window``
        (``options(window=16)``): then it waits. Whoever leaves the loop ends it: its ``finally`` runs. What it raises
        is raised behind its last value.

        Raises:
            TypeError: as with `remote`.
            ValueError: ``num_returns`` is a number.
        """
        if kwargs or len(args) not in self._arities:
            self._definition.check(args, kwargs)
        check_stream(self._options, lambda: f"{self!r}.stream()")
        manner = self._manner
        if manner is None or not manner.window:
            manner = (manner or _PLAIN)._replace(returns=1, window=self._options.get("window", DEFAULT_WINDOW))
        current = runtime.SLOT.runtime or runtime.of_handles()
        return Stream(current.stream(manner, self._identity, self._definition, args, kwargs))

    async def ready(self) -> None:
        """Waits until a call may be made without being refused or piling up: ``await handle.method.ready()``.

        That is while the actor's mailbox is full (``mailbox_size``), or this process has as many calls to it pending as
        it may (``max_pending_calls``). In a thread without a loop, `remote` itself waits for the mailbox. Safe to
        cancel. Several that wait are let on one by one as there is room.
        """
        if self._manner is not None and self._manner.is_limited:
            await runtime.of_handles().ready(self._identity)

    def options(self, **options: Any) -> ActorMethod:
        """Returns this method with other options; see the reference of options.

        Raises:
            ValueError: an unknown option or a value out of range.
            TypeError: a value of the wrong type.
        """
        given = validate(CALL_OPTIONS, options, f"{self!r}.options()")
        return ActorMethod(self._identity, self._definition, self._name, {**self._options, **given})

    def __call__(self, /, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raises TypeError: a method runs in the actor.

        Raises:
            TypeError: always.
        """
        owner = self._identity.definition.name
        raise TypeError(
            f"{owner}.{self._name}() runs in the actor and cannot be called here: write handle.{self._name}.remote(...)"
        )

    def __repr__(self) -> str:
        return f"ActorMethod({self._identity.definition.name}.{self._name}, {self._identity.actor_id})"

    def __reduce__(self) -> tuple[type[ActorMethod], tuple[Any, ...]]:
        return ActorMethod, (self._identity, self._definition, self._name, self._options)


def _identity(  # noqa: PLR0917  # as they were pickled
    actor_id: str,
    address: str,
    session: str,
    definition: ClassDefinition,
    is_ordered: bool,  # noqa: FBT001
    terms: Terms,
) -> ActorIdentity:
    hold = runtime.find_hold(actor_id)
    return ActorIdentity(
        actor_id,
        address,
        session,
        definition,
        is_ordered=is_ordered,
        terms=terms,
        hold=hold,
    )


def methods_of(handle: ActorHandle[typed.Actor[C]]) -> C:
    """Returns the handle, as a type checker without the plugin knows the methods that are marked with `method`.

    ``methods_of(counter).add.remote(1)`` is ``counter.add.remote(1)``, with its parameter and its result checked.

    Raises:
        TypeError: not an actor's handle.
    """
    if not isinstance(handle, ActorHandle):
        raise TypeError(f"methods_of() takes an actor's handle, not {type(handle).__name__}")
    return handle  # type: ignore[return-value]  # what a class gives for a marked method is what its handle has


def identity_of(handle: ActorHandle) -> ActorIdentity:
    """Returns what a handle knows of its actor."""
    identity: ActorIdentity = handle.__dict__["_actorio_identity"]
    return identity


def _no_such_method(definition: ClassDefinition, name: str) -> str:
    import difflib  # only needed to word an error

    near = difflib.get_close_matches(name, definition.methods, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{definition.name!r} has no method {name!r}{hint} (attributes of an actor are read through its methods)"
