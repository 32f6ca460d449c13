"""Defining an async actor: one `async def` method is enough, and all its calls start at once."""

import asyncio

import actorio as ray


@ray.remote
class AsyncActor:
    async def run_task(self):
        print("started")
        await asyncio.sleep(0.2)  # Network, I/O task here
        print("ended")


actor = AsyncActor.remote()
# All 5 tasks should start at once. After the sleep they should all finish.
# they should finish at the same time
ray.get([actor.run_task.remote() for _ in range(5)])
