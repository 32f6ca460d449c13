"""The actors of applications under test, in a module that their processes can import."""

import asyncio
import os

import actorio


@actorio.remote
class Limiter:
    def __init__(self, limit=1):
        self.limit = limit
        self.taken = 0
        self.gate = asyncio.Event()

    async def take(self):
        self.taken += 1
        return self.limit, self.taken

    async def wait(self):
        await self.gate.wait()

    async def open(self):
        self.gate.set()

    async def pid(self):
        return os.getpid()


@actorio.remote
class Broken:
    def __init__(self):
        raise ValueError("no limit was given")


class Plain:
    pass
