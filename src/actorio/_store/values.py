"""Values as payloads: small ones are pickled bytes, large ones lie in a segment."""

from __future__ import annotations

import mmap
import os
import pickle
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from actorio._model.travel import KeepingBytes, files_of
from actorio._store import tensors
from actorio._store.layout import parts_of
from actorio._store.senders import are_senders
from actorio._wire import payload as wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorio._store.store import Store
    from actorio._transport.descriptors import Descriptor
    from actorio._wire.frames import Payload

LARGE = 256 << 10
"""From how many bytes on a value lies in a segment: about where that gets quicker than two copies into sockets."""
# From how many bytes on a short look at a value takes less time than a search of its pickle.
_LONG = 4 << 10
# How far into a pickle it is looked for tensors, which need memory that can be written to; others are copied.
_GLANCE = 64 << 10


class _Slot:
    """The store of this process, made for its first large value: most actors never see any.

    Attributes:
        store: None before that, and when there is no session; then values are bytes.
        make: makes it; None when there is no session.
    """

    store: Store | None = None
    make: Callable[[], Store] | None = None
    # A signal's handler may need it, too.
    lock = threading.RLock()


SLOT = _Slot()


def open_store(make: Callable[[], Store]) -> None:
    """Says how a store is made when one is needed."""
    with SLOT.lock:
        SLOT.store, SLOT.make = None, make


def close_store() -> None:
    """Closes the store: the session ends."""
    if SLOT.store is not None:
        SLOT.store.close()
    _forget_store()


def abandon_store() -> None:
    """Does the same in a forked child, where no thread of ours runs."""
    if SLOT.store is not None:
        SLOT.store.abandon()
    _forget_store()


def _forget_store() -> None:
    with SLOT.lock:
        SLOT.store = SLOT.make = None


def _the_store() -> Store | None:
    with SLOT.lock:
        if SLOT.store is None and SLOT.make is not None:
            SLOT.store = SLOT.make()
        return SLOT.store


def dumps(value: Any, *, waits: bool = False) -> bytes:
    """Returns a value as a payload; a large one that there is no room for as bytes.

    Args:
        value: the value.
        waits: whether a large one waits for room instead.

    Raises:
        ObjectStoreFullError: it has waited, and there is none.
        Exception: whatever the value's own pickling raises.
    """
    try:
        # The commonest case first, a step shorter than by `dumps_apart`: every call and reply comes here.
        data = pickle.dumps(value, wire.PROTOCOL, buffer_callback=wire.refuse_large)
    except (wire.LargeBufferError, *wire.REFUSALS):
        return _dumps_otherwise(value, waits=waits)
    if (len(data) < _LONG or not wire.is_plain(value)) and data.rfind(wire.MAIN) >= 0:
        return _dumps_otherwise(value, waits=waits)
    return data if len(data) < LARGE else _keep(value, data, [], waits=waits)


def _dumps_otherwise(value: Any, *, waits: bool) -> bytes:
    data, buffers = wire.dumps_apart(value)
    # Lambdas and the like are small: a step shorter.
    return data if not buffers and len(data) < LARGE else _keep(value, data, buffers, waits=waits)


def _keep(value: Any, data: bytes, buffers: list[pickle.PickleBuffer], *, waits: bool) -> bytes:
    if not buffers and tensors.know():
        return dumps(value, waits=waits)
    size = len(data) + sum(memoryview(buffer).nbytes for buffer in buffers)
    store = _the_store() if size >= LARGE else None
    if store is not None:
        kept = store.keep([data, *(buffer.raw() for buffer in buffers)], waits=waits)
        if kept is not None:
            return kept
    return _in_one_piece(value, data) if buffers else data


def _in_one_piece(value: Any, apart: bytes) -> bytes:
    """Returns a value as `wire.dumps` does; what is ``apart`` of its large buffers need not be searched again."""
    if apart.rfind(wire.MAIN) < 0:
        with suppress(*wire.REFUSALS):
            return pickle.dumps(value, wire.PROTOCOL)
    return wire.dumps(value)


are_senders(
    dumps.__code__,
    _in_one_piece.__code__,
    wire.dumps.__code__,
    wire.dumps_apart.__code__,
    wire._dumps_by_value.__code__,  # noqa: SLF001  # cloudpickle's side of it
)


def size_of(payload: Payload) -> int:
    """Returns how many bytes a value takes."""
    files = files_of(payload)
    return len(payload) + (sum(os.fstat(file.fileno()).st_size for file in files) if files else 0)


def count_in(files: tuple[Descriptor, ...]) -> None:
    """Takes values that have arrived, and that this process owns, into account."""
    store = _the_store()
    if store is not None:
        for file in files:
            store.count_in(file)


def loads(payload: Payload) -> Any:
    """Reads a value; its large buffers are views of the segment, which nobody can write to.

    Raises:
        Exception: whatever the value's own unpickling raises.
    """
    return wire.loads(payload) if payload else _loads_from(payload, mmap.ACCESS_READ)


def copy(payload: Payload) -> Any:
    """Reads a value whose large buffers are this reader's own, to be written to: pages are copied when they are."""
    return wire.loads(payload) if payload else _loads_from(payload, mmap.ACCESS_COPY)


def _loads_from(payload: Payload, access: int) -> Any:
    if not isinstance(payload, KeepingBytes) or len(payload.files) != 1:
        raise ValueError("a payload without bytes has one file")
    pickled, *buffers = parts_of(memoryview(_mapping(payload.files[0], access)))
    if access == mmap.ACCESS_READ and buffers and tensors.NAME in bytes(pickled[:_GLANCE]):
        return copy(payload)
    return wire.loads(pickled, buffers=buffers)


def _mapping(file: Descriptor, access: int) -> mmap.mmap:
    """Returns a value's file as memory; all who read it through one reference share it."""
    if access == mmap.ACCESS_COPY:
        return mmap.mmap(file.fileno(), 0, access=access)
    if file.mapping is None:
        file.mapping = mmap.mmap(file.fileno(), 0, access=access)
    mapping: mmap.mmap = file.mapping
    return mapping
