"""Calls with several results, ``num_returns=n``: one reply, whose values are taken apart without being unpickled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorio._caller.pending import VALUE, PendingResult
from actorio._model.reference import ObjectRef
from actorio._model.travel import files_of, kept_by, part_of
from actorio._wire.parts import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator


def split(whole: PendingResult, numbers: Iterator[int]) -> list[ObjectRef[Any]]:
    """Returns a reference to each of the values that a reply will bring, or to its error."""
    if whole.returns == 1:
        return [ObjectRef(whole)]
    # Whoever waits for one of them reads the connection of all.
    parts = [PendingResult(next(numbers), whole.lane, whole.what) for _ in range(whole.returns)]

    def complete(whole: PendingResult) -> None:
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
