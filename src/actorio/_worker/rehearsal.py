"""What the template does before the first actor is forked from it: it lives actors' lives, up to their first call.

What CPython writes when code runs for the first times (specialised instructions, look-ups and versions of types) is
so written once, in the template, and shared by all actors. Each would otherwise write it into pages of its own, which
costs time and memory.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from types import CodeType, FrameType, FunctionType
from typing import TYPE_CHECKING

import cloudpickle

from actorio._model.birth import Birth
from actorio._model.context import CURRENT_CALL
from actorio._model.definition import ClassDefinition
from actorio._transport.loops import find_buffer, new_slim_loop
from actorio._transport.signals import DEFAULT, set_handler
from actorio._transport.sockets import connect, listen, unlink
from actorio._wire.messages import Call, Farewell, encode
from actorio._wire.payload import dumps
from actorio._worker.executor import StopRequestedError
from actorio._worker.inspection import dump_path
from actorio._worker.life import Life
from actorio._worker.rousing import Rouser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# CPython specialises a function when it has run eight times.
_ROUNDS = 8
# How long a thread may take to end, and how often that is looked at, in seconds.
_PATIENCE, _PAUSE = 1.0, 0.0005
# What methods are called with.
_ONE, _NOTHING = dumps(((1,), {})), dumps(((), {}))
# The actor is to stop, and the caller leaves in order; so long after the first call, in seconds, that it has no work.
_END = encode(Call(2, "stop"), _NOTHING) + encode(Farewell())
_MOMENT = 0.001


def rehearse(surroundings: bytes, directory: str) -> None:
    """Lives lives. In the only thread of the template, and leaves no other, no loop and no open file.

    Args:
        surroundings: those that the template has settled in.
        directory: the session's.
    """
    with suppress(ImportError, OSError, AttributeError):
        find_buffer()
    address = f"{directory}/rehearsal"
    births = [_birth_of(kind, address, surroundings) for kind in _kinds()]
    threads = _count_threads()
    with _seeing_code() as seen:
        _live_all(births, address)
    _lay_together(seen)
    for _ in range(_ROUNDS):
        _live_all(births, address)
    CURRENT_CALL.set(None)
    patience = time.monotonic() + _PATIENCE
    while _count_threads() > threads and time.monotonic() < patience:
        # Python has done with it; the system, which forks only one thread, not quite.
        time.sleep(_PAUSE)


def _count_threads() -> int:
    """Returns how many threads the system sees in this process; 0 where it does not tell."""
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208  # pathlib would be imported for this alone
    except OSError:
        return 0


def _kinds() -> tuple[type, type]:
    """Returns what the lives are of; local classes, which are pickled by value as those of programs are."""

    class Plain:
        def __init__(self, value: object) -> None:
            self.value = value

        def method(self, value: object) -> object:
            return value

        def stop(self) -> None:
            raise StopRequestedError

    class Coroutine:
        def __init__(self, value: object) -> None:
            self.value = value

        async def method(self, value: object) -> object:
            return value

        async def stop(self) -> None:
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.stop)

    return Plain, Coroutine


def _birth_of(kind: type, address: str, surroundings: bytes) -> bytes:
    definition = ClassDefinition.of(kind)
    return Birth(
        actor_id="",
        name=definition.name,
        address=address,
        session="",
        class_payload=cloudpickle.dumps(kind),
        definition=dumps(definition),
        arguments=dumps(((1,), {})),
        is_async=definition.is_async,
        max_concurrency=1,
        allow_blocking_get=False,
        stall_limit=1.0,
        surroundings=surroundings,
    ).encode()


@contextmanager
def _seeing_code() -> Iterator[dict[int, CodeType]]:
    """Yields the code that runs meanwhile, in the order in which it begins to, each by its `id`."""
    seen: dict[int, CodeType] = {}

    def see(frame: FrameType, _event: str, _argument: object) -> None:
        seen.setdefault(id(frame.f_code), frame.f_code)

    # What the program preloads may have one of its own.
    others = threading.getprofile(), sys.getprofile()
    threading.setprofile(see)
    sys.setprofile(see)
    try:
        yield seen
    finally:
        sys.setprofile(others[1])
        threading.setprofile(others[0])


def _lay_together(seen: dict[int, CodeType]) -> None:
    """Makes copies of code, one after the other in memory, and has its functions run those.

    Whatever runs is counted where it lies, which costs an actor the page: there are fewer where it lies together.
    """
    order = {number: place for place, number in enumerate(seen)}

    def copy(code: CodeType) -> CodeType:
        constants = [copy(each) if id(each) in order else each for each in code.co_consts]
        return code.replace(co_consts=tuple(constants))

    functions = [each for each in gc.get_objects() if type(each) is FunctionType and id(each.__code__) in order]
    for function in sorted(functions, key=lambda function: order[id(function.__code__)]):
        function.__code__ = copy(function.__code__)


def _live_all(births: list[bytes], address: str) -> None:
    for birth in births:
        _live(Birth.decode(birth), address)


def _live(birth: Birth, address: str) -> None:
    """Lives a life: a caller connects, calls a method, has the actor stop, and leaves in order."""
    with listen(address) as listener, connect(address, blocking=True) as caller:
        unlink(address)
        caller.sendall(encode(Call(1, "method"), _ONE))
        life = Life(os.path.dirname(address))  # noqa: PTH120  # a string is what sockets take
        life.furnish()
        life.be(birth, listener, None)
        unlink(dump_path(address))
        (_live_on_loop if birth.is_async else _live_in_threads)(life, partial(caller.sendall, _END))
        life.forget()


def _live_in_threads(life: Life, say_end: Callable[[], None]) -> None:
    rouser = Rouser()
    dispatcher = life.start_in_threads(rouser)
    loop = life.mailbox_loop
    if loop is not None:
        loop.call_soon_threadsafe(loop.call_later, _MOMENT, say_end)
    with suppress(StopRequestedError):
        dispatcher.work()
    life.close_mailbox()
    rouser.close()


def _live_on_loop(life: Life, say_end: Callable[[], None]) -> None:
    # It does not become the thread's own: what the program preloads may have set one.
    loop = new_slim_loop()
    loop.add_signal_handler(signal.SIGTERM, print)
    loop.run_until_complete(life.start_on_loop(loop))
    loop.call_later(_MOMENT, say_end)
    loop.run_forever()
    life.server.close()
    loop.close()
    # uvloop leaves its own there.
    set_handler(signal.SIGTERM, DEFAULT)
