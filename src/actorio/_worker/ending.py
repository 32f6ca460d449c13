"""How an actor's process ends: gracefully, by one path, whoever wants it.

The clean-up hook ``__ray_shutdown__`` runs on that path (plain or ``async``), then the exit stack of the runtime
context is unwound, then come the interpreter's exit functions, and what was printed is written. A hook that takes too
long is cut off. `kill` and crashes do not come here.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from actorio._model import context
from actorio._model.certificate import DeathCause, DeathCertificate
from actorio._model.task_error import remote_traceback
from actorio._worker import output

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorio._worker.executor import Executor

_logger = logging.getLogger("actorio")
# How long the hook and what follows may take when the actor ends by itself, in seconds, as in Ray. When somebody else
# wants the end, the node looks at the clock.
_LIMIT = 30.0
# How long an actor that asks to exit waits for the calls that run beside the one that asks, in seconds.
PATIENCE = 30.0
# How long the node may take to note why the actor ends, in seconds.
_REPORT_TIMEOUT = 5.0
_HOOK = "__ray_shutdown__"


class Ending:
    """The end of this process's actor. The first who asks for it decides why.

    Args:
        report: tells the node why, and waits until it knows.

    Attributes:
        actor_id: the actor's id.
        class_name: its class, for texts.
    """

    def __init__(self, report: Callable[[DeathCertificate, float], None]) -> None:
        self.actor_id = self.class_name = ""
        self._report = report
        self._lock = threading.Lock()
        self._is_claimed = False

    def claim(self) -> bool:
        """Returns True for the first caller, who is to end the process; all others leave it to that one."""
        with self._lock:
            is_first, self._is_claimed = not self._is_claimed, True
        return is_first

    def say_why(self, cause: DeathCause, detail: str = "") -> None:
        """Tells the node, so that it neither wonders nor restarts the actor."""
        certificate = DeathCertificate(self.actor_id, self.class_name, os.getpid(), cause, detail=detail)
        with suppress(Exception):
            self._report(certificate, _REPORT_TIMEOUT)

    def run_hook(self, executor: Executor | None) -> None:
        """Runs the clean-up hook and unwinds the exit stack, in the thread that calls. Its errors are logged."""
        self._watch()
        way_here = sys.exception()
        for clean_up in _clean_ups(executor):
            try:
                value = clean_up()
                if inspect.isawaitable(value):
                    asyncio.run(_wait_for(value))
            except BaseException as error:
                self._complain(error, way_here)

    async def run_hook_on_loop(self, executor: Executor | None) -> None:
        """Runs the clean-up hook and unwinds the exit stack, on the actor's loop. Its errors are logged."""
        self._watch()
        way_here = sys.exception()
        for clean_up in _clean_ups(executor):
            try:
                value = clean_up()
                if inspect.isawaitable(value):
                    await value
            except BaseException as error:
                self._complain(error, way_here)

    def _complain(self, error: BaseException, way_here: BaseException | None) -> None:
        """Logs an error, without the exception by which the actor's code was left."""
        _cut_chain(error, way_here)
        _logger.error("cleaning up at the end of %s failed:\n%s", self.class_name, remote_traceback(error))

    def _watch(self) -> None:
        """Sees to it that cleaning up ends."""
        timer = threading.Timer(_LIMIT, _cut_off, (self.class_name,))
        timer.daemon = True
        timer.start()


def _clean_ups(executor: Executor | None) -> list[Callable[[], Any]]:
    found: list[Callable[[], Any]] = []
    # Looked up on the class, as methods are.
    hook = getattr(type(executor.instance), _HOOK, None) if executor is not None else None
    if hook is not None and executor is not None:
        instance = executor.instance
        found.append(lambda: hook(instance))
    stack = context.opened_exit_stack()
    if stack is not None:
        found.append(stack.aclose)
    return found


def _cut_chain(error: BaseException, last: BaseException | None) -> None:
    links = [error]
    while (context := links[-1].__context__) is not None and context not in links:
        if context is last:
            links[-1].__context__ = None
            return
        links.append(context)


async def _wait_for(value: Any) -> Any:
    return await value


def _cut_off(class_name: str) -> NoReturn:
    output.warn(f"cleaning up at the end of {class_name} took more than {_LIMIT:.0f} seconds and was cut off")
    output.flush()
    os._exit(1)


def leave(code: int) -> NoReturn:
    """Ends the process from any thread: exit functions run, what was printed is written."""
    with suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001  # os._exit skips them; multiprocessing's children call it as well
    output.flush()
    os._exit(code & 0xFF)


def leave_by_signal() -> NoReturn:
    """Ends the process as the SIGTERM would have that has asked for it."""
    with suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001  # see above
    output.flush()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    os.kill(os.getpid(), signal.SIGTERM)
    os._exit(128 + signal.SIGTERM)
