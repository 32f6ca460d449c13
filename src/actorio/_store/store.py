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
import weakref
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from actorio._model.errors import ObjectStoreFullError
from actorio._model.travel import KeepingBytes
from actorio._store.layout import lay_out
from actorio._store.segment import Segment
from actorio._store.usage import Usage
from actorio._transport.descriptors import Descriptor
from actorio._transport.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
    """The segments of this process. Any thread may use it, and any signal's handler, for whom values are bytes.

    Objects die at any moment, and Ctrl-C may come at any step of Python code. So what has died is noted by callbacks
    that have no such steps, and looked at later; and who holds a segment that is lost on the way lets go of it.

    Args:
        directory: the session's directory.
        name: says what to call this process in errors; asked when it has its first large value.
    """

    def __init__(self, directory: str, name: Callable[[], str]) -> None:
        self._directory = directory
        self._name = name
        # The segments that values are in, by what tells of the value's end; None ends the thread.
        self._full: dict[weakref.ref[Descriptor], Segment] = {}
        self._gone: queue.SimpleQueue[weakref.ref[Descriptor] | None] = queue.SimpleQueue()
        # The sizes of all that is accounted to this process, by what tells that it is no more.
        self._sizes: dict[weakref.ref[Descriptor], int] = {}
        self._dead: deque[weakref.ref[Descriptor]] = deque()
        # The oldest first.
        self._warm: list[_Warm] = []
        self._usage: Usage | None = None
        self._lock = threading.RLock()
        self._is_busy = self._is_closed = False
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
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
            self._full[weakref.ref(value, self._gone.put)] = segment
            segment.write(layout, views)
        except OSError:
            return None
        return KeepingBytes.of(b"", {}, (value,))

    def _take(self, size: int) -> Segment | None:
        """Returns a segment that nobody reads; None when there is no room for one."""
        with self._turn() as is_mine:
            if not is_mine or self._is_closed:
                return None
            self._note_gone()
            warm = self._find_warm(size)
            if warm is not None:
                self._warm.remove(warm)
                self._note_usage()
                return warm.segment
            if len(self._sizes) >= self._most or not self._has_room(size):
                return None
            segment = Segment(size)
            self._account(segment, size)
            return segment

    def _find_warm(self, size: int) -> _Warm | None:
        fitting = [each for each in self._warm if size <= each.segment.size <= size * _MAX_WASTE]
        # One that was read by nobody once is so for ever.
        return next((each for each in fitting[:_MAX_TRIES] if each.is_free or not each.segment.is_read()), None)

    def _has_room(self, size: int) -> bool:
        """May this process have so many bytes more?"""
        usage = self._usage or self._open_usage()
        if usage is None or usage.total() + size <= usage.limit:
            return True
        # What is kept warm, and what others had when they died, is not needed.
        self._warm = []
        self._note_usage()
        usage.bury()
        return usage.total() + size <= usage.limit

    def _wait_for(self, size: int) -> Segment | None:
        usage = self._usage
        if usage is None:
            return None
        if size > usage.limit:
            raise ObjectStoreFullError(_too_large(size, usage))
        deadline = time.monotonic() + usage.patience
        while not self._has_room_now(size):
            if time.monotonic() > deadline:
                raise ObjectStoreFullError(_full(size, usage))
            time.sleep(_MOMENT)
        return self._take(size)

    def _has_room_now(self, size: int) -> bool:
        with self._turn() as is_mine:
            if not is_mine or self._is_closed:
                return True
            self._note_gone()
            return self._has_room(size)

    def count_in(self, file: Descriptor) -> None:
        """Takes a value of another process, which this one owns, into account."""
        with self._turn() as is_mine:
            if is_mine and not self._is_closed and (self._usage or self._open_usage()) is not None:
                self._account(file, os.fstat(file.fileno()).st_size)

    @contextmanager
    def _turn(self) -> Iterator[bool]:
        """Keeps other threads out; gives False in a signal's handler that has come in the midst of this."""
        with self._lock:
            is_mine = not self._is_busy
            try:
                self._is_busy = True
                yield is_mine
            finally:
                if is_mine:
                    self._is_busy = False

    # --- accounts -----------------------------------------------------------------------------------------------

    def _open_usage(self) -> Usage | None:
        try:
            self._usage = Usage(self._directory, self._name())
        except OSError:
            # The session ends.
            return None
        return self._usage

    def _account(self, file: Descriptor, size: int) -> None:
        """Counts a file until it is closed."""
        self._sizes[weakref.ref(file, self._dead.append)] = size
        self._note_usage()
        if self._thread is None and not self._is_closed:
            self._thread = start_thread(self._run, "actorio-store")

    def _note_usage(self) -> None:
        while self._dead:
            self._sizes.pop(self._dead.popleft(), None)
        if self._usage is not None:
            # While others read a segment that has lost its value, the memory is theirs.
            lent = [each.segment.size for each in self._warm if not each.is_free]
            self._usage.note(sum(self._sizes.values()) - sum(lent), len(self._sizes) - len(lent))

    # --- letting go ---------------------------------------------------------------------------------------------

    def _note_gone(self, first: weakref.ref[Descriptor] | None = None) -> None:
        """Takes the segments back whose values have gone."""
        gone = [] if first is None else [first]
        with suppress(queue.Empty):
            while (each := self._gone.get_nowait()) is not None:
                gone.append(each)
        now = time.monotonic()
        segments = [self._full.pop(each) for each in gone if each in self._full]
        if segments and not self._is_closed:
            self._warm += [_Warm(now, segment, not segment.is_read()) for segment in segments]
        if segments or self._dead:
            self._note_usage()

    def _cool(self, first: weakref.ref[Descriptor] | None = None) -> bool:
        """Lets go of what nobody needed for a while; returns whether anything is left.

        Segments may still be read: then their memory goes with the last reader.
        """
        with self._turn():
            self._note_gone(first)
            # One that was being noted when Ctrl-C came.
            for lost in [each for each in list(self._full) if each() is None]:
                self._note_gone(lost)
            now = time.monotonic()
            warm = [each for each in self._warm[-_MAX_WARM:] if each.since + WARM > now]
            if len(warm) < len(self._warm):
                self._warm = warm
                self._note_usage()
            return bool(self._warm)

    def _run(self) -> None:
        while not self._is_closed:
            # While segments are warm, nobody rings for others: that would cost each value a change of threads.
            if self._cool():
                self._ended.wait(_GLANCE)
            elif not self._is_closed:
                self._cool(self._gone.get())

    def close(self) -> None:
        """Lets go of everything; values that are referred to stay as long as they are."""
        self._is_closed = True
        self._gone.put(None)
        self._ended.set()
        if self._thread is not None:
            # It may be putting away what is warm.
            self._thread.join()
        self.abandon()
        if self._usage is not None:
            self._usage.close()
            self._usage = None

    def abandon(self) -> None:
        """Does the same in a forked child, where no thread of ours runs."""
        self._is_closed = True
        self._warm = []
        self._full = {}


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
