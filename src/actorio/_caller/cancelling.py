"""Cancelling calls of this process: one that nobody wants any more, and those that a cancelled call has made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorio._caller.flows import StreamResult
from actorio._caller.pending import PENDING, PendingResult
from actorio._caller.tasks import TaskResult, TaskStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorio._caller.calls import Calls
    from actorio._caller.tasks import Tasks


class Canceller:
    """Has calls end.

    Args:
        calls: those to actors.
        tasks: those to functions.
    """

    def __init__(self, calls: Calls, tasks: Tasks) -> None:
        self._calls = calls
        self._tasks = tasks

    def cancel(
        self,
        wanted: PendingResult,
        *,
        is_forced: bool = False,
        is_recursive: bool = True,
        make_error: Callable[[], BaseException] | None = None,
    ) -> None:
        """Has the call behind a result end; without effect on one that has ended. In any thread, without waiting.

        The result ends when the call has; with ``make_error`` at once.

        Raises:
            ValueError: ``is_forced``, and it is no task.
        """
        result = wanted.to_cancel()
        is_task = isinstance(result, TaskResult | TaskStream)
        if is_forced and not is_task:
            raise ValueError(
                f"cancel(force=True) would end the whole actor that runs {result.call}(): it is for function tasks; "
                "use actorio.kill(handle) to end an actor"
            )
        if result.state != PENDING:
            return
        # Whoever cancels knows how it ends.
        result.note_read()
        result.stop_trying()
        if make_error is not None:
            result.fail(make_error)
        if isinstance(result, TaskResult | TaskStream):
            self._tasks.cancel(result, is_forced=is_forced, is_recursive=is_recursive)
        elif result.lane is not None:
            result.lane.cancel(result, is_recursive=is_recursive)

    def cancel_made_in(self, parent: object) -> None:
        """Has all calls end that were made in a call of this process, but for those that others want, too."""
        for result in (*self._calls.made_in(parent), *self._tasks.made_in(parent)):
            if isinstance(result, StreamResult) or not (result.is_shared or result.is_awaited_beside(parent)):
                self.cancel(result)
