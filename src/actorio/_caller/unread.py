"""Errors that nobody reads: reported once, when the last reference to them goes, as asyncio does.

Silent when the error was read anywhere: by `get`, an ``await``, a future, or through another call that had the
reference as an argument and shares its error; and when whoever waited has given up, by being cancelled.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger("actorio")


class UnreadError:
    """Shared by all results that end with one error, and gone with the last of them.

    Made for errors only, so that values pay nothing.

    Args:
        describe: returns the text of the report.
    """

    __slots__ = ("_describe", "is_read")

    def __init__(self, describe: Callable[[], str], *, is_read: bool = False) -> None:
        self._describe = describe
        self.is_read = is_read

    def __del__(self) -> None:
        if not self.is_read:
            try:
                _logger.error("a call failed and nobody read its result: %s", self._describe())
            except Exception:
                # The interpreter is going down, and logging with it.
                return


READ = UnreadError(str, is_read=True)
"""Stands for an error that need not be reported, whatever it will be."""
