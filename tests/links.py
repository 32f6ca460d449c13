"""Actors that call each other in chains and circles; apart from their tests, which import more than they need."""

import asyncio

import actorio
from actorio.util import statistics


class _Link:
    def __init__(self):
        self.next = None

    def link(self, following):
        self.next = following


@actorio.remote
class Link(_Link):
    """Of a chain; runs one call at a time."""

    def walk(self, steps):
        return steps if not steps else actorio.get(self.next.walk.remote(steps - 1))

    @actorio.method(reentrant=True)
    def walk_on(self, steps):
        return steps if not steps else actorio.get(self.next.walk_on.remote(steps - 1))

    def walk_with_timeout(self, following):
        try:
            return actorio.get(following.walk_back.remote(), timeout=0.2)
        except TimeoutError:
            return "timeout"

    def walk_back(self):
        return actorio.get(self.next.one.remote())

    def send(self, following):
        # It does not wait for it.
        return [following.walk.remote(1)]

    def both(self, *others):
        return actorio.get([other.walk.remote(1) for other in others])

    def meet(self, gate, other):
        actorio.get(gate.pass_.remote())
        return actorio.get(other.one.remote())

    def through_task(self, me):
        return actorio.get(ask.remote(me))

    def through_argument(self, other, me):
        return actorio.get(other.echo.remote(me.one.remote()))

    def echo(self, value):
        return value

    def one(self):
        return 1


@actorio.remote
def ask(link):
    return actorio.get(link.one.remote())


@actorio.remote(max_concurrency=1)
class AsyncLink(_Link):
    async def walk(self, steps):
        return steps if not steps else await self.next.walk.remote(steps - 1)

    async def begin(self, other):
        self.task = asyncio.create_task(self.ask(other))
        me = actorio.get_runtime_context().current_actor
        while not (await statistics(me)).queued:  # noqa: ASYNC110  # it cannot say so itself
            await asyncio.sleep(0.001)
        return "begun"

    async def ask(self, other):
        return await other.call_back.remote()

    async def begun(self):
        return await self.task

    async def one(self):
        return 1

    async def call_back(self):
        return await self.next.one.remote()


@actorio.remote
class Gate:
    def __init__(self, parties):
        self.barrier = asyncio.Barrier(parties)

    async def pass_(self):
        await self.barrier.wait()
