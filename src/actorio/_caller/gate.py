"""Where calls pass that may be refused, or have to wait, before they are sent.

An actor's mailbox may have a bound, and so may the number of calls that one process has pending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorio._caller.pending import PendingResult
from actorio._caller.wakers import running_loop
from actorio._model.context import get_runtime_context
from actorio._model.errors import PendingCallsLimitExceeded
from actorio._model.runtime import of_handles
from actorio._model.streams import Waiting

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from actorio._caller.contexts import Contexts
    from actorio._caller.lane import Lane
    from actorio._model.definition import MethodDefinition
    from actorio._model.handle import ActorIdentity


class Question(PendingResult):
    """The answer to a question, which is no call."""

    __slots__ = ()

    is_question = True


class Gate:
    """Lets calls pass.

    Args:
        contexts: returns the caller contexts.
        lane: returns the connection of a context to an actor; None when nobody listens there.
        numbers: of results.
    """

    def __init__(
        self,
        contexts: Callable[[], Contexts],
        lane: Callable[[ActorIdentity, asyncio.AbstractEventLoop | None], Lane | None],
        numbers: Iterator[int],
    ) -> None:
        self._contexts = contexts
        self._lane = lane
        self._numbers = numbers

    def admit(self, identity: ActorIdentity, method: MethodDefinition) -> None:
        """Lets a call pass. In a thread without a loop, when the actor's mailbox has room; on a loop at once.

        Raises:
            PendingCallsLimitExceeded: too many calls of this process to the actor are pending.
        """
        limit = identity.terms.max_pending
        if limit and self._contexts().count_pending(identity.address) >= limit:
            raise PendingCallsLimitExceeded(
                f"{method.call_name}() was not called: {limit} calls of this process to {identity.definition.name} "
                f"({identity.actor_id}) are pending, which are as many as max_pending_calls allows; wait for some, or "
                "write `await handle.method.ready()` before a call"
            )
        # An actor that waited for room in its own mailbox would keep it from having any.
        is_own = identity.actor_id == get_runtime_context().actor_id
        if identity.terms.bound and running_loop() is None and not is_own:
            result = self._ask_for_room(identity, None)
            if result is not None:
                of_handles().block(result, "remote")

    async def ready(self, identity: ActorIdentity) -> None:
        """Waits until this process may make another call: for calls of its own, and for the actor's mailbox."""
        result = self._ask_for_room(identity, running_loop())
        if result is not None:
            await Waiting(result.wait_done())
        limit, contexts = identity.terms.max_pending, self._contexts()
        while limit and contexts.count_pending(identity.address) >= limit:
            oldest = contexts.oldest_pending(identity.address)
            if oldest is not None:
                await Waiting(oldest.wait_done())

    def _ask_for_room(self, identity: ActorIdentity, loop: asyncio.AbstractEventLoop | None) -> PendingResult | None:
        """Returns what ends when the actor's mailbox has room for another call; None when it surely has."""
        bound = identity.terms.bound
        lane = self._lane(identity, loop) if bound else None
        # That it is full is known late; that less was sent than it holds, at once.
        if lane is None or not (lane.is_full or lane.count_pending() >= bound):
            return None
        result = Question(next(self._numbers), lane, f"{identity.definition.name}.ready")
        lane.ask_for_room(result)
        return result
