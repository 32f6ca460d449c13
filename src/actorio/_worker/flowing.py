"""Streams in the actor: items leave as they are made, and the generator rests when it is a window ahead.

The generator runs where its method would: in a thread of the pool, or in the call's task on the loop.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from actorio._transport.outflow import END, LoopOutflow, ThreadOutflow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from contextlib import AbstractContextManager

    from actorio._worker.delivered import Delivered
    from actorio._worker.executor import Executor


def flow_in_thread(
    executor: Executor, call: Delivered, value: Any, resting: Callable[[], AbstractContextManager[None]] | None
) -> None:
    """Sends the items of what a method has returned.

    Raises:
        ValueError: it is no generator.
        Exception: whatever the generator raises.
    """
    items: Iterator[Any] = executor.items_of(call, value)
    outflow = ThreadOutflow(call.connection, call.request, resting)
    if call.reason is not None:
        # Whoever wanted it to end may have found no stream to tell.
        outflow.leave()
    try:
        while outflow.may_go_on():
            item = next(items, END)
            if item is END:
                return
            frame, size = executor.item(call, item)
            outflow.allowance.sent(size)
            outflow.connection.reply_now(frame, more_follow=True)
    finally:
        outflow.close()
        if inspect.isgenerator(items):
            items.close()


async def flow_on_loop(executor: Executor, call: Delivered, value: Any) -> None:
    """Sends the items of what a method has returned; see `flow_in_thread`."""
    items = executor.items_of(call, value)
    outflow = LoopOutflow(call.connection, call.request)
    is_async = hasattr(items, "__anext__")
    try:
        while await outflow.may_go_on():
            item = await outflow.step(items) if is_async else next(items, END)
            if item is END:
                return
            frame, size = executor.item(call, item)
            outflow.allowance.sent(size)
            outflow.connection.reply_soon(frame)
    finally:
        outflow.close()
        if inspect.isasyncgen(items):
            await items.aclose()
        elif inspect.isgenerator(items):
            items.close()


async def first_of(items: AsyncGenerator[Any, Any], count: int) -> list[Any]:
    """Returns so many items at most, and closes the generator."""
    found: list[Any] = []
    try:
        while len(found) < count:
            found.append(await anext(items))
    except StopAsyncIteration:
        pass
    finally:
        await items.aclose()
    return found
