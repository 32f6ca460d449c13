"""An actor that sends itself sends its handle: wherever ``self`` is in what leaves, also inside containers."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from actorio._model.argument import OWN
from actorio._store import values
from actorio._wire import payload

if TYPE_CHECKING:
    from types import FrameType

# Pickling runs in frames of these: a user who pickles the instance for himself gets what he always got.
_SENDERS = (
    payload.dumps.__code__,
    values.dumps.__code__,
    values._in_one_piece.__code__,  # noqa: SLF001  # the same, for what has small large buffers
    payload.dumps_apart.__code__,
    payload._dumps_by_value.__code__,  # noqa: SLF001  # cloudpickle's side of it
)
# C pickle calls back from the sender's own frame, cloudpickle from a few frames above it.
_MAX_FRAMES = 6


def send_as_handle(cls: type) -> None:
    """Has the one instance of an actor's class leave this process as a handle."""
    original: Any = cls.__reduce_ex__

    def reduce_ex(self: Any, protocol: Any) -> Any:
        if self is OWN.instance and OWN.handle is not None and _is_sending(sys._getframe(1)):  # noqa: SLF001
            return OWN.handle.__reduce__()
        return original(self, protocol)

    # A class that takes no attributes (an extension's) goes its own way.
    with suppress(TypeError, AttributeError):
        cls.__reduce_ex__ = reduce_ex  # type: ignore[assignment,method-assign]


def _is_sending(frame: FrameType | None) -> bool:
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return False
        if frame.f_code in _SENDERS:
            return True
        frame = frame.f_back
    return False
