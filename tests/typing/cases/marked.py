"""Methods that are marked with `method`: known to every checker through `methods_of`."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import actorio
from actorio import ActorHandle, ObjectRef, ObjectRefGenerator, Stream, methods_of
from actorio.actor import ActorMethod


@actorio.remote
class Counter:
    def __init__(self, start: int = 0) -> None:
        self.value = start

    @actorio.method
    def add(self, n: int) -> int:
        assert_type(self.total(), int)
        return n

    def total(self) -> int:
        # Inside the class a marked method is a method.
        assert_type(self.add(1), int)
        self.add("1")  # E: mypy[arg-type] pyright[reportArgumentType]
        return self.value

    @actorio.method
    async def slow(self) -> str:
        return "slow"

    @actorio.method
    def numbers(self, n: int) -> Iterator[int]:
        yield from range(n)

    @actorio.method
    async def ticks(self) -> AsyncIterator[float]:
        yield 1.0

    @actorio.method(num_returns=2)
    def pair(self, n: int) -> tuple[int, str]:
        return n, str(n)

    @actorio.method(max_task_retries=2, retry_exceptions=[ConnectionError])
    async def again(self, n: int) -> bytes:
        return b""

    @actorio.method(timeout=2.0)
    @classmethod
    def of_class(cls, x: int) -> str:
        return str(x)

    @actorio.method(num_return=2)  # E: mypy[call-overload,untyped-decorator] pyright[reportCallIssue]
    def misspelt(self) -> None:
        pass


counter = methods_of(Counter.remote(5))
assert_type(counter.add, ActorMethod[[int], ObjectRef[int]])  # E: mypy[assert-type] pyright[reportAssertTypeFailure]
assert_type(counter.add.remote(1), ObjectRef[int])
assert_type(counter.slow.remote(), ObjectRef[str])
assert_type(counter.numbers.remote(3), ObjectRefGenerator[int])
assert_type(counter.numbers.stream(3), Stream[int])
assert_type(counter.ticks.stream(), Stream[float])
assert_type(counter.pair.remote(3), list[ObjectRef[Any]])
assert_type(counter.again.remote(3), ObjectRef[bytes])
assert_type(counter.add.options(num_returns="streaming").remote(3), ObjectRefGenerator[Any])
assert_type(counter.of_class.remote(3), ObjectRef[str])
counter.add.remote("1")  # E: mypy[arg-type] pyright[reportCallIssue,reportArgumentType]
counter.add.options(windw=3)  # E: mypy[call-overload] pyright[reportCallIssue]
counter.add(1)  # E: mypy[operator] pyright[reportCallIssue]
counter.total.remote()  # E: mypy[attr-defined] pyright[reportFunctionMemberAccess]


def use(handle: ActorHandle[Counter]) -> None:
    assert_type(methods_of(handle).add.remote(1), ObjectRef[int])


async def main() -> None:
    assert_type(await counter.slow.remote(), str)
    async for number in counter.numbers.stream(3):
        assert_type(number, int)


methods_of(5)  # E: mypy[arg-type] pyright[reportArgumentType]
