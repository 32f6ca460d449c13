"""What is known about a class and its methods without the class: names, kinds and signatures.

A handle carries a `ClassDefinition` instead of the class, so that a call is checked where it is written, in a process
that may never import the class. Definitions are small: of a parameter they keep its name, its kind and whether it has a
default, never the default itself, which may be large or refuse to be pickled.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, Protocol, Self

from actorio._model.signature import ANYTHING, Parameter, Parameters, check_call

Binding = Literal["instance", "static", "class"]

_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

# What Python calls by itself while a class or an instance is made. `__init__` has its own place: the constructor.
_NOT_METHODS: Final = frozenset({"__init__", "__new__", "__init_subclass__", "__class_getitem__", "__subclasshook__"})
# An object that answers every attribute (a mock) would have layers without end.
_MOST_LAYERS: Final = 50
# More arguments than any call has.
_NO_LIMIT: Final = 1 << 62
_MACHINERY: Final = (object, Generic, Protocol)


@dataclass(frozen=True, slots=True)
class MethodDefinition:
    """One method, constructor or function as its callers know it.

    Attributes:
        name: The attribute's name.
        owner: The name of the class; None for a plain function.
        is_async: Whether it is an `async def`; together with `is_generator`, an async generator.
        is_generator: Whether calling it gives a generator, plain or async.
        binding: `"instance"`, `"static"` or `"class"`.
        parameters: What a caller passes: `self` and `cls` are left out.
        min_positional: How many positional parameters have no default.
        max_positional: How many positional arguments can be given; None when there is no limit (`*args`).
        needs_keywords: Whether a keyword-only parameter has no default.
        options: What `@method(...)` set.
    """

    name: str
    owner: str | None
    is_async: bool
    is_generator: bool
    binding: Binding
    parameters: Parameters
    min_positional: int
    max_positional: int | None
    needs_keywords: bool
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        # Each creation of an actor pickles and unpickles some; what `dataclass` has for it takes three times as long.
        return type(self), (
            self.name,
            self.owner,
            self.is_async,
            self.is_generator,
            self.binding,
            self.parameters,
            self.min_positional,
            self.max_positional,
            self.needs_keywords,
            self.options,
        )

    @property
    def call_name(self) -> str:
        """The name used in texts: `Account.deposit`, or the function's name."""
        return self.name if self.owner is None else f"{self.owner}.{self.name}"

    @classmethod
    def of_function(
        cls,
        function: Callable[..., Any],
        owner: str | None = None,
        *,
        name: str | None = None,
        binding: Binding = "static",
        skip_first: bool = False,
    ) -> Self:
        """Describe a function.

        Args:
            function: The function itself, decorated or not; what `functools.wraps` wrapped is looked at too.
            owner: The class's name, for a method.
            name: The attribute's name, where it differs from the function's.
            binding: How the function hangs in its class.
            skip_first: Whether the first parameter is `self` or `cls`, which callers do not pass.
        """
        layers = _layers(function)
        parameters = _parameters_of(function, skip_first=skip_first)
        positional = [has_default for _, kind, has_default in parameters if kind in _POSITIONAL]
        kinds = {kind for _, kind, _ in parameters}
        return cls(
            name=name or str(getattr(function, "__name__", type(function).__name__)),
            owner=owner,
            is_async=any(map(_is_async, layers)),
            is_generator=any(map(is_generator, layers)),
            binding=binding,
            parameters=parameters,
            min_positional=positional.count(False),
            max_positional=None if inspect.Parameter.VAR_POSITIONAL in kinds else len(positional),
            needs_keywords=any(
                kind == inspect.Parameter.KEYWORD_ONLY and not default for _, kind, default in parameters
            ),
            options=_marks(layers),
        )

    def arities(self) -> range:
        """Return how many positional arguments fit when no keyword arguments are given."""
        if self.needs_keywords:
            return range(0)
        limit = _NO_LIMIT if self.max_positional is None else self.max_positional
        return range(self.min_positional, limit + 1)

    def check(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Check that a call fits the signature. `self` and `cls` are neither passed nor counted.

        Raises:
            TypeError: It does not fit; the text is the one Python has for the same mistake.
        """
        # Almost every call ends here, and every call is checked.
        if (
            not kwargs
            and not self.needs_keywords
            and len(args) >= self.min_positional
            and (self.max_positional is None or len(args) <= self.max_positional)
        ):
            return
        check_call(self.call_name, self.parameters, args, kwargs)


@dataclass(frozen=True, slots=True)
class ClassDefinition:
    """A class as its callers know it.

    Attributes:
        name: `__name__` of the class.
        qualname: `__qualname__` of the class.
        module: The module it was defined in.
        methods: Every method by name: inherited, private, static and class methods and `__call__` included.
        constructor: How the class is created.
        is_async: Whether a method anywhere in it is an `async def` or an async generator: an async actor.
    """

    name: str
    qualname: str
    module: str
    methods: Mapping[str, MethodDefinition] = field(hash=False)
    constructor: MethodDefinition
    is_async: bool

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        # See `MethodDefinition`.
        return type(self), (self.name, self.qualname, self.module, self.methods, self.constructor, self.is_async)

    @classmethod
    def of(cls, target: type) -> Self:
        """Describe a class. Reads it only: no property is evaluated and no descriptor is bound."""
        methods = {name: _method(target, name, attribute) for name, attribute in _routines(target)}
        return cls(
            name=target.__name__,
            qualname=target.__qualname__,
            module=target.__module__,
            methods=methods,
            constructor=_constructor(target),
            # `__ray_call__` and its like are the framework's, whichever class they are found in.
            is_async=any(each.is_async for name, each in methods.items() if not name.startswith("__ray")),
        )


def _routines(target: type) -> Iterator[tuple[str, Any]]:
    found: dict[str, Any] = {}
    for base in reversed(target.__mro__):
        if base not in _MACHINERY:
            found.update(vars(base))
    return ((name, each) for name, each in found.items() if name not in _NOT_METHODS and _is_method(each))


def _is_method(attribute: Any) -> bool:
    # A lazy property (functools.cached_property and others) passes for a routine, but cannot be called.
    wrappers = (staticmethod, classmethod, functools.partialmethod, functools.singledispatchmethod)
    return inspect.isroutine(attribute) and (callable(attribute) or isinstance(attribute, wrappers))


def _method(target: type, name: str, attribute: Any) -> MethodDefinition:
    binding: Binding = "instance"
    function = attribute
    if isinstance(attribute, staticmethod):
        binding, function = "static", attribute.__func__
    elif isinstance(attribute, classmethod):
        binding, function = "class", attribute.__func__
    elif type(attribute).__name__ == "classmethod_descriptor":
        binding = "class"
    elif isinstance(attribute, functools.partialmethod):
        # Bound to the class it is a function whose first parameter is still `self`.
        function = attribute.__get__(None, target)
    elif isinstance(attribute, functools.singledispatchmethod):
        function = attribute.func
    return MethodDefinition.of_function(
        function, target.__name__, name=name, binding=binding, skip_first=binding != "static"
    )


def _constructor(target: type) -> MethodDefinition:
    for name in ("__init__", "__new__"):
        function = inspect.getattr_static(target, name)
        if function is not inspect.getattr_static(object, name):
            function = function.__func__ if isinstance(function, staticmethod) else function
            return MethodDefinition.of_function(
                function, target.__name__, name="__init__", binding="instance", skip_first=True
            )
    return MethodDefinition.of_function(_takes_nothing, target.__name__, name="__init__", binding="instance")


def _takes_nothing() -> None:
    """Stand in for `object.__init__`, whose own signature is not what it accepts."""


def _layers(function: Any) -> list[Any]:
    """Return the function and all that it wraps, outermost first."""
    layers = [function]
    while len(layers) < _MOST_LAYERS:
        inner = _wrapped_by(layers[-1])
        if inner is None:
            break
        layers.append(inner)
    return layers


def _wrapped_by(function: Any) -> Any:
    if isinstance(function, functools.partial):
        return function.func
    # What a partialmethod leaves behind; the name changed in Python 3.13.
    partial = getattr(function, "__partialmethod__", None) or getattr(function, "_partialmethod", None)
    return getattr(function, "__wrapped__", None) if partial is None else partial.func


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def is_generator(function: Any) -> bool:
    """Say whether calling a function gives a generator, plain or async. What it wraps is not looked at."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _marks(layers: list[Any]) -> dict[str, Any]:
    for layer in layers:
        marks = getattr(layer, "__actorio_method_options__", None)
        if isinstance(marks, dict):
            return dict(marks)
    return {}


def _parameters_of(function: Any, *, skip_first: bool) -> Parameters:
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        # Functions written in C need not have a signature; the actor finds out.
        return ANYTHING
    parameters = list(signature.parameters.values())
    if skip_first and parameters and parameters[0].kind in _POSITIONAL:
        del parameters[0]
    return tuple(_parameter(each) for each in parameters)


def _parameter(parameter: inspect.Parameter) -> Parameter:
    return parameter.name, int(parameter.kind), parameter.default is not inspect.Parameter.empty
