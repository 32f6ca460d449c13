"""Interrupting methods that run in threads, where they allow it: `KeyboardInterrupt`, as for Ctrl-C.

An interruption must never reach the next call of the same thread: a call says when it can be interrupted no more, and
what is on its way then is waited for, or taken back.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from actorio._model.context import CURRENT_CALL
from actorio._worker.delivered import Delivered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# A signal that was sent to a running thread arrives within microseconds; this many seconds are an eternity.
_LONGEST_WAY = 0.01
AGAIN = 0.002
"""How long after a try that was too early there is another, in seconds."""
_PACKAGE = __file__.rpartition("_worker")[0]
# What calls methods and functions of users: above it is their code.
_BOUNDARIES = ("actorio/_worker/interruption.py", "actorio/_caller/task_worker.py")


class Interruptions:
    """The calls of this process that may be interrupted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The thread that runs a call, and whether it has been interrupted.
        self._running: dict[Delivered, tuple[int, bool]] = {}

    def run(
        self, call: Delivered, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Runs a method that may be interrupted, in this thread.

        Raises:
            KeyboardInterrupt: it is to end already.
        """
        try:
            self.begin(call)
            if call.reason is not None:
                # Whoever wanted it to end may have found nothing to interrupt.
                raise KeyboardInterrupt
            return function(*args, **kwargs)
        finally:
            try:
                self.end(call)
            finally:
                # The interruption may come before `end` gets to it.
                self._running.pop(call, None)

    def begin(self, call: Delivered) -> None:
        """From here on the call may be interrupted; in its thread."""
        call.runner = threading.get_ident()
        self._running[call] = (call.runner, False)

    def end(self, call: Delivered) -> None:
        """From here on it may not.

        Raises:
            KeyboardInterrupt: one was on its way.
        """
        with self._lock:
            thread, was_interrupted = self._running.pop(call, (0, False))
        if was_interrupted:
            if _is_woken_by_signal(thread):
                time.sleep(_LONGEST_WAY)
            else:
                _raise_in(thread, None)

    def interrupt(self, call: Delivered) -> bool:
        """Raises `KeyboardInterrupt` in the thread of a call; in the main thread it ends what that waits for, too.

        Returns False when the method is just calling others, which must not be torn: to be tried again soon.
        """
        with self._lock:
            thread, was_interrupted = self._running.get(call, (0, True))
            if was_interrupted or call.was_interrupted:
                return True
            if _is_in_runtime(thread):
                # Perhaps it comes back to its own code for moments only: then it finds this out when it waits next.
                call.is_interruption_due = True
                return False
            self._running[call] = (thread, True)
            if _is_woken_by_signal(thread):
                signal.pthread_kill(thread, signal.SIGINT)
            else:
                _raise_in(thread, KeyboardInterrupt)
            return True


def raise_if_due() -> None:
    """Called before the call of this thread waits for others.

    Raises:
        KeyboardInterrupt: it is to end, and has been among others whenever it was to be interrupted.
    """
    call = CURRENT_CALL.get()
    if isinstance(call, Delivered) and call.is_interruption_due and call.runner == threading.get_ident():
        call.is_interruption_due, call.was_interrupted = False, True
        raise KeyboardInterrupt


def _is_in_runtime(thread: int) -> bool:
    """Does a thread run code of this package, or what that has called, above the method?

    While this function runs, the thread does not; when it goes on, it raises before its next step into the package.
    """
    frame = sys._current_frames().get(thread)  # noqa: SLF001  # the documented way to see other threads
    while frame is not None and not frame.f_code.co_filename.endswith(_BOUNDARIES):
        if frame.f_code.co_filename.startswith(_PACKAGE):
            return True
        frame = frame.f_back
    return False


def _is_woken_by_signal(thread: int) -> bool:
    is_main = thread == threading.main_thread().ident
    return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Has a thread raise an exception when it next runs Python code; None takes back what has not been raised."""
    # Few actors need it, and each would pay for the module.
    import ctypes

    exception = None if kind is None else ctypes.py_object(kind)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)
