"""AsyncIO for actors: several calls of one method run in the actor's event loop at the same time."""

import asyncio

import actorio as ray


@ray.remote
class AsyncActor:
    # multiple invocation of this method can be running in
    # the event loop at the same time
    async def run_concurrent(self):
        print("started")
        await asyncio.sleep(0.2)  # concurrent workload here
        print("finished")


actor = AsyncActor.remote()

# regular ray.get
ray.get([actor.run_concurrent.remote() for _ in range(4)])


# async ray.get
async def async_get():
    await actor.run_concurrent.remote()


asyncio.run(async_get())
