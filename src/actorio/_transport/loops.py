"""The event loop that the package's own processes run: uvloop's where there is one. Users' loops are theirs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        # No wheel for this platform.
        return asyncio.new_event_loop
    return uvloop.new_event_loop


# Decided when this module is imported, in the template of all actors: each actor would import uvloop anew otherwise.
new_loop = _loop_factory()
