"""Setting the handlers of signals in processes that have just begun."""

from __future__ import annotations

import signal
from typing import Any

# What `signal.signal` wraps. The wrapper makes members of enumerations out of numbers; for a handler that is a function
# it tries in vain, which costs every actor more than all the rest.
set_handler: Any = getattr(signal.signal, "__wrapped__", signal.signal)
