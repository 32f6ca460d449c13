"""Whether a value is being pickled to be sent, and not by a user for himself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType, FrameType

# C pickle calls back from the sender's own frame, cloudpickle from a few frames above it.
_MAX_FRAMES = 6
_SENDERS: set[CodeType] = set()


def are_senders(*functions: CodeType) -> None:
    """Notes functions in whose frames values are pickled to be sent."""
    _SENDERS.update(functions)


def is_sending(frame: FrameType | None) -> bool:
    """Is this the frame of a sender, or one that it has called?"""
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return False
        if frame.f_code in _SENDERS:
            return True
        frame = frame.f_back
    return False
