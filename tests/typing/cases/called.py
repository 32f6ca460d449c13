"""`remote` as a call: known to every checker, mypy without the plugin, too."""

from typing import Any, assert_type

import actorio
from actorio import ActorHandle, ObjectRef


class Counter:
    def __init__(self, start: int = 0) -> None:
        self.value = start

    def add(self, n: int) -> int:
        return self.value + n


def square(x: int) -> int:
    return x * x


RemoteCounter = actorio.remote(Counter)
assert_type(RemoteCounter.remote(5), ActorHandle[Counter])
assert_type(RemoteCounter.options(name="c").remote(5), ActorHandle[Counter])
assert_type(actorio.remote(max_concurrency=2)(Counter).remote(5), ActorHandle[Counter])
RemoteCounter.remote(actorio.put(5))
RemoteCounter.remote("5")  # E: bare[call-overload] mypy[arg-type] pyright[reportCallIssue,reportArgumentType]
RemoteCounter.options(nam="c")  # E: bare[call-arg] mypy[call-arg] pyright[reportCallIssue]

remote_square = actorio.remote(square)
assert_type(remote_square.remote(3), ObjectRef[int])
assert_type(remote_square.options(num_returns=2).remote(3), list[ObjectRef[Any]])
assert_type(actorio.remote(num_cpus=2)(square).remote(3), ObjectRef[int])
assert_type(actorio.get(remote_square.remote(remote_square.remote(3))), int)
remote_square.remote("3")  # E: bare[call-overload] mypy[arg-type] pyright[reportCallIssue,reportArgumentType]
remote_square(3)  # E: bare[operator] mypy[operator] pyright[reportCallIssue]


def use(handle: ActorHandle[Counter]) -> None:
    handle.add.remote(1)
    handle.add(1)  # E: bare[operator] mypy[operator] pyright[reportCallIssue]


use(RemoteCounter.remote(5))
