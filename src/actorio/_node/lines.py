"""Cutting an actor's output into whole lines. Pure: bytes in, lines out."""

from __future__ import annotations

# A line that is longer than this is handed on in pieces, so that one without an end cannot fill the memory.
LONGEST = 1 << 20


class LineSplitter:
    """Keeps an incomplete line until the rest arrives."""

    __slots__ = ("_is_cut", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        # The line that goes on now has been handed on in part: its end alone is no line.
        self._is_cut = False

    def feed(self, data: bytes) -> list[bytes]:
        """Takes the next bytes; returns the lines that are complete now, without their ends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines and self._is_cut:
            self._is_cut = False
            if not lines[0]:
                del lines[0]
        if len(self._rest) > LONGEST:
            lines.append(self._rest)
            self._rest = b""
            self._is_cut = True
        return lines

    def finish(self) -> list[bytes]:
        """Returns what the stream ended with, if its last line was not complete."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []
