"""Actors whose calls wait until they are told to go on; apart from their tests, which import more than they need."""

import asyncio
import warnings

import actorio


@actorio.remote
class Gates:
    """Calls wait at gates of any name until these are opened, and open some themselves: see `passed`."""

    def __init__(self):
        self.gates = {}

    def gate(self, name):
        return self.gates.setdefault(name, asyncio.Event())

    async def passed(self, name, value=None):
        self.gate(f"{name}, begun").set()
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

    def double_in_loop(self, backend, gates, name):
        return double_in_loop(backend, gates, name)


def double_in_loop(backend, gates, name):
    """Double what comes through a gate, in a loop of its own, with another task beside it."""
    import anyio

    doubled = []

    async def double_it():
        doubled.append(2 * await gates.passed.remote(name, 21))

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(double_it)
            await gates.open.remote(name)

    with warnings.catch_warnings():
        # In the main thread trio finds that somebody listens for signals already: the actor.
        warnings.filterwarnings("ignore", "It looks like Trio's signal handling", RuntimeWarning)
        anyio.run(main, backend=backend)
    return doubled[0]


double_in_loop_of_task = actorio.remote(double_in_loop)


@actorio.remote
def double(value):
    return 2 * value


@actorio.remote
def fail(text):
    raise ValueError(text)
