"""Calls with several results, ``num_returns=n``: one reply, whose values are taken apart without being unpickled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorio._caller.pending import VALUE, PendingResult
from actorio._model.reference import ObjectRef
from actorio._model.travel import files_of, kept_by, part_of
from actorio._wire.parts import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator


class PartResult(PendingResult):
    """One of the values that a reply will bring.

    Args:
        whole: the result of the call.
    """

    __slots__ = ("_whole",)

    def __init__(self, number: int, whole: PendingResult) -> None:
        super().__init__(number, whole.lane, whole.what)
        self._whole: PendingResult | None = whole
        # The others are somebody's as well.
        self.is_shared = True

    def to_cancel(self) -> PendingResult:
        """See `PendingResult.to_cancel`."""
        return self if self._whole is None else self._whole

    def let_go(self) -> None:
        """The call has ended: all values need not live as long as one of them."""
        self._whole = None


def split(whole: PendingResult, numbers: Iterator[int]) -> list[ObjectRef[Any]]:
    """Returns a reference to each of the values that a reply will bring, or to its error."""
    if whole.returns == 1:
        return [ObjectRef(whole)]
    # Whoever waits for one of them reads the connection of all.
    parts = [PartResult(next(numbers), whole) for _ in range(whole.returns)]

    def complete(whole: PendingResult) -> None:
        for part in parts:
            part.let_go()
        if whole.state != VALUE:
            for part in parts:
                part.complete_like(whole)
            return
        kept, files = kept_by(whole.payload), iter(files_of(whole.payload))
        for part, payload in zip(parts, unpack(whole.payload), strict=True):
            part.complete(VALUE, part_of(payload, kept, files))

    if parts:
        whole.add_callback(complete)
    return [ObjectRef(part) for part in parts]
