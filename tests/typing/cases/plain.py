"""The plain decorator form: what every checker knows of it, mypy with the plugin."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import actorio
from actorio import ActorHandle, ObjectRef, ObjectRefGenerator, Stream
from actorio.actor import ActorClass
from actorio.util import ActorPool, AsyncActorPool, Supervisor


@actorio.remote
class Counter:
    def __init__(self, start: int = 0, *, step: int = 1) -> None:
        self.value = start
        self.step = step

    def add(self, n: int) -> int:
        self.value += n * self.step
        # Inside the class a method is a method.
        assert_type(self.label(), str)
        return self.value

    def label(self) -> str:
        return str(self.value)


@actorio.remote(max_concurrency=2, name="other")
class Other:
    def __init__(self, handle: "ActorHandle[Counter]") -> None:
        self.handle = handle


@actorio.remote
class WithoutConstructor:
    def work(self, item: int) -> str:
        return str(item)


@actorio.remote(max_conccurency=2)  # E: mypy[call-overload] pyright[reportCallIssue]
class Misspelt:
    pass


class Heir(Counter):  # E: mypy[metaclass] pyright[reportGeneralTypeIssues]
    pass


# -- starting actors -----------------------------------------------------------------------------------------------

counter = Counter.remote(5)
Counter.remote(start=5, step=2)
Counter.remote(actorio.put(5))
Counter.remote("5")  # E: mypy[arg-type] pyright[reportCallIssue,reportArgumentType]
Counter.remote(5, stop=2)  # E: mypy[call-arg] pyright[reportArgumentType]
Counter.remote(1, 2)  # E: mypy[call-arg] pyright[reportCallIssue,reportArgumentType]
WithoutConstructor.remote(1)  # E: mypy[call-arg] pyright[reportArgumentType]
Counter(5)  # E: mypy[operator] pyright[reportArgumentType]

named = Counter.options(name="c", lifetime="detached", max_restarts=-1, num_cpus=0.5).remote(5, step=3)
Counter.options(name="c").remote("5")  # E: mypy[arg-type] pyright[reportCallIssue,reportArgumentType]
Counter.options(nme="c")  # E: mypy[call-arg] pyright[reportCallIssue]
Counter.options(name=3)  # E: mypy[arg-type] pyright[reportArgumentType]
Counter.options(lifetime="for ever")  # E: mypy[arg-type] pyright[reportArgumentType]

# -- handles -------------------------------------------------------------------------------------------------------


def twice(actor: ActorHandle[Counter]) -> ActorHandle[Counter]:
    actor.add.remote(2)
    return actor


twice(counter)
twice(named)
twice(twice(counter))
twice(WithoutConstructor.remote())  # E: mypy[arg-type] pyright[reportArgumentType]
Other.remote(counter)
Other.remote(WithoutConstructor.remote())  # E: mypy[arg-type] pyright[reportCallIssue,reportArgumentType]
counter.add(1)  # E: mypy[operator] pyright[reportCallIssue]

found = actorio.get_actor("c")
assert_type(found, ActorHandle[Any])
twice(found)
actorio.kill(counter, no_restart=False)
actorio.kill(5)  # E: mypy[arg-type] pyright[reportArgumentType]
assert_type(counter.__ray_ready__.remote(), ObjectRef[bool])


def start(actor_class: ActorClass) -> None:
    print(actor_class)


start(Counter)
twice(Supervisor().supervise(Counter, restart="transient").remote(1, step=2))


with Counter.scope(5) as block:
    twice(block)


# -- functions -----------------------------------------------------------------------------------------------------


@actorio.remote
def square(x: int, *, offset: int = 0) -> int:
    return x * x + offset


@actorio.remote(num_cpus=2)
async def fetch(url: str) -> bytes:
    return url.encode()


@actorio.remote
def numbers(n: int) -> Iterator[int]:
    yield from range(n)


@actorio.remote
async def ticks() -> AsyncIterator[float]:
    yield 1.0


@actorio.remote(num_returns=2)
def pair(x: int) -> tuple[int, str]:
    return x, str(x)


@actorio.remote
def anything(x: int) -> Any:
    return x


@actorio.remote
def nothing() -> None:
    pass


assert_type(square.remote(3), ObjectRef[int])
assert_type(square.remote(x=3, offset=2), ObjectRef[int])
assert_type(square.remote(square.remote(3)), ObjectRef[int])
assert_type(fetch.remote("url"), ObjectRef[bytes])
assert_type(numbers.remote(3), ObjectRefGenerator[int])
assert_type(numbers.stream(3), Stream[int])
assert_type(ticks.stream(), Stream[float])
assert_type(pair.remote(3), list[ObjectRef[Any]])
assert_type(anything.remote(3), ObjectRef[Any])
assert_type(nothing.remote(), ObjectRef[None])
assert_type(square.options(num_cpus=2, max_retries=0).remote(3), ObjectRef[int])
assert_type(pair.options(num_returns=2).remote(3), list[ObjectRef[Any]])
assert_type(square.options(num_returns="streaming").remote(3), ObjectRefGenerator[Any])
square.remote("3")  # E: mypy[arg-type] pyright[reportCallIssue,reportArgumentType]
square.remote()  # E: mypy[call-arg] pyright[reportCallIssue]
square.remote(3, ofset=2)  # E: mypy[call-arg] pyright[reportArgumentType]
square.stream(3)  # E: mypy[misc] pyright[reportAttributeAccessIssue]
square.options(num_cpu=2)  # E: mypy[call-overload] pyright[reportCallIssue]
square(3)  # E: mypy[operator] pyright[reportCallIssue]

# -- values --------------------------------------------------------------------------------------------------------

ref = square.remote(3)
assert_type(actorio.get(ref), int)
assert_type(actorio.get([ref, ref], timeout=1), list[int])
assert_type(actorio.get([pair.remote(1)[0]]), list[Any])
assert_type(actorio.put("text"), ObjectRef[str])
assert_type(actorio.wait([ref, ref], num_returns=2), tuple[list[ObjectRef[int]], list[ObjectRef[int]]])
assert_type(ref.result(), int)
assert_type(ref.future().result(), int)
actorio.get(5)  # E: mypy[call-overload] pyright[reportCallIssue,reportArgumentType]
less_exact: ObjectRef[float] = ref
wrong: ObjectRef[str] = ref  # E: mypy[assignment] pyright[reportAssignmentType]

for each in numbers.remote(3):
    assert_type(each, ObjectRef[int])
for number in numbers.stream(3):
    assert_type(number, int)
done, left = actorio.wait([numbers.remote(3), numbers.remote(4)])
assert_type(done, list[ObjectRefGenerator[int]])


async def main() -> None:
    async with Counter.options(name="block").scope(5, step=2) as scoped:
        twice(scoped)
    async with Counter.scope("5"):  # E: mypy[arg-type] pyright[reportCallIssue,reportArgumentType]
        pass
    assert_type(await ref, int)
    assert_type(await asyncio.gather(ref, fetch.remote("url")), tuple[int, bytes])
    assert_type(await asyncio.wait_for(ref, 1), int)
    async for each in ticks.remote():
        assert_type(await each, float)
    async for tick in ticks.stream():
        assert_type(tick, float)


# -- pools ---------------------------------------------------------------------------------------------------------


def work(actor: ActorHandle[WithoutConstructor], item: int) -> ObjectRef[str]:
    # Without the plugin a method's result is anything.
    ref: ObjectRef[str] = actor.work.remote(item)
    return ref


pool = ActorPool([WithoutConstructor.remote()])
for text in pool.map(work, [1, 2]):
    assert_type(text, str)
pool.submit(work, 3)
pool.submit(work, "3")  # E: mypy[arg-type] pyright[reportArgumentType]
pool.push(counter)  # E: mypy[arg-type] pyright[reportArgumentType]


async def pooled() -> None:
    workers = AsyncActorPool([WithoutConstructor.remote()], factory=WithoutConstructor.remote, calls_per_actor=2)
    async for text in workers.map(work, [1, 2]):
        assert_type(text, str)
    async for outcome in workers.map_unordered(work, [1, 2], return_exceptions=True):
        assert_type(outcome, str | Exception)
    assert_type(await workers.submit(work, 3), str)
