"""Scaling an actor by threads: three computations in a pool of three."""

from time import sleep

import actorio as ray

# What a printed second takes, in seconds.
SECOND = 0.1

ray.init()


@ray.remote
class ThreadedActor:
    def computation(self, num):
        print(f'Actor waiting for {num} sec')
        for x in range(num):
            sleep(1 * SECOND)
            print(f'Actor slept for {x+1} sec')
        return num


actor = ThreadedActor.options(max_concurrency=3).remote()

r1, r2, r3 = ray.get([actor.computation.remote(3),
                      actor.computation.remote(5), actor.computation.remote(2)])

print(r1, r2, r3)
