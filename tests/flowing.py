"""Actors whose methods are generators; apart from their tests, which import more than they need."""

import asyncio
import os
import threading
import time

import actorio


class _Noting:
    """Notes what has begun and what has been closed."""

    def __init__(self):
        self.made = 0
        self.closed = []

    def pid(self):
        return os.getpid()

    def made_so_far(self):
        return self.made

    def closed_so_far(self):
        return self.closed


@actorio.remote
class Plain(_Noting):
    """Generators in a thread."""

    def count(self, number, name="count"):
        try:
            for each in range(number):
                self.made += 1
                yield each
        finally:
            self.closed.append(name)

    def fail_after(self, number):
        yield from range(number)
        raise ValueError("no more")

    def never(self):
        yield 1
        threading.Event().wait()

    def unpicklable(self):
        yield 1
        yield threading.Lock()

    def number(self):
        return 3

    def exceptions(self):
        yield ValueError("a value")

    def arrays(self, number, size):
        import numpy as np

        for each in range(number):
            self.made += 1
            yield np.full(size, each, np.uint8)

    def die_after(self, number):
        yield from range(number)
        # Time for what was sent to leave.
        time.sleep(0.05)
        os._exit(3)

    def handles(self, handle):
        yield handle

    def refs(self):
        yield [actorio.put("in a list")]

    def total(self, items):
        return sum(items)

    def first(self, items):
        return next(items)

    def take_refs(self, refs):
        return actorio.get(list(refs))

    def relay(self, items):
        for item in items:
            yield item + 1

    def pass_on(self, items, other):
        return actorio.get(other.total.remote(items))

    def kind(self, items):
        return type(items).__name__


@actorio.remote
class Coroutine:
    """Generators on a loop."""

    def __init__(self):
        self.made = 0
        self.closed = []

    async def pid(self):
        return os.getpid()

    async def made_so_far(self):
        return self.made

    async def closed_so_far(self):
        return self.closed

    async def count(self, number, name="count"):
        try:
            for each in range(number):
                self.made += 1
                yield each
        finally:
            self.closed.append(name)

    async def fail_after(self, number):
        for each in range(number):
            yield each
        raise ValueError("no more")

    async def never(self):
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            self.closed.append("never")

    async def unpicklable(self):
        yield 1
        yield threading.Lock()

    async def total(self, items):
        return sum([item async for item in items])

    async def first(self, items):
        return await anext(items)

    async def relay(self, items):
        async for item in items:
            yield item + 1

    async def number(self):
        return 3

    def plain(self, number):
        """Count without a word of `async`, on the loop all the same."""
        yield from range(number)


@actorio.remote
def squares(number):
    """Count in a worker."""
    for each in range(number):
        yield each**2


@actorio.remote
async def slow_squares(number):
    """Count in a worker, on a loop of its own."""
    for each in range(number):
        await asyncio.sleep(0)
        yield each**2
