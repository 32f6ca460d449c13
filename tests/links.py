"""Actors that call each other in chains and circles; apart from their tests, which import more than they need."""

import asyncio

import actorio


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


@actorio.remote
class Gate:
    def __init__(self, parties):
        self.barrier = asyncio.Barrier(parties)

    async def pass_(self):
        await self.barrier.wait()
