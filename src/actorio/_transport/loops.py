"""The event loop that the package's own processes run: uvloop's where there is one. Users' loops are theirs."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        # No wheel for this platform.
        return asyncio.new_event_loop
    return uvloop.new_event_loop


# Decided when this module is imported, in the template of all actors: each actor would import uvloop anew otherwise.
new_loop = _loop_factory()

_MADV_DONTNEED = 4


class _Buffer:
    """The buffer for streams that lies in each of uvloop's loops: 250 KiB of zeros, which nobody uses here.

    Attributes:
        span: where it lies in a loop, in bytes.
        advise: the system's `madvise`; None: nothing is known of buffers.
        compare: the system's `memcmp`.
        zeros: as many as lie there.
    """

    span = (0, 0)
    advise: Callable[[int, int, int], object] | None = None
    compare: Callable[[int, bytes, int], int]
    zeros = b""
    page = os.sysconf("SC_PAGE_SIZE")


_BUFFER = _Buffer()


def find_buffer() -> None:
    """Finds out for `new_slim_loop` where a loop has its buffer; for this process and those forked from it.

    Raises:
        OSError, AttributeError: this system has no `madvise`.
    """
    import ctypes
    import re

    library = ctypes.CDLL(None)
    advise, compare = library.madvise, library.memcmp
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    compare.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
    loop = new_loop()
    content = ctypes.string_at(id(loop), type(loop).__basicsize__)
    loop.close()
    _BUFFER.span = max((zeros.span() for zeros in re.finditer(rb"\0+", content)), key=lambda span: span[1] - span[0])
    _BUFFER.advise, _BUFFER.compare, _BUFFER.zeros = advise, compare, bytes(_BUFFER.span[1] - _BUFFER.span[0])


def new_slim_loop() -> asyncio.AbstractEventLoop:
    """Returns a new loop, whose buffer takes no memory until somebody uses it.

    A page of zeros that is given back to the system is a page of zeros again when it is looked at.
    """
    loop = new_loop()
    if _BUFFER.advise is not None:
        page = _BUFFER.page
        first, end = (-(-(id(loop) + _BUFFER.span[0]) // page) * page, (id(loop) + _BUFFER.span[1]) // page * page)
        size = end - first
        # Should there be anything in it, in this loop, it is left alone.
        if size > 0 and not _BUFFER.compare(first, _BUFFER.zeros, size):
            _BUFFER.advise(first, size, _MADV_DONTNEED)
    return loop
