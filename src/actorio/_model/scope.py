"""`ActorScope`: a block that has an actor of its own, and leaves none behind.

What is done at the end of the block is written once, as steps that yield what is to be waited for; `__exit__` waits in
the thread and `__aexit__` on the loop.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from actorio._model import runtime
from actorio._model.generic import A_co, Generic
from actorio._model.handle import identity_of
from actorio._model.reference import ObjectRef
from actorio._model.streams import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from types import TracebackType

    from actorio._model.handle import ActorHandle, ActorIdentity
    from actorio._model.runtime import Pending, Runtime

    # What to wait for, and for how many seconds; None is as long as it takes. What has a limit is not cancelled.
    Step = tuple[Sequence[Pending], float | None]
    Steps = Generator[Step, None, None]

# How long an actor whose block has failed may take for its clean-up, and then to be killed, in seconds.
_PATIENCE = 1.0


class ActorScope(Generic[A_co]):
    """What `ActorClass.scope` returns: ``async with`` or ``with`` starts the actor, and the end of the block ends it.

    For one block. Cancelling is safe at any time: the actor ends nevertheless.

    Args:
        start: starts the actor.
    """

    def __init__(self, start: Callable[[], ActorHandle[A_co]]) -> None:
        self._start: Callable[[], ActorHandle[A_co]] | None = start
        # Kept for the block, which need not keep it itself.
        self._handle: ActorHandle[A_co] | None = None

    async def __aenter__(self) -> ActorHandle[A_co]:
        return self._begin()

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await _wait_on_loop(self._end(error))

    def __enter__(self) -> ActorHandle[A_co]:
        runtime.current().blocking("ActorClass.scope")
        return self._begin()

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        _wait_in_thread(self._end(error))

    def _begin(self) -> ActorHandle[A_co]:
        start, self._start = self._start, None
        if start is None:
            raise RuntimeError("a scope is for one block: call Class.scope(...) again for another actor")
        self._handle = start()
        return self._handle

    def _end(self, error: BaseException | None) -> Steps:
        from actorio._model.errors import RaySystemError  # `import actorio` loads this module, and little else

        handle, self._handle = self._handle, None
        current = runtime.installed()
        if handle is None or current is None:
            # It has ended with its session.
            return
        with suppress(RaySystemError):
            if error is None:
                yield from _finish(current, identity_of(handle))
            else:
                yield from _break_off(current, identity_of(handle), error)


def _finish(current: Runtime, identity: ActorIdentity) -> Steps:
    """Ends an actor when its calls have ended."""
    try:
        yield current.pending_of(identity), None
        current.end(identity)
        yield [current.ended(identity)], None
    except BaseException as error:  # cancelled, or interrupted
        yield from _break_off(current, identity, error)
        raise


def _break_off(current: Runtime, identity: ActorIdentity, error: BaseException) -> Steps:
    """Ends an actor soon, whatever it does."""
    for pending in current.pending_of(identity):
        # Those of others that its calls have made are cancelled, too, and nothing is made again.
        current.cancel(pending, is_forced=False, is_recursive=True)
    current.end(identity)
    if isinstance(error, GeneratorExit):
        # Whatever runs the block is being closed, and nothing can be awaited in it any more: the node sees to the rest.
        return
    gone = current.ended(identity)
    try:
        yield [gone], _PATIENCE
    finally:
        if not gone.is_done():
            current.kill(identity, may_restart=False)
    yield [gone], _PATIENCE


def _wait_in_thread(steps: Steps) -> None:
    with suppress(StopIteration):
        step = next(steps)
        while True:
            try:
                _block(*step)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = next(steps)


async def _wait_on_loop(steps: Steps) -> None:
    with suppress(StopIteration):
        step = next(steps)
        while True:
            try:
                await _asleep(*step)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = next(steps)


def _block(results: Sequence[Pending], timeout: float | None) -> None:
    if results:
        runtime.of_handles().wait([ObjectRef[Any](each) for each in results], len(results), timeout)


async def _asleep(results: Sequence[Pending], limit: float | None) -> None:
    if limit is None:
        await _all_of(results)
        return
    import anyio  # only where a block has failed

    # Of asyncio's tasks, too, it may have to hold off a cancel scope that would cancel them again and again.
    with anyio.move_on_after(limit, shield=True):
        await _all_of(results)


async def _all_of(results: Sequence[Pending]) -> None:
    for each in results:
        await Waiting(each.wait_done())


def check_scope(options: Mapping[str, Any], where: str) -> None:
    """Checks that an actor with these options is its block's own.

    Raises:
        ValueError: it is not.
    """
    if options.get("get_if_exists"):
        raise ValueError(
            f"{where}: with get_if_exists=True the actor may be somebody else's, and the end of the block would end "
            "it: leave the option out, or use .remote()"
        )
    if options.get("lifetime") == "detached":
        raise ValueError(
            f"{where}: a detached actor outlives its program, and this one ends with its block: leave "
            "lifetime='detached' out, or use .remote()"
        )
