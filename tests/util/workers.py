"""Members for the pools under test: they wait at named gates, so that a test decides which call ends when."""

import asyncio
import os
from collections import defaultdict

import actorio


@actorio.remote
class Gates:
    """Holds calls of whichever member until the gate of their name is opened, and knows who has come to it."""

    def __init__(self):
        self.gates = defaultdict(asyncio.Event)
        self.change = asyncio.Condition()
        self.came = []

    async def passing(self, name):
        async with self.change:
            self.came.append(name)
            self.change.notify_all()
        await self.gates[name].wait()

    async def until_came(self, *names):
        async with self.change:
            await self.change.wait_for(lambda: set(names) <= set(self.came))

    async def all_came(self):
        return self.came

    async def open(self, *names):
        for name in names:
            self.gates[name].set()


@actorio.remote(max_concurrency=100)
class Worker:
    """A member. `count` and `most` say how many calls it has had, and how many at the same time."""

    def __init__(self, gates=None):
        self.gates = gates
        self.count = self.running = self.most = 0

    async def double(self, value):
        self.count += 1
        return 2 * value

    async def through(self, name):
        self.count += 1
        self.running += 1
        self.most = max(self.most, self.running)
        await self.gates.passing.remote(name)
        self.running -= 1
        return name

    async def fail(self, value):
        raise LookupError(value)

    async def die(self):
        os._exit(3)

    async def fail_as_another(self, other):
        return await other.die.remote()

    async def counts(self):
        return self.count, self.most


def double(actor, value):
    return actor.double.remote(value)


def through(actor, name):
    return actor.through.remote(name)


def double_or_fail(actor, value):
    return actor.fail.remote(value) if value < 0 else actor.double.remote(value)


def double_or_die(actor, value):
    return actor.die.remote() if value < 0 else actor.double.remote(value)
