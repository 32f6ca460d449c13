"""Removing a session's directory: whoever ends last does it."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress


def remove_session(path: str) -> None:
    """Removes a session's directory and, when it was the last one, the directory of all sessions."""
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        os.rmdir(os.path.dirname(path))  # noqa: PTH106, PTH120
