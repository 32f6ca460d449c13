"""Handlers and masks of signals, for what every process does when it begins.

These are what Python's `signal` wraps. The wrappers make members of enumerations out of numbers, and where there is a
function instead they try in vain and make an error with a text: more than all that an actor does with signals besides.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_signal = importlib.import_module("_signal")
DEFAULT: Any = _signal.SIG_DFL
"""The handler that is none of the program's."""
set_handler: Callable[[int, Any], Any] = _signal.signal
"""Sets a handler, `DEFAULT` or a function; returns the one before."""
handler_of: Callable[[int], Any] = _signal.getsignal
"""Returns a handler."""
set_mask: Callable[[int, Iterable[int]], Any] = _signal.pthread_sigmask
"""Blocks signals in this thread, or lets them through."""
