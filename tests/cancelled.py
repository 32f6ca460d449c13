"""Actors whose calls are ended early; apart from their tests, which import more than they need."""

import asyncio
import contextlib
import time

import actorio


@actorio.remote
class Notes:
    """What has happened, and gates that are opened."""

    def __init__(self):
        self.notes = []
        self.changed = asyncio.Condition()

    async def note(self, what):
        async with self.changed:
            self.notes.append(what)
            self.changed.notify_all()

    async def all(self):
        return self.notes

    async def wait_for(self, what):
        async with self.changed:
            await self.changed.wait_for(lambda: what in self.notes)

    async def count(self, what):
        await self.note(what)
        return self.notes.count(what)


class _Lives:
    """Its second life begins when the gate is opened."""

    def __init__(self, notes=None):
        if notes is not None and actorio.get(notes.count.remote("life")) > 1:
            actorio.get(notes.note.remote("again"))
            actorio.get(notes.wait_for.remote("open"))


@actorio.remote
class OnLoop(_Lives):
    async def work(self, notes):
        try:
            await notes.note.remote("began")
            await asyncio.Event().wait()
        finally:
            notes.note.remote("ended")

    async def stream(self, notes):
        try:
            yield "began"
            await asyncio.Event().wait()
        finally:
            notes.note.remote("ended")

    async def outer(self, notes, other):
        await other.work.remote(notes)

    async def swallow(self, notes):
        try:
            await notes.note.remote("began")
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "caught"

    async def go_on(self, notes):
        self.is_released = False
        notes.note.remote("began")
        while not self.is_released:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.001)

    async def release(self):
        self.is_released = True

    async def fail_at_the_end(self, notes):
        try:
            await notes.note.remote("began")
            await asyncio.Event().wait()
        finally:
            raise ValueError("at the end")

    async def quick(self, value=None):
        return value


@actorio.remote
class InThread(_Lives):
    def work(self, notes):
        context = actorio.get_runtime_context()
        try:
            actorio.get(notes.note.remote("began"))
            while not context.is_cancelled():
                time.sleep(0.001)
        finally:
            notes.note.remote("ended")

    @actorio.method(interruptible=True)
    def sleep(self, notes):
        try:
            actorio.get(notes.note.remote("began"))
            time.sleep(60)
        except KeyboardInterrupt:
            notes.note.remote("interrupted")
            raise

    @actorio.method(interruptible=True)
    def call_for_ever(self, notes, other):
        actorio.get(notes.note.remote("began"))
        while True:
            actorio.get([other.quick.remote(number) for number in range(3)])

    def pass_on(self, other, value):
        return actorio.get(other.quick.remote(value))

    @actorio.method(interruptible=True)
    def spin(self, notes):
        actorio.get(notes.note.remote("began"))
        while True:
            pass

    def stream(self, notes):
        try:
            yield "began"
            while True:
                time.sleep(0.001)
                yield "more"
        finally:
            notes.note.remote("ended")

    def outer(self, notes, other):
        actorio.get(other.work.remote(notes))

    def say(self, notes, what):
        actorio.get(notes.note.remote(what))

    def hold(self, notes):
        actorio.get(notes.note.remote("held"))
        actorio.get(notes.wait_for.remote("open"))

    def ignore(self, notes):
        actorio.get(notes.note.remote("began"))
        while actorio.get(notes.all.remote()).count("open") == 0:
            time.sleep(0.001)

    def quick(self, value=None):
        return value


@actorio.remote
class Caller:
    """Makes calls for others, to be killed."""

    async def call(self, actor, method, *args):
        return await getattr(actor, method).remote(*args)

    async def consume(self, actor, method, *args):
        async for _ in getattr(actor, method).stream(*args):
            pass

    async def fire(self, actor, method, *args):
        getattr(actor, method).remote(*args)


@actorio.remote
def hold_processors(gate):
    # A task that waits for another call would lend them.
    while not gate.exists():
        time.sleep(0.001)
