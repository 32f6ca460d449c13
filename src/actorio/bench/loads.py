"""What the actors of `concurrency` do: one class with threads and one with coroutines, and the same methods on both.

Each is written as somebody would write it who uses that kind: plain blocking calls here, asyncio's own there. Modules
that one method alone needs are imported by it, so that the memory of the other actors does not have them.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from actorio.bench.tiny_http import AsyncClient, Client

if TYPE_CHECKING:
    from http.client import HTTPConnection

SLEEP = 0.02
MIXED_SLEEP = 0.005
# Steps of `burn`: a quarter of a millisecond or so.
STEPS = 3_000
# A stable sort of so many takes about half a millisecond.
NUMBERS = 5_000
FILE_SIZE = 100 * 1024

# NumPy's libraries would have threads of their own beside the actor's.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Surroundings(NamedTuple):
    """What the methods find.

    Attributes:
        port: Of the HTTP server on 127.0.0.1.
        path: Of a file of `FILE_SIZE`.
    """

    port: int
    path: str


def burn(steps: int) -> int:
    """Keeps the interpreter busy."""
    total = 0
    for number in range(steps):
        total += number * number % 7
    return total


class Work:
    """What both kinds do in the same way.

    Args:
        surroundings: What the methods find.
        with_numbers: Is `numpy` to be called?
    """

    def __init__(self, surroundings: Surroundings, *, with_numbers: bool) -> None:
        self.surroundings = surroundings
        if with_numbers:
            for name in _ONE_THREAD:
                os.environ[name] = "1"
            import numpy as np

            self._sorted = np.sort
            self._numbers: Any = np.random.default_rng(1).random(NUMBERS)

    def sort(self) -> float:
        """Works on an array without the interpreter's lock; returns the least number."""
        return float(self._sorted(self._numbers, kind="stable")[0])

    def read(self) -> int:
        """Reads the file; returns its size in bytes."""
        # Importing pathlib would be the greater part of what this actor adds to the memory of an empty one.
        with open(self.surroundings.path, "rb") as file:  # noqa: PTH123 # see above
            return len(file.read())


class Threaded(Work):
    """An actor whose methods run in threads."""

    def __init__(self, surroundings: Surroundings, *, with_numbers: bool = False) -> None:
        super().__init__(surroundings, with_numbers=with_numbers)
        self._here = threading.local()

    def usage(self) -> tuple[int, float]:
        """Returns the process id, and the seconds of processor time so far."""
        return os.getpid(), time.process_time()

    def sleep(self) -> None:
        """Waits."""
        time.sleep(SLEEP)

    def http(self) -> int:
        """Asks the server, over a connection that the thread keeps; returns the size of the answer."""
        try:
            client: Client = self._here.client
        except AttributeError:
            client = self._here.client = Client("127.0.0.1", self.surroundings.port)
        return len(client.get("/"))

    def http_of_the_library(self) -> int:
        """Does the same with `http.client`."""
        try:
            connection: HTTPConnection = self._here.connection
        except AttributeError:
            from http.client import HTTPConnection

            connection = self._here.connection = HTTPConnection("127.0.0.1", self.surroundings.port)
        connection.request("GET", "/")
        return len(connection.getresponse().read())

    def files(self) -> int:
        """Reads the file."""
        return self.read()

    def python(self) -> int:
        """Burns processor time in Python."""
        return burn(STEPS)

    def numpy(self) -> float:
        """Burns processor time in NumPy."""
        return self.sort()

    def mixed(self) -> int:
        """Waits, then burns."""
        time.sleep(MIXED_SLEEP)
        return burn(STEPS)


class Async(Work):
    """An actor whose methods are coroutines on its loop."""

    def __init__(self, surroundings: Surroundings, *, with_numbers: bool = False) -> None:
        super().__init__(surroundings, with_numbers=with_numbers)
        self._client = AsyncClient("127.0.0.1", surroundings.port)

    async def usage(self) -> tuple[int, float]:
        """Returns the process id, and the seconds of processor time so far."""
        return os.getpid(), time.process_time()

    async def sleep(self) -> None:
        """Waits."""
        await asyncio.sleep(SLEEP)

    async def http(self) -> int:
        """Asks the server; returns the size of the answer."""
        return len(await self._client.get("/"))

    async def files(self) -> int:
        """Reads the file in a thread of asyncio's pool."""
        return await asyncio.to_thread(self.read)

    async def files_on_the_loop(self) -> int:
        """Reads the file where it keeps all others waiting."""
        return self.read()

    async def python(self) -> int:
        """Burns processor time in Python."""
        return burn(STEPS)

    async def numpy(self) -> float:
        """Burns processor time in NumPy, in a thread of asyncio's pool."""
        return await asyncio.to_thread(self.sort)

    async def numpy_on_the_loop(self) -> float:
        """Burns processor time in NumPy where it keeps all others waiting."""
        return self.sort()

    async def mixed(self) -> int:
        """Waits, then burns."""
        await asyncio.sleep(MIXED_SLEEP)
        return burn(STEPS)
