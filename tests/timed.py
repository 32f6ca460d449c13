"""Actors that tell how much time their calls have; apart from their tests, which import more than they need."""

import asyncio

import actorio

# Never over while a test runs, in seconds.
LONG = 600


@actorio.remote
class Clock:
    """Tells how much time its calls have left."""

    def left(self):
        return actorio.get_runtime_context().remaining_time()

    @actorio.method(timeout=LONG)
    def left_of_method(self):
        return actorio.get_runtime_context().remaining_time()


@actorio.remote
class Asking:
    """Asks another one."""

    def __init__(self, clock):
        self.clock = clock

    async def left_there(self):
        return await self.clock.left.remote()

    async def left_there_with(self, seconds):
        return await self.clock.left.options(timeout=seconds).remote()

    async def left_of_a_task(self):
        return await left_of_task.remote()

    async def left_while_ending(self):
        try:
            await asyncio.Event().wait()
        finally:
            self.left = await self.clock.left.remote()

    async def told(self):
        return self.left


@actorio.remote
def left_of_task():
    return actorio.get_runtime_context().remaining_time()


@actorio.remote
class Background:
    """Goes on when its call has ended."""

    def __init__(self, clock):
        self.clock = clock
        self.go_on = asyncio.Event()

    async def start(self):
        self.task = asyncio.create_task(self.work())

    async def work(self):
        await self.go_on.wait()
        return await self.clock.left.remote()

    async def found(self):
        self.go_on.set()
        return await self.task
