"""ObjectRefs as asyncio.Futures: awaited, given to asyncio.wait, and wrapped as the future itself."""

import asyncio

import actorio as ray


@ray.remote
def some_task():
    return 1


# Instead of:
print(ray.get(some_task.remote()))
ready, unready = ray.wait([some_task.remote()])
print(f"{len(ready)} ready, {len(unready)} not")


# you can do:
async def await_obj_ref():
    print(await some_task.remote())
    done, pending = await asyncio.wait([some_task.remote()])
    print(f"{len(done)} done, {len(pending)} pending")


asyncio.run(await_obj_ref())


# If you need to directly access the future object, you can call:
async def convert_to_asyncio_future():
    ref = some_task.remote()
    fut: asyncio.Future = asyncio.wrap_future(ref.future())
    print(await fut)


asyncio.run(convert_to_asyncio_future())
