"""What an actor takes over from the process that makes it, as it is at that moment."""

from __future__ import annotations

import logging
import os
import sys
import warnings

from actorio._model.birth import Surroundings
from actorio._wire.payload import dumps


def capture() -> Surroundings:
    """Returns this process's surroundings: module path, working directory, environment, warning filters, log level."""
    try:
        directory = os.getcwd()  # noqa: PTH109  # a string crosses the wire
    except FileNotFoundError:
        # The directory was removed under this process; the actor stays where it is.
        directory = ""
    return Surroundings(
        path=[str(entry) for entry in sys.path],
        directory=directory,
        environment=dict(os.environ),
        warning_filters=_filters(),
        log_level=logging.getLogger().level,
    )


def _filters() -> bytes:
    try:
        return dumps(list(warnings.filters))
    except Exception:  # noqa: BLE001  # a filter for a category that cannot travel must not prevent an actor
        return dumps([entry for entry in warnings.filters if entry[2].__module__ == "builtins"])
