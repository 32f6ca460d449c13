"""AsyncIO for remote tasks: an `async def` task runs here, and so does the wrapper that Ray needs."""

import actorio as ray


# Ray refuses this one; actorio runs it.
@ray.remote
async def f():
    pass


print(f"async def task: {ray.get(f.remote())}")


# Instead, you can wrap the async function with a wrapper to run the task synchronously:
async def f():
    pass


@ray.remote
def wrapper():
    import asyncio

    asyncio.run(f())


print(f"wrapped in a task: {ray.get(wrapper.remote())}")
