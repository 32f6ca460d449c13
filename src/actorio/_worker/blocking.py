"""A blocking `get` on the loop of an async actor can only do harm: it is refused at once, naming what to write."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PACKAGE = __name__.partition(".")[0]
_INSTEAD = {
    "get": "`await ref`, or `await asyncio.gather(*refs)` for several",
    "wait": "`done, pending = await asyncio.wait(refs)`",
    "Stream.__next__": "`async for value in stream`",
    "ObjectRefGenerator.__next__": "`async for ref in refs`",
    "ActorClass.scope": "`async with` instead of `with`",
    "Queue.get": "`await queue.get_async()`",
    "Queue.put": "`await queue.put_async(item)`",
}


class BlockingGuard:
    """Refuses blocking calls in the thread that made it, once armed.

    Not while the constructor runs: it cannot await, and no call waits for it but those that must.

    Attributes:
        name: the actor's class, for the error.
        is_forbidden: False for actors without a loop, and where the user has allowed it.
        tasks_thread: in a worker, returns the thread of the loop that asynchronous tasks share.
    """

    def __init__(self) -> None:
        self.name = ""
        self.is_forbidden = False
        self._is_armed = False
        self._thread = threading.get_ident()
        self.tasks_thread: Callable[[], int | None] | None = None

    def arm(self) -> None:
        """Refuses from now on."""
        self._is_armed = self.is_forbidden

    def check(self, function: str) -> None:
        """Called before a blocking wait.

        Raises:
            RuntimeError: this is the loop's thread.
        """
        if self._is_armed and threading.get_ident() == self._thread:
            raise RuntimeError(
                f"{_words(function)} would block the event loop of the async actor {self.name}, and with it every "
                f"other call: write {_instead_of(function)}. (A plain method can be made `async def`; "
                f"{self.name}.options(allow_blocking_get=True) lets it through.)"
            )
        if self.tasks_thread is not None and self.tasks_thread() == threading.get_ident():
            raise RuntimeError(
                f"{_words(function)} would block the event loop that the `async def` tasks of this worker share: "
                f"write {_instead_of(function)}, or make the function a plain one"
            )


def _words(function: str) -> str:
    name = function if "." in function else f"actorio.{function}"
    return f"{name}() at {_place()}"


def _instead_of(function: str) -> str:
    return _INSTEAD.get(function) or _in_a_thread(function)


def _in_a_thread(function: str) -> str:
    return f"`await asyncio.to_thread({function.replace('Queue', 'queue')}, ...)`"


def _place() -> str:
    frame = sys._getframe(2)  # noqa: SLF001  # there is no public way to see a caller cheaply
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
