"""ObjectRefs as concurrent.futures.Futures."""

import concurrent.futures

import actorio as ray


@ray.remote
def some_task():
    return 1


refs = [some_task.remote() for _ in range(4)]
futs = [ref.future() for ref in refs]
for fut in concurrent.futures.as_completed(futs):
    assert fut.done()
    print(fut.result())
