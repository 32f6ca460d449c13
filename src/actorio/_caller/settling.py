"""Settling `concurrent.futures` futures, in a thread of its own.

Their callbacks are the user's code and may block, for other results even: so not in a thread that reads for others.
"""

from __future__ import annotations

import os
import queue
import threading
from typing import TYPE_CHECKING, Any

from actorio._transport.threads import start_thread

if TYPE_CHECKING:
    import concurrent.futures

    from actorio._caller.pending import PendingResult

    Task = tuple[PendingResult, concurrent.futures.Future[Any]]


class Settler:
    """Settles futures one after the other; the thread is started with the first."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._pid = 0

    def settle(self, result: PendingResult, future: concurrent.futures.Future[Any]) -> None:
        """Gives a future the value or the error of a result that is done, soon."""
        if self._pid == os.getpid() or self._start():
            self._tasks.put((result, future))
        else:
            _settle(result, future)

    def _start(self) -> bool:
        with self._lock:
            # A forked child has no threads but its own.
            if self._pid != os.getpid() and start_thread(self._run, "actorio-futures") is not None:
                self._pid = os.getpid()
            return self._pid == os.getpid()

    def _run(self) -> None:
        while True:
            _settle(*self._tasks.get())


def _settle(result: PendingResult, future: concurrent.futures.Future[Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        value = result.value()
    except BaseException as error:  # whatever the call ended with belongs to the future
        future.set_exception(error)
    else:
        future.set_result(value)


SETTLER = Settler()
