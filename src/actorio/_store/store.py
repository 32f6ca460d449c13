"""The store of a process: the segments that it writes values to, kept for the next values while they are warm.

Fresh memory costs several times the copy into it. So a segment whose value nobody refers to any more is kept for a
while, and taken for the next value of about its size when nobody reads it either.
"""

from __future__ import annotations

import os
import queue
import resource
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from actorio._model.errors import ObjectStoreFullError
from actorio._model.travel import KeepingBytes
from actorio._store.layout import lay_out
from actorio._store.segment import Segment
from actorio._store.usage import Usage
from actorio._transport.descriptors import Descriptor
from actorio._transport.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from _typeshed import ReadableBuffer

# How long a segment is kept for the next value, in seconds.
WARM = 5.0
# How often it is looked for room, and for what has gone while segments are warm, in seconds.
_MOMENT, _GLANCE = 0.01, 0.2
# So many holders of memory are named.
_MAX_NAMED = 5
_PAGE = 4096
# Sizes are rounded up to one of eight steps between two powers of two.
_STEP_BITS = 4
# A value is not written to a segment of more than this many times its size.
_MAX_WASTE = 2
# So many warm segments are looked at for each value, and so many are kept.
_MAX_TRIES, _MAX_WARM = 16, 256
# A value has its own descriptor and its segment's, twice when that is mapped; readers need some, too.
_SHARE_OF_DESCRIPTORS = 8


class _Warm(NamedTuple):
    """A segment without a value, since some time; at that time it was free, or others read it."""

    since: float
    segment: Segment
    is_free: bool


class Store:
    """The segments of this process. Any thread may use it.

    Args:
        directory: the session's directory.
        name: says what to call this process in errors; asked when it has its first large value.
    """

    def __init__(self, directory: str, name: Callable[[], str]) -> None:
        self._directory = directory
        self._name = name
        # Segments whose value has just gone; and the sizes of values of others that have.
        self._gone: deque[Segment | int] = deque()
        # The oldest first.
        self._warm: list[_Warm] = []
        self._size = self._count = 0
        self._usage: Usage | None = None
        # A signal's handler may need it in the midst of this.
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        # A queue and not an event: objects die at any moment, in the midst of ringing even.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_asleep = self._is_closed = False
        self._most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _SHARE_OF_DESCRIPTORS

    # --- writing ------------------------------------------------------------------------------------------------

    def keep(self, buffers: Sequence[ReadableBuffer], *, waits: bool = False) -> KeepingBytes | None:
        """Writes a value's parts and returns it as a payload; None when there is no room.

        Args:
            buffers: the parts.
            waits: whether to wait for memory, as long as the session's limit says.

        Raises:
            ObjectStoreFullError: all of the memory that the session may have stayed taken while it waited.
        """
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        layout = lay_out([view.nbytes for view in views])
        size = _rounded(layout.end)
        try:
            segment = self._take(size)
            if segment is None and waits:
                segment = self._wait_for(size)
            if segment is None:
                return None
            value = Descriptor(segment.reader())
            value.on_close = partial(self._give_back, segment)
            segment.write(layout, views)
        except OSError:
            return None
        return KeepingBytes.of(b"", {}, (value,))

    def _take(self, size: int) -> Segment | None:
        """Returns a segment that nobody reads; None when there is no room for one."""
        with self._lock:
            self._note_gone()
            fitting = [each for each in self._warm if size <= each.segment.size <= size * _MAX_WASTE][:_MAX_TRIES]
            for each in fitting:
                # One that was read by nobody once is so for ever.
                if each.is_free or not each.segment.is_read():
                    self._warm.remove(each)
                    if not each.is_free:
                        self._account(each.segment.size, 1)
                    return each.segment
            if self._is_closed or self._count >= self._most or not self._has_room(size):
                return None
            segment = Segment(size)
            self._account(size, 1)
            return segment

    def _has_room(self, size: int) -> bool:
        """May this process have so many bytes more?"""
        usage = self._usage or self._open_usage()
        if usage is None or usage.total() + size <= usage.limit:
            return True
        # What is kept warm, and what others had when they died, is not needed.
        self._let_go(self._warm)
        self._warm = []
        usage.bury()
        return usage.total() + size <= usage.limit

    def _wait_for(self, size: int) -> Segment | None:
        usage = self._usage
        if usage is None or self._is_closed:
            return None
        if size > usage.limit:
            raise ObjectStoreFullError(_too_large(size, usage))
        deadline = time.monotonic() + usage.patience
        while not self._has_room(size):
            if time.monotonic() > deadline:
                raise ObjectStoreFullError(_full(size, usage))
            time.sleep(_MOMENT)
            with self._lock:
                self._note_gone()
        return self._take(size)

    def count_in(self, file: Descriptor) -> None:
        """Takes a value of another process, which this one owns, into account."""
        with self._lock:
            if not self._is_closed and (self._usage or self._open_usage()) is not None:
                size = os.fstat(file.fileno()).st_size
                self._account(size, 1)
                file.on_close = partial(self._give_back, size)

    # --- accounts -----------------------------------------------------------------------------------------------

    def _open_usage(self) -> Usage | None:
        try:
            self._usage = Usage(self._directory, self._name())
        except OSError:
            # The session ends.
            return None
        return self._usage

    def _account(self, size: int, count: int) -> None:
        self._size += size
        self._count += count
        if self._usage is not None:
            self._usage.note(self._size, self._count)
        if self._thread is None and not self._is_closed:
            self._thread = start_thread(self._run, "actorio-store")

    # --- letting go ---------------------------------------------------------------------------------------------

    def _give_back(self, gone: Segment | int) -> None:
        # Atomic steps only: this runs wherever an object may die.
        if not self._is_closed:
            self._gone.append(gone)
            if self._is_asleep:
                self._bell.put(None)

    def _note_gone(self) -> None:
        now = time.monotonic()
        while self._gone:
            gone = self._gone.popleft()
            if isinstance(gone, int):
                self._account(-gone, -1)
            else:
                # While others read it, the memory is theirs.
                is_free = not gone.is_read()
                if not is_free:
                    self._account(-gone.size, -1)
                self._warm.append(_Warm(now, gone, is_free))

    def _let_go(self, warm: list[_Warm]) -> None:
        """Closes segments. Some may still be read: then their memory goes with the last reader."""
        counted = [each.segment.size for each in warm if each.is_free]
        if counted:
            self._account(-sum(counted), -len(counted))

    def _cool(self) -> bool:
        """Lets go of what nobody needed for a while; returns whether anything is left."""
        with self._lock:
            self._note_gone()
            now = time.monotonic()
            warm = [each for each in self._warm[-_MAX_WARM:] if each.since + WARM > now]
            self._let_go(self._warm[: len(self._warm) - len(warm)])
            self._warm = warm
            return bool(warm)

    def _run(self) -> None:
        while not self._is_closed:
            self._is_asleep = not self._cool()
            # While segments are warm, others go unheard. What went just before it fell asleep has rung no bell.
            with suppress(queue.Empty):
                self._bell.get(timeout=None if self._is_asleep and not self._gone else _GLANCE)
            self._is_asleep = False

    def close(self) -> None:
        """Lets go of everything; values that are referred to stay as long as they are."""
        self.abandon()
        self._bell.put(None)
        if self._thread is not None:
            self._thread.join()
        if self._usage is not None:
            self._usage.close()
            self._usage = None

    def abandon(self) -> None:
        """Does the same in a forked child, where no thread of ours runs."""
        self._is_closed = True
        self._gone.clear()
        self._warm.clear()


def _rounded(size: int) -> int:
    step = max(1 << max(size.bit_length() - _STEP_BITS, 0), _PAGE)
    return -(-size // step) * step


def _too_large(size: int, usage: Usage) -> str:
    return (
        f"a value of {size:,} bytes is larger than all that the values of this session may take, {usage.limit:,} "
        "bytes; init(object_store_memory=...) sets that limit"
    )


def _full(size: int, usage: Usage) -> str:
    holders = "; ".join(
        f"{holder.name} (pid {holder.pid}) has {holder.size:,} in {holder.values} values"
        for holder in usage.holders()[:_MAX_NAMED]
    )
    return (
        f"there is no room for a value of {size:,} bytes: {usage.total():,} of the {usage.limit:,} bytes that the "
        f"values of this session may take are taken, and were not released within {usage.patience:g} seconds. "
        f"{holders}. Drop references that are not needed, or raise init(object_store_memory=...)"
    )
