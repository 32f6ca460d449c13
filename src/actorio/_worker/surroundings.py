"""Taking over the surroundings of the process that made this actor."""

from __future__ import annotations

import logging
import os
import sys
import types
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from actorio._wire.payload import loads

if TYPE_CHECKING:
    from actorio._model.birth import Surroundings


def take_over(surroundings: Surroundings) -> None:
    """Makes module path, working directory, environment, warning filters and log level those of the maker."""
    os.environ.clear()
    os.environ.update(surroundings.environment)
    with suppress(OSError):
        os.chdir(surroundings.directory)
    sys.path[:] = surroundings.path
    logging.getLogger().setLevel(surroundings.log_level)
    with suppress(Exception):
        # A filter's category may live in a module that cannot be imported here.
        warnings.filters[:] = loads(surroundings.warning_filters)  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]  # noqa: SLF001  # what simplefilter() does, too


def forget_the_template() -> None:
    """Leaves nothing in this process's ``__main__`` of the program that it was forked from."""
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    sys.argv[:] = [""]
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        # Forked processes share the generator's state; Python's own reseeds itself.
        numpy_random.seed()
