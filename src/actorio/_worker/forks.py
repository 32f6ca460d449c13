"""A child that the actor's own code forks is no actor: neither signals nor calls of the actor are its business."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from actorio._transport.signals import handler_of

if TYPE_CHECKING:
    from collections.abc import Callable


class _Process:
    """What this process is: the actor, or a child of it.

    Attributes:
        on_sigterm: what the actor does when it is asked to end, and no child of it.
    """

    is_child = False
    on_sigterm: Any = None


PROCESS = _Process()
_MASK = threading.local()


def be_an_actor(forget: Callable[[], object]) -> None:
    """Says that this process is an actor, and that the handler of SIGTERM which it has now is an actor's.

    Args:
        forget: called in a forked child, to let go of the actor's connections.
    """
    PROCESS.on_sigterm = handler_of(signal.SIGTERM)
    os.register_at_fork(before=_hold_back, after_in_parent=_let_through, after_in_child=lambda: _be_a_child(forget))


def leave_child(call: str) -> NoReturn:
    """Ends a forked child that has left the method which forked it: the actor itself answers the caller."""
    error = sys.exception()
    if error is not None:
        traceback.print_exception(error)
    sys.stderr.write(f"{call}() is left in a forked child, which ends here: the actor itself answers the caller\n")
    sys.stderr.flush()
    os._exit(1)


def _hold_back() -> None:
    # A SIGTERM for the child that comes before it is one would be taken for the actor's, and forgotten.
    _MASK.before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _let_through() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _MASK.before)


def _be_a_child(forget: Callable[[], object]) -> None:
    PROCESS.is_child = True
    # It is the actor's loop that hears of signals there.
    signal.set_wakeup_fd(-1)
    if signal.getsignal(signal.SIGTERM) == PROCESS.on_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _let_through()
    forget()
