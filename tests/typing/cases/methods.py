"""The methods of handles, in the plain decorator form: known to mypy with the plugin."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Generic, Self, TypeVar, assert_type

import actorio
from actorio import ActorHandle, ObjectRef, ObjectRefGenerator, Stream
from actorio._model.event import ActorEvent
from actorio.actor import ActorMethod

T = TypeVar("T")


class Base(ABC):
    def inherited(self, key: str = "") -> bytes:
        return key.encode()

    @abstractmethod
    def made(self) -> int: ...


@actorio.remote
class Counter(Base):
    limit = 3

    def __init__(self, start: int = 0) -> None:
        self.value = start

    def made(self) -> int:
        return self.value

    def add(self, n: int, *more: int, scale: float = 1.0) -> int:
        self.value += n
        return self.value

    async def slow(self) -> str:
        return "slow"

    def numbers(self, n: int) -> Iterator[int]:
        yield from range(n)

    def items(self) -> Iterable[str]:
        yield "item"

    def listed(self) -> Iterable[str]:
        return ["item"]

    async def ticks(self) -> AsyncIterator[float]:
        yield 1.0

    def itself(self, value: T) -> T:
        return value

    def both(self, other: "ActorHandle[Counter]") -> None:
        assert_type(other.add.remote(1), ObjectRef[int])

    @actorio.method(num_returns=2)
    def pair(self, n: int) -> tuple[int, str]:
        return n, str(n)

    @actorio.method(max_task_retries=2)
    async def again(self, n: int) -> bytes:
        assert_type(self.pair(n), tuple[int, str])
        return b""

    @property
    def double(self) -> int:
        return 2 * self.value

    @staticmethod
    def static(x: int) -> str:
        return str(x)

    @actorio.method(timeout=1.0)
    @staticmethod
    def static_in_time(x: int) -> bytes:
        return bytes(x)

    @classmethod
    def of_class(cls, x: int) -> str:
        return str(x)

    def options(self, key: str) -> int:
        return len(key)


@actorio.remote
class Box(Generic[T]):
    def __init__(self, value: T) -> None:
        self.value = value

    def get(self) -> T:
        return self.value


@actorio.remote
class Watched:
    def watch(self, what: str) -> int:
        return len(what)


counter = Counter.remote(5)
assert_type(counter, ActorHandle[Counter])
assert_type(Counter.options(name="c").remote(5), ActorHandle[Counter])

# -- calls ---------------------------------------------------------------------------------------------------------

assert_type(counter.add.remote(1, 2, scale=0.5), ObjectRef[int])
assert_type(counter.slow.remote(), ObjectRef[str])
assert_type(counter.inherited.remote("key"), ObjectRef[bytes])
assert_type(counter.static.remote(3), ObjectRef[str])
assert_type(counter.static_in_time.remote(3), ObjectRef[bytes])
assert_type(counter.of_class.remote(3), ObjectRef[str])
assert_type(counter.again.remote(3), ObjectRef[bytes])
assert_type(counter.pair.remote(3), list[ObjectRef[Any]])
assert_type(counter.itself.remote("any"), ObjectRef[Any])
assert_type(counter.options.remote("key"), ObjectRef[int])
assert_type(counter.slow, ActorMethod[[], ObjectRef[str]])
counter.both.remote(counter)
counter.add.remote("1")  # E: mypy[arg-type]
counter.add.remote()  # E: mypy[call-arg]
counter.add.remote(1, scal=2)  # E: mypy[call-arg]
counter.inherited.remote(3)  # E: mypy[arg-type]
counter.both.remote(Watched.remote())  # E: mypy[arg-type]
counter.add(1)  # E: mypy[operator]
counter.ad.remote(1)  # E: mypy[attr-defined]
counter.value  # E: mypy[attr-defined]
counter.limit  # E: mypy[attr-defined]
counter.double  # E: mypy[attr-defined]

# A reference stands for its value.
counter.add.remote(counter.add.remote(1), scale=actorio.put(2.0))
counter.add.remote(counter.slow.remote())  # E: mypy[arg-type]

# -- streams -------------------------------------------------------------------------------------------------------

assert_type(counter.numbers.remote(3), ObjectRefGenerator[int])
assert_type(counter.numbers.stream(3), Stream[int])
assert_type(counter.ticks.remote(), ObjectRefGenerator[float])
assert_type(counter.ticks.stream(), Stream[float])
assert_type(counter.items.stream(), Stream[str])
assert_type(counter.listed.remote(), ObjectRef[Iterable[str]])
counter.numbers.stream("3")  # E: mypy[arg-type]
counter.add.stream(3)  # E: mypy[misc]

# -- options -------------------------------------------------------------------------------------------------------

assert_type(counter.add.options(max_task_retries=2).remote(1), ObjectRef[int])
assert_type(counter.add.options(num_returns=2).remote(1), list[ObjectRef[Any]])
assert_type(counter.add.options(num_returns=1).remote(1), ObjectRef[Any])
assert_type(counter.add.options(num_returns="streaming").remote(1), ObjectRefGenerator[Any])
assert_type(counter.numbers.options(window=2).stream(1), Stream[int])
counter.add.options(max_task_retries=2).remote("1")  # E: mypy[arg-type]
counter.add.options(max_retries=2)  # E: mypy[call-overload]

# -- generic classes, and names of our own -------------------------------------------------------------------------

assert_type(Box.remote(3), ActorHandle[Box[int]])
assert_type(Box.remote("3").get.remote(), ObjectRef[str])
assert_type(Watched.remote().watch.remote("what"), ObjectRef[int])


def call(handle: ActorHandle, unknown: ActorHandle[Any]) -> None:
    handle.anything.remote(1, 2, 3)
    unknown.anything.remote(1, 2, 3)


async def main() -> None:
    assert_type(await counter.add.remote(1), int)
    async for number in counter.numbers.stream(3):
        assert_type(number, int)
    async for each in counter.ticks.remote():
        assert_type(await each, float)
    async for event in counter.watch():
        assert_type(event, ActorEvent)
    await counter.set_concurrency(2, group="io")
    counter.set_concurrency("2")  # E: mypy[arg-type]
    await counter.add.ready()
    assert_type(actorio.get([counter.add.remote(1)]), list[int])


class Plain:
    def me(self) -> Self:
        return self


assert_type(actorio.remote(Plain).remote().me.remote(), ObjectRef[Plain])
