"""Arguments that were references of their own: they travel as parts of the call, and are put back in the actor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorio._model.reference import ObjectRef

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from actorio._model.handle import ActorHandle


class Part:
    """Stands for the value of a reference among pickled arguments."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index

    def __reduce__(self) -> tuple[type[Part], tuple[int]]:
        return Part, (self.index,)


class _Own:
    """The actor that this process is: its instance, which callers must not get a copy of, and its handle instead."""

    instance: object = object()
    handle: ActorHandle | None = None


OWN = _Own()


def has_references(kwargs: Mapping[str, Any]) -> bool:
    """Is one of the keyword arguments itself a reference, or the actor itself? What is in containers does not count."""
    return any(value.__class__ is ObjectRef or value is OWN.instance for value in kwargs.values())


def take_references(
    args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], list[ObjectRef[Any]]]:
    """Returns the arguments with a `Part` for each reference, and the references.

    An actor that passes itself passes its handle.
    """
    refs: list[ObjectRef[Any]] = []

    def take(value: Any) -> Any:
        if value is OWN.instance:
            return OWN.handle
        if value.__class__ is not ObjectRef:
            return value
        refs.append(value)
        return Part(len(refs) - 1)

    return tuple(map(take, args)), {name: take(value) for name, value in kwargs.items()}, refs


def put_back(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], parts: Sequence[bytes], loads: Callable[[bytes], Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the arguments with the values of the parts in their places."""

    def back(value: Any) -> Any:
        return loads(parts[value.index]) if value.__class__ is Part else value

    return tuple(map(back, args)), {name: back(value) for name, value in kwargs.items()}
