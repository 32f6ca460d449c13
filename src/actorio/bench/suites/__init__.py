"""The suites, each a module with a `SUITE`, imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actorio.bench.suite import Suite

# In the order in which they run.
NAMES = ("calls", "concurrency", "objects", "streams", "spawn", "memory", "control")
# Run only when they are named.
OPTIONAL = ("soak",)


def load_suite(name: str) -> Suite:
    """Imports a suite, optional ones too."""
    suite: Suite = importlib.import_module(f"actorio.bench.suites.{name}").SUITE
    return suite
