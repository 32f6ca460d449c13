"""Failures that nobody reads: reported once, when the last reference to them goes, as asyncio does.

Silent when the failure was read anywhere: by `get`, an ``await``, a future, or another call that had the reference
as an argument.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from actorio._model.failure import TaskFailure

if TYPE_CHECKING:
    from actorio._wire.frames import Payload

_logger = logging.getLogger("actorio")


class UnreadFailure:
    """Lives as long as a failed result does; made for failures only, so that values pay nothing."""

    __slots__ = ("_payload", "is_read")

    def __init__(self, payload: Payload) -> None:
        self._payload = payload
        self.is_read = False

    def __del__(self) -> None:
        if not self.is_read:
            try:
                failure = TaskFailure.decode(bytes(self._payload))
                _logger.error("a call failed and nobody read its result: %s", failure.describe())
            except Exception:
                # The interpreter is going down, and logging with it.
                return
