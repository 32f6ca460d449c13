"""An actor that counts what runs in it; apart from its tests, which import more than it needs."""

import asyncio
import threading

import actorio


class _Counting:
    def __init__(self):
        self.running = self.most = 0
        self.order = []
        self.released = asyncio.Event()

    def enter(self, name):
        self.order.append(name)
        self.running += 1
        self.most = max(self.most, self.running)


@actorio.remote
class OnLoop(_Counting):
    async def stay(self, name=None):
        self.enter(name)
        await self.released.wait()
        self.running -= 1
        return name

    @actorio.method(concurrency_group="io")
    async def stay_in_io(self, name=None):
        return await self.stay(name)

    @actorio.method(max_concurrency=1)
    async def stay_alone(self, name=None):
        return await self.stay(name)

    @actorio.method(rate="2/60s")
    async def seldom(self, name):
        self.enter(name)
        return name

    @actorio.method(rate="2/20ms")
    async def often(self, name):
        self.order.append((name, asyncio.get_running_loop().time()))

    @actorio.method(thread=True)
    def in_thread(self):
        context = actorio.get_runtime_context()
        return threading.current_thread() is threading.main_thread(), context.get_task_id() is not None

    @actorio.method(thread=True)
    def block(self, notes):
        actorio.get(notes.note.remote("blocks"))
        actorio.get(notes.wait_for.remote("open"))

    @actorio.method(concurrency_group="control")
    async def release(self):
        self.released.set()

    @actorio.method(concurrency_group="control")
    async def seen(self):
        return self.order, self.most
