"""Actors whose calls wait until they are told to go on; apart from their tests, which import more than they need."""

import asyncio

import actorio


@actorio.remote
class Gates:
    """Calls wait at a gate of any name until it is opened. One that is cancelled there opens `name, cancelled`."""

    def __init__(self):
        self.gates = {}

    def gate(self, name):
        return self.gates.setdefault(name, asyncio.Event())

    async def passed(self, name, value=None):
        try:
            await self.gate(name).wait()
        except asyncio.CancelledError:
            self.gate(f"{name}, cancelled").set()
            raise
        if isinstance(value, Exception):
            raise value
        return value

    async def open(self, name):
        self.gate(name).set()

    async def items(self, name, number):
        """Yield the first item at once, and the others when the gate is open."""
        for item in range(number):
            if item:
                await self.gate(name).wait()
            yield item

    async def nothing(self):
        """Return when all calls made before have begun."""


@actorio.remote
class Plain:
    def double(self, value):
        return 2 * value

    def fail(self, text):
        raise ValueError(text)


@actorio.remote
def double(value):
    return 2 * value


@actorio.remote
def fail(text):
    raise ValueError(text)
