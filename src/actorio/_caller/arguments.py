"""Pickling the arguments of a call, and saying which of them cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorio._model.travel import NOTED, KeepingBytes, files_of, take_notes
from actorio._store import values
from actorio._wire import payload as wire
from actorio._wire.payload import UnpicklableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actorio._model.definition import MethodDefinition


def pickled(value: Any, dumps: Callable[[Any], bytes] = values.dumps) -> bytes:
    """Returns a value as a payload, which keeps the actors whose handles are in it.

    Raises:
        Exception: whatever pickling it raises.
    """
    try:
        data = dumps(value)
    except BaseException:
        take_notes()
        raise
    return data if NOTED.actors is None else KeepingBytes.of(data, take_notes(), files_of(data))


def pickled_definition(definition: object) -> bytes:
    """Returns a class or function as bytes; by value where other processes could not import it."""
    import cloudpickle  # a process that only calls never needs it

    name = getattr(definition, "__qualname__", repr(definition))
    # What somebody has pickled on his own is not in this.
    take_notes()
    try:
        data: bytes = cloudpickle.dumps(definition)
        if NOTED.actors is not None:
            data = KeepingBytes.of(data, take_notes())
    except Exception as error:
        raise UnpicklableError(f"{name} cannot be sent to an actor. {wire.explain(definition, name, name)}") from error
    return data


def dump_arguments(
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    method: MethodDefinition,
    before: tuple[Any, ...] = (),
    dumps: Callable[[Any], bytes] = values.dumps,
) -> bytes:
    """Returns the arguments as a payload, after those that are ours and not the user's.

    Raises:
        UnpicklableError: one cannot be pickled; the text says which part of it, and what to do.
    """
    try:
        return pickled(((*before, *args), kwargs), dumps)
    except Exception as error:
        blame_arguments(args, kwargs, method, error)
        raise


def blame_arguments(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], method: MethodDefinition, error: Exception
) -> None:
    """Says which part of which argument cannot be pickled.

    Returns when none is to blame: a signal's handler has raised meanwhile.

    Raises:
        UnpicklableError: one is.
    """
    for root, value in (("args", args), *kwargs.items()):
        if wire.culprit(value, root) is not None:
            raise UnpicklableError(wire.explain(value, root, method.call_name)) from error
