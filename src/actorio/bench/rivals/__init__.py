"""What a person would use instead, each behind a small adapter that runs in a process of its own.

An adapter is a module with a function `open_sides`, run by `python -m actorio.bench.rivals NAME`: it says what it can
do, and is then asked for one sample at a time (`exchange`). So a rival's threads, memory and crashes touch nobody, and
its turns are interleaved with ours.
"""

from __future__ import annotations

import importlib.util

# Each with the package that it needs, which need not be installed.
PACKAGES = {"floor": "", "ray": "ray", "xoscar": "xoscar", "processpool": "", "managers": ""}
NAMES = tuple(PACKAGES)


def is_installed(name: str) -> bool:
    """Whether a rival can be started; nothing is imported to know it."""
    package = PACKAGES[name]
    return not package or importlib.util.find_spec(package) is not None
