"""The event loop that the package's own processes run: uvloop's where there is one. Users' loops are theirs."""

from __future__ import annotations

import asyncio


def new_loop() -> asyncio.AbstractEventLoop:
    """Returns a new event loop."""
    try:
        import uvloop
    except ImportError:
        # No wheel for this platform.
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
