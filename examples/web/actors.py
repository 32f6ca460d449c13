"""The actors of the web application. Not in app.py: each actor's process imports the module that its class is from."""

import asyncio
import contextlib
import hashlib
from collections import Counter

import actorio


@actorio.remote(max_restarts=-1)
class Reports:
    """Writes reports, many at a time. One for all workers of the server."""

    def __init__(self, pause):
        self.pause = pause
        self.counts = Counter()

    async def write(self, topic, lines):
        with self.counted():
            return [await self.line(topic, number) for number in range(lines)]

    async def follow(self, topic, lines):
        """The same, line by line."""
        with self.counted():
            for number in range(lines):
                yield await self.line(topic, number)

    async def line(self, topic, number):
        await asyncio.sleep(self.pause)  # asks a slow service
        return f"{topic}: line {number}\n"

    @contextlib.contextmanager
    def counted(self):
        self.counts["running"] += 1
        try:
            yield
            self.counts["finished"] += 1
        except BaseException:
            self.counts["cut short"] += 1
            raise
        finally:
            self.counts["running"] -= 1

    async def statistics(self):
        return dict(self.counts)


@actorio.remote(max_concurrency=2)
class Digests:
    """Computes, so that the event loop of its worker need not. Each worker has one."""

    def digest(self, data):
        return hashlib.sha256(data).hexdigest()
