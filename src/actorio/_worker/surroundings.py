"""Taking over the surroundings of the process that made this actor."""

from __future__ import annotations

import logging
import os
import re
import sys
import types
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from actorio._model.birth import Surroundings

if TYPE_CHECKING:
    from actorio._model.birth import WarningFilter


class _Taken:
    """What this process, or the template that it was forked from, has taken over."""

    data = b""
    # Filters for warnings of modules that have not been imported here are still to come.
    is_incomplete = False


def take_over(data: bytes) -> None:
    """Makes module path, working directory, environment, warning filters and log level those of the maker.

    Args:
        data: encoded `Surroundings`. Those of the template are in force already, and cost nothing.
    """
    if data != _Taken.data:
        settle_in(data)


def settle_in(data: bytes) -> None:
    """Takes over surroundings, whatever has been changed since the last time; for the template."""
    _Taken.data = data
    surroundings = Surroundings.decode(data)
    _take_environment(surroundings.environment)
    with suppress(OSError):
        os.chdir(surroundings.directory)
    sys.path[:] = map(os.fsdecode, surroundings.path)
    logging.getLogger().setLevel(surroundings.log_level)
    filters = list(map(_filter, surroundings.warning_filters))
    _Taken.is_incomplete = None in filters
    _use([each for each in filters if each is not None])


def complete() -> None:
    """Takes over the filters for warnings of modules that have been imported since, before those that came with them.

    Importing them for the filters alone would cost each actor what its maker has imported.
    """
    if _Taken.is_incomplete:
        filters = [each for each in map(_filter, Surroundings.decode(_Taken.data).warning_filters) if each is not None]
        _use([*(each for each in warnings.filters if each not in filters), *filters])


def _use(filters: list[tuple[Any, ...]]) -> None:
    if filters != warnings.filters:
        warnings.filters[:] = filters  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]  # noqa: SLF001  # what simplefilter() does, too


def _take_environment(wanted: dict[bytes, bytes]) -> None:
    # Touches only what differs: what is left alone stays shared with the template.
    for name in [name for name in os.environb if name not in wanted]:
        del os.environb[name]
    for name, value in wanted.items():
        if os.environb.get(name) != value:
            os.environb[name] = value


def _filter(entry: WarningFilter) -> tuple[Any, ...] | None:
    category: Any = sys.modules.get(entry.category_module)
    for name in entry.category_name.split("."):
        category = getattr(category, name, None)
    if not isinstance(category, type):
        # A category of ``__main__``, or of a module that has not been imported here: nothing here can raise it.
        return None
    message = None if entry.message is None else re.compile(entry.message, re.IGNORECASE)
    module = None if entry.module is None else re.compile(entry.module)
    return entry.action, message, category, module, entry.line


def forget_the_template() -> None:
    """Leaves nothing in this process's ``__main__`` of the program that it was forked from."""
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    sys.argv[:] = [""]


def reseed() -> None:
    """Has this process draw other random numbers than those that were forked from the same one."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        # Python's own generator reseeds itself.
        numpy_random.seed()
