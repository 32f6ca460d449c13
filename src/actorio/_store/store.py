"""The store of a process: the segments that it writes values to, kept for the next values while they are warm.

Fresh memory costs several times the copy into it. So a segment whose value nobody refers to any more is kept for a
while, and taken for the next value of about its size when nobody reads it either.
"""

from __future__ import annotations

import queue
import resource
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from actorio._model.travel import KeepingBytes
from actorio._store.layout import lay_out
from actorio._store.segment import Segment
from actorio._transport.descriptors import Descriptor
from actorio._transport.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from _typeshed import ReadableBuffer

# How long a segment is kept for the next value, in seconds.
WARM = 10.0
_PAGE = 4096
# Sizes are rounded up to one of eight steps between two powers of two.
_STEP_BITS = 4
# A value is not written to a segment of more than this many times its size.
_MAX_WASTE = 2
# So many warm segments are looked at for each value, and so many are kept.
_MAX_TRIES, _MAX_WARM = 16, 256
# A value has its own descriptor and its segment's, twice when that is mapped; readers need some, too.
_SHARE_OF_DESCRIPTORS = 8


class Kept(Descriptor):
    """A value in a segment of this process. When nobody refers to it any more, the segment may have another."""

    __slots__ = ("_give_back", "_segment")

    def __init__(self, segment: Segment, give_back: Callable[[Segment], None]) -> None:
        super().__init__(segment.reader())
        self._segment = segment
        self._give_back = give_back

    def __del__(self) -> None:
        super().__del__()
        with suppress(AttributeError):
            # It may die in the midst of its making.
            self._give_back(self._segment)


class Store:
    """The segments of this process. Any thread may use it."""

    def __init__(self) -> None:
        # Segments whose value has just gone.
        self._gone: deque[Segment] = deque()
        # Those without a value, and since when, the oldest first. Some may still be read.
        self._warm: list[tuple[float, Segment]] = []
        self._count = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        # A queue and not an event: objects die at any moment, in the midst of ringing even.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_asleep = self._is_closed = False
        self._limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _SHARE_OF_DESCRIPTORS

    # --- writing ------------------------------------------------------------------------------------------------

    def keep(self, buffers: Sequence[ReadableBuffer]) -> KeepingBytes | None:
        """Writes a value's parts and returns it as a payload; None when there is no room."""
        size = lay_out([memoryview(buffer).nbytes for buffer in buffers])[2]
        try:
            segment = self._take(_rounded(size))
            if segment is None:
                return None
            value = Kept(segment, self._give_back)
        except OSError:
            return None
        try:
            segment.write(buffers)
        except OSError:
            return None
        return KeepingBytes.of(b"", {}, (value,))

    def _take(self, size: int) -> Segment | None:
        """Returns a segment that nobody reads; None when there are too many."""
        with self._lock:
            self._note_gone()
            fitting = [each for each in self._warm if size <= each[1].size <= size * _MAX_WASTE][:_MAX_TRIES]
            for each in fitting:
                if not each[1].is_read():
                    self._warm.remove(each)
                    return each[1]
            if self._is_closed or self._count >= self._limit:
                return None
            segment = Segment(size)
            self._count += 1
            if self._thread is None:
                self._thread = start_thread(self._run, "actorio-store")
        return segment

    # --- letting go ---------------------------------------------------------------------------------------------

    def _give_back(self, segment: Segment) -> None:
        # Atomic steps only: this runs wherever an object may die.
        if not self._is_closed:
            self._gone.append(segment)
            if self._is_asleep:
                self._bell.put(None)

    def _note_gone(self) -> None:
        now = time.monotonic()
        while self._gone:
            self._warm.append((now, self._gone.popleft()))

    def _cool(self) -> float | None:
        """Lets go of segments that nobody needed; returns when to look again, in seconds, None when none is left.

        Some may still be read: then their memory goes with the last reader.
        """
        with self._lock:
            self._note_gone()
            now = time.monotonic()
            warm = [each for each in self._warm[-_MAX_WARM:] if each[0] + WARM > now]
            self._count -= len(self._warm) - len(warm)
            self._warm = warm
            return warm[0][0] + WARM - now if warm else None

    def _run(self) -> None:
        while not self._is_closed:
            pause = self._cool()
            self._is_asleep = pause is None
            # What has gone just before it fell asleep has rung no bell.
            with suppress(queue.Empty):
                self._bell.get(timeout=0 if self._is_asleep and self._gone else pause)
            self._is_asleep = False

    def close(self) -> None:
        """Lets go of everything; values that are referred to stay as long as they are."""
        self.abandon()
        self._bell.put(None)
        if self._thread is not None:
            self._thread.join()

    def abandon(self) -> None:
        """Does the same in a forked child, where no thread of ours runs."""
        self._is_closed = True
        self._gone.clear()
        self._warm.clear()


def _rounded(size: int) -> int:
    step = max(1 << max(size.bit_length() - _STEP_BITS, 0), _PAGE)
    return -(-size // step) * step
