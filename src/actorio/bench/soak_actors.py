"""The actors of the soak, one of each kind, and what they are sent."""

from __future__ import annotations

import asyncio
import os
import pickle
import time
from typing import TYPE_CHECKING, Any

import actorio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class Refusal(Exception):
    """What methods raise."""


class Blob:
    """Bytes that travel apart from the frame if they are many."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __reduce_ex__(self, _protocol: Any) -> tuple[Any, ...]:
        return Blob, (pickle.PickleBuffer(self.content),)


def double(value: int) -> int:
    """A task."""
    return 2 * value


class Plain:
    """Methods in threads: one, or several."""

    def echo(self, value: Any) -> Any:
        """Returns what it is given."""
        return value

    def pid(self) -> int:
        """Says which process this is."""
        return os.getpid()

    def refuse(self, value: int) -> None:
        """Raises."""
        raise Refusal(value)

    def rest(self, seconds: float) -> None:
        """Keeps others waiting."""
        time.sleep(seconds)

    def count(self, number: int) -> Iterator[int]:
        """Streams."""
        yield from range(number)

    def ask(self, others: list[Any], value: int) -> Any:
        """Asks another actor, whose handle came along."""
        return actorio.get(others[0].echo.remote(value))

    def total(self, refs: list[Any]) -> int:
        """Adds up what references stand for."""
        return sum(actorio.get(refs))

    def crash(self) -> None:
        """Ends the process."""
        os._exit(3)


class Coroutine:
    """Methods on a loop."""

    async def echo(self, value: Any) -> Any:
        """Returns what it is given."""
        return value

    async def later(self, value: int) -> int:
        """Returns what it is given, after others have had their turn."""
        await asyncio.sleep(0)
        return value

    async def pid(self) -> int:
        """Says which process this is."""
        return os.getpid()

    async def refuse(self, value: int) -> None:
        """Raises."""
        raise Refusal(value)

    async def hold(self) -> None:
        """Waits to be cancelled."""
        await asyncio.Event().wait()

    async def count(self, number: int) -> AsyncIterator[int]:
        """Streams."""
        for value in range(number):
            yield value

    async def ask(self, others: list[Any], value: int) -> Any:
        """Asks another actor, whose handle came along."""
        return await others[0].echo.remote(value)

    async def ask_for(self, name: str, value: int) -> Any:
        """Asks another actor, which it knows by its name."""
        return await actorio.get_actor(name).echo.remote(value)
