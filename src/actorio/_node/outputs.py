"""The pipes that actors write their standard streams to: read, cut into lines, kept in part for death certificates."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

from actorio._node.lines import LineSplitter

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

_CHUNK = 1 << 16
# The last lines of standard error that a death certificate quotes.
_TAIL = 50


class Pipe:
    """One stream of one actor.

    Args:
        on_lines: called with whole lines, as they come.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, on_lines: Callable[[list[bytes]], None]) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.tail: deque[bytes] = deque(maxlen=_TAIL)
        self._loop = loop
        self._on_lines = on_lines
        self._splitter = LineSplitter()
        self.resume()

    def resume(self) -> None:
        """Reads from now on."""
        if self.fd >= 0:
            self._loop.add_reader(self.fd, self.read)

    def pause(self) -> None:
        """Leaves the rest in the pipe; the actor waits when that is full."""
        if self.fd >= 0:
            self._loop.remove_reader(self.fd)

    def read(self) -> bool:
        """Reads once; returns whether there was anything."""
        try:
            data = os.read(self.fd, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self.close()
            return False
        self._emit(self._splitter.feed(data))
        return True

    def drain(self) -> None:
        """Reads all that is there now: the actor has ended, though a child of it may still hold the pipe."""
        while self.fd >= 0 and self.read():
            pass
        self._emit(self._splitter.finish())

    def close(self) -> None:
        """Emits what is left and closes the pipe."""
        self._emit(self._splitter.finish())
        if self.fd >= 0:
            self._loop.remove_reader(self.fd)
            os.close(self.fd)
            self.fd = -1

    def _emit(self, lines: list[bytes]) -> None:
        if lines:
            self.tail.extend(lines)
            self._on_lines(lines)


class Outputs:
    """The pipes of all actors.

    Args:
        on_output: called with actor id, stream (1 or 2) and whole lines.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_output: Callable[[str, int, list[bytes]], None]) -> None:
        self._loop = loop
        self._on_output = on_output
        self._pipes: dict[str, tuple[Pipe, Pipe]] = {}
        # The ends to read of those whose processes are being made.
        self._coming: dict[str, tuple[int, int]] = {}

    def open(self, actor_id: str) -> tuple[tuple[int, int], tuple[int, int]]:
        """Makes an actor's pipes; returns the ends to write to, for stdout and stderr, and the ends that are read.

        Nothing is read before `begin`: an actor may print before it is known who it is.

        Raises:
            OSError: descriptors have run out.
        """
        out_read, out_write = os.pipe()
        try:
            err_read, err_write = os.pipe()
        except OSError:
            os.close(out_read)
            os.close(out_write)
            raise
        self._coming[actor_id] = (out_read, err_read)
        return (out_write, err_write), (out_read, err_read)

    def begin(self, actor_id: str) -> None:
        """Reads an actor's pipes from now on: its process is known."""
        reading = self._coming.pop(actor_id, None)
        if reading is not None:
            self.adopt(actor_id, reading)

    def adopt(self, actor_id: str, reading: Sequence[int]) -> None:
        """Reads pipes from now on: those ends of an actor's stdout and stderr."""
        out_read, err_read = reading
        self._pipes[actor_id] = (
            Pipe(self._loop, out_read, lambda lines: self._on_output(actor_id, 1, lines)),
            Pipe(self._loop, err_read, lambda lines: self._on_output(actor_id, 2, lines)),
        )

    def finish(self, actor_id: str) -> list[str]:
        """Reads the rest of a dead actor's output; returns the last lines of its standard error."""
        self.begin(actor_id)
        pipes = self._pipes.pop(actor_id, None)
        if pipes is None:
            return []
        for pipe in pipes:
            pipe.drain()
            pipe.close()
        return [line.decode(errors="replace") for line in pipes[1].tail]

    def finish_all(self) -> None:
        """Reads the rest of everybody's output."""
        for actor_id in [*self._pipes, *self._coming]:
            self.finish(actor_id)

    def pause(self) -> None:
        """Stops reading: nobody takes the lines as fast as they come."""
        for pipe in [pipe for pair in self._pipes.values() for pipe in pair]:
            pipe.pause()

    def resume(self) -> None:
        """Reads again."""
        for pipe in [pipe for pair in self._pipes.values() for pipe in pair]:
            pipe.resume()
