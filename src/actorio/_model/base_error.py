"""The base of all errors, and the one that a task's failure may turn into.

They stand apart from `errors` because `task_error` builds on them and `errors` lists it.
"""

from typing import ClassVar


class RayError(Exception):
    """The base of every error that actorio itself raises about a call, an actor or a value."""

    __module__ = "actorio.exceptions"

    # What `str` says when the error was raised without a text.
    _default_text: ClassVar[str] = ""

    def __str__(self) -> str:
        return super().__str__() or self._default_text


class TaskCancelledError(RayError):
    """The call was cancelled.

    Args:
        task_id: The id of the call in hex, if it is known.
        error_message: A text that replaces the default one.
    """

    __module__ = "actorio.exceptions"

    def __init__(self, task_id: str | None = None, error_message: str = "") -> None:
        super().__init__(task_id, error_message)
        self.task_id = task_id
        self.error_message = error_message

    def __str__(self) -> str:
        if self.error_message:
            return self.error_message
        return "The call was cancelled." if self.task_id is None else f"The call {self.task_id} was cancelled."
