"""What actorio does, in one go: `make demo`.

Each section is a session of its own. When its `with ray.init()` ends, all that its actors printed has arrived, so
no line strays below the next heading.
"""

import asyncio
import concurrent.futures
import time

import actorio as ray
from actorio.bench.rivals.process import running
from actorio.bench.suite import Plan
from actorio.bench.suites import calls


@ray.remote
class AsyncActor:
    async def run_task(self):
        print("started")
        await asyncio.sleep(0.1)
        print("ended")


@ray.remote
class ThreadedActor:
    def task(self, number):
        time.sleep(0.1)
        print(f"I'm call {number}, running in a thread!")


@ray.remote
class TaskStore:
    def get_next_task(self):
        return "task"


@ray.remote
class TaskExecutor:
    def __init__(self, task_store):
        self.task_store = task_store
        self.num_executed_tasks = 0

    def run(self):
        while True:
            ray.get(self.task_store.get_next_task.remote())
            self.num_executed_tasks += 1

    def get_num_executed_tasks(self):
        return self.num_executed_tasks


@ray.remote
class AsyncTaskExecutor:
    def __init__(self, task_store):
        self.task_store = task_store
        self.num_executed_tasks = 0

    async def run(self):
        while True:
            await self.task_store.get_next_task.remote()
            self.num_executed_tasks += 1

    def get_num_executed_tasks(self):
        return self.num_executed_tasks


@ray.remote
class Account:
    def __init__(self, balance: float, minimal_balance: float):
        if balance < minimal_balance:
            raise ValueError("Starting balance is less than minimal balance")
        self.minimal = minimal_balance
        self.balance = balance

    def balance(self) -> float:
        return self.balance

    def withdraw(self, amount: float) -> float:
        if self.balance - amount < self.minimal:
            raise ValueError("Withdraw is not supported by current balance")
        self.balance -= amount
        return self.balance


@ray.remote
def some_task(number):
    return number * number


def five_at_once():
    """An async actor: five calls at once, in one process and one thread."""
    actor = AsyncActor.remote()
    ray.get([actor.run_task.remote() for _ in range(5)])


def two_by_two():
    """max_concurrency=2: four calls, two by two."""
    actor = AsyncActor.options(max_concurrency=2).remote()
    ray.get([actor.run_task.remote() for _ in range(4)])


def threads():
    """A threaded actor: plain methods in a pool of two threads."""
    actor = ThreadedActor.options(max_concurrency=2).remote()
    ray.get([actor.task.remote(number) for number in (1, 2)])


def futures():
    """References are futures, for asyncio and for concurrent.futures."""

    async def on_a_loop():
        done, _ = await asyncio.wait([some_task.remote(number) for number in range(4)])
        print(f"asyncio.wait: {len(done)} done;", end=" ")
        print(f"asyncio.gather: {await asyncio.gather(*[some_task.remote(number) for number in range(4)])}")

    asyncio.run(on_a_loop())
    waiting = [some_task.remote(number).future() for number in range(4)]
    print(f"as_completed: {sorted(future.result() for future in concurrent.futures.as_completed(waiting))}")


def long_polling():
    """An endless loop holds a plain actor; an async actor answers meanwhile."""
    task_store = TaskStore.remote()
    executor = TaskExecutor.remote(task_store)
    executor.run.remote()
    try:
        ray.get(executor.get_num_executed_tasks.remote(), timeout=0.3)
    except ray.exceptions.GetTimeoutError:
        print("TaskExecutor: no answer in 0.3 seconds")
    executor = AsyncTaskExecutor.remote(task_store)
    executor.run.remote()
    time.sleep(0.2)
    print(f"AsyncTaskExecutor: {ray.get(executor.get_num_executed_tasks.remote())} tasks executed so far")


def errors():
    """Exceptions reach the caller as what they are; the actor goes on."""
    account = Account.remote(balance=100.0, minimal_balance=20.0)
    print(f"{account} has {ray.get(account.balance.remote())}")
    try:
        ray.get(account.withdraw.remote(90.0))
    except ValueError as error:
        print(f"caught as ValueError: {error.cause}")
    print(f"after withdrawing 40: {ray.get(account.withdraw.remote(40.0))}")


def speed():
    """Calls per second, next to bare Python over one Unix socket (`make bench` measures at length)."""
    plan = Plan("quick", against=("floor",))
    with running(plan, "demo") as rivals:
        found = {
            (each.kind, each.case, each.contender): each.median
            for each in calls.measure_patterns(plan, rivals, ("blocking", "gather"), has_deadlines=False)
        }
    print(f"{'actor':<17}{'pattern':<10}{'floor/s':>10}{'actorio/s':>12}{'ratio':>8}")
    for (kind, case, contender), ours in found.items():
        if contender == "actorio":
            floor = found[kind, case, "floor"]
            print(f"{kind:<17}{case:<10}{floor:>10,.0f}{ours:>12,.0f}{ours / floor:>8.2f}")


def main():
    for section in (five_at_once, two_by_two, threads, futures, long_polling, errors, speed):
        print(f"\n== {section.__doc__}", flush=True)
        with ray.init():
            section()


if __name__ == "__main__":
    main()
