"""The methods of handles for a checker without the plugin: no errors, and values of any type."""

from collections.abc import Iterator
from typing import Any, assert_type

import actorio
from actorio.actor import ActorMethod


@actorio.remote
class Counter:
    def add(self, n: int) -> int:
        return n

    def numbers(self, n: int) -> Iterator[int]:
        yield from range(n)

    @actorio.method(num_returns=2)
    def pair(self) -> tuple[int, int]:
        return 1, 2


counter = Counter.remote()
assert_type(counter.add, ActorMethod[..., Any])
assert_type(counter.add.remote(1), Any)
assert_type(counter.add.options(num_returns=2).remote(1), list[actorio.ObjectRef[Any]])
counter.add(1)  # E: pyright[reportCallIssue]
first, second = counter.pair.remote()
for ref in counter.numbers.remote(3):
    actorio.get(ref)
for number in counter.numbers.stream(3):
    print(number)


async def main() -> None:
    assert_type(await counter.add.remote(1), Any)
    async for number in counter.numbers.stream(3):
        print(number)
    async for event in counter.watch():
        print(event)
    await counter.set_concurrency(2, group="io")
    await counter.add.ready()
