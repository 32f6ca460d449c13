"""Long polling: a plain actor is held by its own loop, an async actor is not."""

import actorio as ray


@ray.remote
class DataStoreActor:
    def fetch(self):
        return "data"


@ray.remote
class LongPollingActor:
    def __init__(self, data_store_actor):
        self.data_store_actor = data_store_actor

    def run(self):
        while True:
            data = ray.get(self.data_store_actor.fetch.remote())
            self._process(data)

    def other_task(self):
        return True

    def _process(self, data):
        # Do process here...
        pass


data_store_actor = DataStoreActor.remote()

l = LongPollingActor.remote(data_store_actor)
# Actor runs a while loop
l.run.remote()
# This won't be processed forever because the actor thread is occupied by the run method.
try:
    ray.get(l.other_task.remote(), timeout=0.5)
except ray.exceptions.GetTimeoutError:
    print("LongPollingActor.other_task is still waiting for run to end")


@ray.remote
class LongPollingActorAsync:
    def __init__(self, data_store_actor):
        self.data_store_actor = data_store_actor

    async def run(self):
        while True:
            # Coroutine will switch context when "await" is called.
            data = await self.data_store_actor.fetch.remote()
            self._process(data)

    def _process(self, data):
        pass

    async def other_task(self):
        return True


l = LongPollingActorAsync.remote(data_store_actor)
l.run.remote()
print(f"LongPollingActorAsync.other_task: {ray.get(l.other_task.remote())}")
