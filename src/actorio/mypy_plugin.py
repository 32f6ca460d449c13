"""What mypy cannot derive from the types of `actorio._model.typed`: ``plugins = ["actorio.mypy_plugin"]``.

Three things. A class that is decorated stays the class that it was, to mypy: here it gets the metaclass `ActorClass`,
and with it ``remote`` and ``options``. The attributes of an ``ActorHandle[Counter]`` are the methods of ``Counter``:
here they are looked up. A reference may stand for any argument: here each parameter is widened by name.

mypy alone imports this. It runs in mypy's process, and nothing of actorio does.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from mypy.applytype import apply_generic_arguments
from mypy.errorcodes import ATTR_DEFINED, OPERATOR
from mypy.expandtype import expand_type_by_instance
from mypy.maptype import map_instance_to_supertype
from mypy.nodes import Decorator, FuncBase, FuncDef, TypeInfo, Var
from mypy.plugin import Plugin
from mypy.types import (
    AnyType,
    CallableType,
    FunctionLike,
    Instance,
    Overloaded,
    Parameters,
    TypeOfAny,
    TypeVarType,
    UninhabitedType,
    UnionType,
    UnpackType,
    get_proper_type,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy.nodes import SymbolNode
    from mypy.plugin import AttributeContext, ClassDefContext, FunctionContext, FunctionSigContext, MethodContext
    from mypy.types import Type

_TYPED: Final = "actorio._model.typed"
_REMOTE: Final = "actorio._model.remote.remote"
_HANDLE: Final = "actorio._model.handle.ActorHandle"
_ACTOR_CLASS: Final = f"{_TYPED}.ActorClass"
_METHOD: Final = f"{_TYPED}.ActorMethod"
_MARKED: Final = f"{_TYPED}.Marked"
_FUNCTION: Final = f"{_TYPED}.RemoteFunction"
_REFERENCE: Final = "actorio._model.reference.ObjectRef"
_REFERENCES: Final = "actorio._model.streams.ObjectRefGenerator"

# What an actor class has, and what that returns.
_STARTS: Final = {"remote": _HANDLE, "scope": "actorio._model.scope.ActorScope"}
_CALLED: Final = frozenset({f"{_TYPED}.Remote.remote", f"{_TYPED}.Remote.stream"})
_DECORATOR: Final = f"{_TYPED}.Decorator.__call__"
_SUPERVISE: Final = "actorio.util.supervisor.Supervisor.supervise"
_ITERATORS: Final = frozenset({"typing.Generator", "typing.AsyncGenerator", "typing.Iterator", "typing.AsyncIterator"})
_ITERABLES: Final = frozenset({"typing.Iterable", "typing.AsyncIterable"})


class ActorioPlugin(Plugin):
    """The hooks, by the names of what they are called for."""

    def get_class_decorator_hook_2(self, fullname: str) -> Callable[[ClassDefContext], bool] | None:
        """Decorated classes become actor classes."""
        return self._make_actor_class if fullname == _REMOTE else None

    def get_base_class_hook(self, fullname: str) -> Callable[[ClassDefContext], None] | None:
        """An actor class cannot be inherited from. In its own module mypy finds the metaclass out of place."""
        return _refuse_heir if self._is_actor_class(fullname) else None

    def get_class_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        """A method of the class that is called ``remote``, for example, is its handles' alone."""
        owner, _, name = fullname.rpartition(".")
        if name not in {"options", *_STARTS} or not self._is_actor_class(owner):
            return None
        return self._class_options if name == "options" else partial(self._start, name)

    def get_function_signature_hook(self, fullname: str) -> Callable[[FunctionSigContext], FunctionLike] | None:
        """An actor class cannot be called."""
        return _refuse_call if self._is_actor_class(fullname) else None

    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        """Functions become remote functions by `remote`, whatever they return."""
        return self._remote_function if fullname == _REMOTE else None

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        """Functions become remote functions by `remote` with options, too. A class with options stays that class."""
        owner, _, name = fullname.rpartition(".")
        if name == "options" and self._is_actor_class(owner):
            return _same_class
        return {_DECORATOR: self._remote_function, _SUPERVISE: _given_class}.get(fullname)

    def get_attribute_hook(self, fullname: str) -> Callable[[AttributeContext], Type] | None:
        """Attributes of handles are methods; what is called by ``.remote(...)`` takes references."""
        owner, _, name = fullname.rpartition(".")
        if owner == _HANDLE and not name.startswith("__ray_"):
            return partial(self._method_of_handle, name)
        if owner == _ACTOR_CLASS and name in _STARTS:
            return partial(self._start, name)
        return self._with_references if fullname in _CALLED else None

    def _make_actor_class(self, context: ClassDefContext) -> bool:
        info = context.cls.info
        metaclass = context.api.named_type(_ACTOR_CLASS)
        present = info.metaclass_type
        # A metaclass of the user's own stays: its class lacks `remote`, rather than what its metaclass gives it.
        if present is None or metaclass.type.has_base(present.type.fullname):
            info.declared_metaclass = info.metaclass_type = metaclass
        return True

    def _remote_function(self, context: FunctionContext | MethodContext) -> Type:
        given = get_proper_type(context.arg_types[0][0]) if context.arg_types and context.arg_types[0] else None
        if not isinstance(given, CallableType) or given.is_type_obj() or given.variables:
            return context.default_return_type
        return self._instance(_FUNCTION, _parameters_of(given), self._given_by(given, given.definition))

    def _method_of_handle(self, name: str, context: AttributeContext) -> Type:
        handle = context.type
        actor = _actor_of(handle.args[0]) if isinstance(handle, Instance) and handle.args else None
        if actor is None:
            return context.default_attr_type
        symbol = actor.type.get(name)
        if symbol is None and (own := self.lookup_fully_qualified(f"{_HANDLE}._{name}")) is not None:
            # `watch` is a method of the user's class, if there is one, and of every handle otherwise.
            return _without_first(own.type) or context.default_attr_type
        if symbol is not None and _is_method(symbol.node):
            return self._method(name, actor, symbol.node, context)
        if not actor.type.fallback_to_any:
            hint = "" if symbol is None else " (attributes of an actor are read through its methods)"
            context.api.fail(f'"{actor.type.name}" has no method "{name}"{hint}', context.context, code=ATTR_DEFINED)
        return AnyType(TypeOfAny.from_error)

    def _method(self, name: str, actor: Instance, node: SymbolNode | None, context: AttributeContext) -> Type:
        marked = get_proper_type(node.var.type) if isinstance(node, Decorator) else None
        if isinstance(node, Decorator) and isinstance(marked, Instance) and marked.type.fullname == _MARKED:
            known = expand_type_by_instance(marked, map_instance_to_supertype(actor, node.var.info))
            return self._marked(known, node) if isinstance(known, Instance) else context.default_attr_type
        checker = context.api.expr_checker  # type: ignore[attr-defined]  # of the type checker that `api` is
        bound = get_proper_type(checker.analyze_external_member_access(name, actor, context.context))
        if not isinstance(bound, CallableType):
            # Overloaded: there is no one list of parameters.
            return context.default_attr_type
        plain = _without_variables(bound)
        return self._instance(_METHOD, _parameters_of(plain), self._given_by(plain, node))

    def _marked(self, mark: Instance, node: Decorator) -> Type:
        function = get_proper_type(node.func.type)
        parameters = mark.args[0]
        if node.func.is_static and isinstance(function, CallableType):
            # The mark has taken the first parameter for `self`.
            parameters = _parameters_of(function)
        return self._instance(_METHOD, parameters, mark.args[2])

    def _start(self, name: str, context: AttributeContext) -> Type:
        if not isinstance(context.type, FunctionLike):
            return self._with_references(context)
        # A decorated class: its constructors.
        starts = [
            self._call(context, constructor, self._instance(_STARTS[name], constructor.ret_type))
            for constructor in context.type.items
        ]
        return starts[0] if len(starts) == 1 else Overloaded(starts)

    def _with_references(self, context: AttributeContext) -> Type:
        call = get_proper_type(context.default_attr_type)
        parameters = get_proper_type(call.args[0]) if isinstance(call, Instance) and call.args else None
        if not isinstance(call, Instance) or not isinstance(parameters, Parameters):
            return context.default_attr_type
        return self._call(context, parameters, call.args[1])

    def _call(self, context: AttributeContext, parameters: Parameters | CallableType, result: Type) -> CallableType:
        return CallableType(
            [self._or_reference(each) for each in parameters.arg_types],
            parameters.arg_kinds,
            parameters.arg_names,
            result,
            context.api.named_generic_type("builtins.function", []),
            name="remote",
            variables=parameters.variables,
        )

    def _or_reference(self, parameter: Type) -> Type:
        if isinstance(get_proper_type(parameter), AnyType | UnpackType | UninhabitedType):
            return parameter
        return UnionType.make_union([parameter, self._instance(_REFERENCE, parameter)])

    def _given_by(self, function: CallableType, node: SymbolNode | None) -> Type:
        """Return what ``.remote(...)`` returns for what a function returns."""
        returned = get_proper_type(function.ret_type)
        definition = node.func if isinstance(node, Decorator) else node
        is_generator = isinstance(definition, FuncDef) and definition.is_generator
        name = returned.type.fullname if isinstance(returned, Instance) else ""
        if isinstance(returned, Instance) and name == "typing.Coroutine":
            return self._instance(_REFERENCE, returned.args[2])
        if isinstance(returned, Instance) and (name in _ITERATORS or (is_generator and name in _ITERABLES)):
            return self._instance(_REFERENCES, returned.args[0])
        if is_generator:
            return self._instance(_REFERENCES, AnyType(TypeOfAny.unannotated))
        return self._instance(_REFERENCE, returned)

    def _class_options(self, context: AttributeContext) -> Type:
        found = self.lookup_fully_qualified(f"{_ACTOR_CLASS}.options")
        options = _without_first(found.type) if found is not None else None
        if options is None or not isinstance(context.type, FunctionLike):
            return context.default_attr_type
        return options.copy_modified(ret_type=context.type, variables=[])

    def _is_actor_class(self, fullname: str) -> bool:
        found = self.lookup_fully_qualified(fullname)
        info = found.node if found is not None else None
        metaclass = info.declared_metaclass if isinstance(info, TypeInfo) else None
        return metaclass is not None and metaclass.type.fullname == _ACTOR_CLASS

    def _instance(self, fullname: str, *arguments: Type) -> Instance:
        found = self.lookup_fully_qualified(fullname)
        if found is None or not isinstance(found.node, TypeInfo):
            raise AssertionError(f"{fullname} is a class, which `import actorio` has loaded")
        return Instance(found.node, list(arguments))


def _refuse_call(context: FunctionSigContext) -> FunctionLike:
    name = getattr(context.context, "callee", None)
    context.api.fail(
        f"An actor class cannot be called: write {getattr(name, 'name', 'Class')}.remote(...)",
        context.context,
        code=OPERATOR,
    )
    return context.default_signature


def _refuse_heir(context: ClassDefContext) -> None:
    context.api.fail("An actor class cannot be inherited from: inherit from the plain class", context.reason)


def _same_class(context: MethodContext) -> Type:
    return context.type if isinstance(context.type, FunctionLike) else context.default_return_type


def _given_class(context: MethodContext) -> Type:
    given = get_proper_type(context.arg_types[0][0]) if context.arg_types and context.arg_types[0] else None
    return given if isinstance(given, FunctionLike) else context.default_return_type


def _actor_of(argument: Type) -> Instance | None:
    """Return the class that a handle's argument stands for; None when it is not known."""
    known = get_proper_type(argument)
    if isinstance(known, TypeVarType):
        known = get_proper_type(known.upper_bound)
    return known if isinstance(known, Instance) and known.type.fullname != "builtins.object" else None


def _is_method(node: SymbolNode | None) -> bool:
    if isinstance(node, Decorator):
        return not node.var.is_property
    if isinstance(node, Var):
        # As in `alias = method`; an attribute that happens to be callable is in the instance alone.
        return isinstance(get_proper_type(node.type), FunctionLike) and not node.is_inferred
    return isinstance(node, FuncBase) and not node.is_property


def _parameters_of(function: CallableType) -> Parameters:
    return Parameters(function.arg_types, function.arg_kinds, function.arg_names)


def _without_first(method: Type | None) -> CallableType | None:
    """Return the type of a bound method."""
    function = get_proper_type(method)
    if not isinstance(function, CallableType):
        return None
    return function.copy_modified(
        arg_types=function.arg_types[1:], arg_kinds=function.arg_kinds[1:], arg_names=function.arg_names[1:]
    )


def _without_variables(function: CallableType) -> CallableType:
    """Return a generic method with `Any` for its variables: nothing is known of them before it is called."""
    anything = [AnyType(TypeOfAny.special_form) for _ in function.variables]
    return apply_generic_arguments(function, anything, lambda *_: None, function)


def plugin(version: str) -> type[Plugin]:  # noqa: ARG001  # as mypy calls it
    """Return the plugin; mypy calls this."""
    return ActorioPlugin
