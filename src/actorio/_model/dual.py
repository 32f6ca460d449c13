"""Classes of two parents: one of ours that tells where an exception was raised, and the class of that exception.

Made on the fly, one for each pair, and kept as long as an instance lives. Nothing here knows what the first parent is,
except that its instances keep the exception they stand for as `cause`.
"""

import types
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

_Base = TypeVar("_Base", bound=Exception)

# Attributes that live in the C part of an exception: `OSError.errno`, `ExceptionGroup.split`, every `__slots__` member.
_NATIVE: Final = (types.GetSetDescriptorType, types.MemberDescriptorType, types.MethodDescriptorType)

_DUALS: Final[weakref.WeakValueDictionary[tuple[type, type], type]] = weakref.WeakValueDictionary()


def dual_class(base: type[_Base], cause_class: type[Exception]) -> type[_Base] | None:
    """Return the class that derives from both, named `Base(Cause)`.

    Returns:
        None where there can be none: the cause's class is final or refuses subclasses; it is one that the base derives
        from already and adds nothing; or it is a `StopIteration`, which no coroutine can raise and no future can hold.
    """
    if issubclass(base, cause_class) or issubclass(cause_class, StopIteration):
        return None
    dual = _DUALS.get((base, cause_class))
    if dual is None:
        try:
            dual = _derive(base, cause_class)
        except Exception:
            # A final class, a metaclass or an `__init_subclass__` that refuses, bases in conflict.
            return None
        _DUALS[base, cause_class] = dual
    return dual


def native_new(cause_class: type[BaseException]) -> Callable[..., Any]:
    """Return the `__new__` of the nearest base written in C: it alone can lay out an instance of the class."""
    for each in cause_class.__mro__:
        new = vars(each).get("__new__")
        # MemoryError's own takes instances from a store, which are of that class alone.
        if each is not MemoryError and isinstance(new, types.BuiltinFunctionType):
            return new
    return BaseException.__new__


def _derive(base: type, cause_class: type) -> type:
    body = {"__module__": base.__module__, "__doc__": cause_class.__doc__, **_forwarders(base, cause_class)}
    name = f"{base.__name__}({cause_class.__name__})"
    return types.new_class(name, (base, cause_class), exec_body=lambda namespace: namespace.update(body))


def _forwarders(base: type, cause_class: type) -> dict[str, property]:
    """Return properties for what the cause holds in C, where neither its `__dict__` nor `__getattr__` reaches."""
    found: dict[str, Any] = {}
    for each in reversed(cause_class.__mro__):
        if each not in base.__mro__:
            found.update(vars(each))
    return {
        name: _forwarder(name)
        for name, attribute in found.items()
        if isinstance(attribute, _NATIVE) and not name.startswith("__")
    }


def _forwarder(name: str) -> property:
    return property(
        lambda error: getattr(error.cause, name),
        lambda error, value: setattr(error.cause, name, value),
    )
