"""What an actor takes over from the process that makes it, as it is at that moment."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from typing import Any

from actorio._model.birth import Surroundings, WarningFilter


def capture() -> Surroundings:
    """Returns this process's surroundings: module path, working directory, environment, warning filters, log level."""
    try:
        directory = os.getcwd()  # noqa: PTH109  # a string crosses the wire
    except FileNotFoundError:
        # The directory was removed under this process; the actor stays where it is.
        directory = ""
    return Surroundings(
        path=[os.fsencode(entry) for entry in sys.path],
        directory=os.fsencode(directory),
        environment=dict(os.environb),
        warning_filters=[_filter(entry) for entry in warnings.filters],
        log_level=logging.getLogger().level,
    )


def _filter(entry: tuple[Any, ...]) -> WarningFilter:
    action, message, category, module, line = entry
    return WarningFilter(action, _text(message), category.__module__, category.__qualname__, _text(module), line)


def _text(pattern: re.Pattern[str] | str | None) -> str | None:
    return pattern.pattern if isinstance(pattern, re.Pattern) else pattern
