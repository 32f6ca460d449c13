"""Calls that wait for their arguments, and for their turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorio._caller.pending import PendingResult


class HeldCall:
    """A call that waits for its arguments: sent by ``send`` when ``missing`` is empty."""

    __slots__ = ("missing", "send")

    def __init__(self, missing: set[PendingResult], send: Callable[[], None]) -> None:
        self.missing = missing
        self.send = send
