"""A pool of four processes of the standard library: it keeps no objects from call to call, and runs four at a time."""

from __future__ import annotations

import asyncio
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

from actorio.bench.patterns import Side
from actorio.bench.rivals.exchange import Job

if TYPE_CHECKING:
    from concurrent.futures import Future
    from contextlib import ExitStack

_PROCESSES = 4


def nothing(_value: int) -> None:
    """Answers a call and does no more."""


def open_sides(stack: ExitStack) -> dict[Job, Side]:
    """Starts the pool."""
    pool = stack.enter_context(ProcessPoolExecutor(_PROCESSES))

    def call(value: int) -> Any:
        return pool.submit(nothing, value)

    def call_on_loop(value: int) -> Any:
        return asyncio.wrap_future(pool.submit(nothing, value))

    def get(future: Future[None]) -> object:
        return future.result()

    def get_all(futures: list[Future[None]]) -> object:
        return [future.result() for future in futures]

    blocking, awaiting = Side(call, get, get_all), Side(call_on_loop, get, get_all)
    return {
        Job("processpool", "blocking", "threaded(4)"): blocking,
        Job("processpool", "batch", "threaded(4)"): blocking,
        Job("processpool", "await", "threaded(4)"): awaiting,
        Job("processpool", "gather", "threaded(4)"): awaiting,
    }
