"""Starting threads of our own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def start_thread(run: Callable[[], None], name: str) -> threading.Thread | None:
    """Returns a daemon thread that runs ``run``; None when the interpreter is ending, and starts no more threads."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread
