"""`Supervisor`: actors that are restarted together, by OTP's rules."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from actorio._model import runtime
from actorio._model.handle import ActorHandle, identity_of
from actorio._model.remote import ActorClass
from actorio._model.restarts import check_count, check_number
from actorio._model.supervision import Membership

if TYPE_CHECKING:
    from typing import Any, TypeVar

    from actorio._model import typed

    C = TypeVar("C", bound=type)


Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
RestartType = Literal["permanent", "transient", "temporary"]

_STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
_RESTART_TYPES = ("permanent", "transient", "temporary")
# In seconds; longer windows than three decades are a mistake.
_LEAST_WINDOW, _LONGEST_WINDOW = 0.001, 1e9


class Supervisor:
    """A group of actors that are restarted together when one of them fails.

    ::

        supervisor = Supervisor("rest_for_one", max_restarts=3, window=60)
        store = supervisor.supervise(Store).remote()
        cache = supervisor.supervise(Cache).remote(store)   # restarted whenever the store is

    The session's node sees to it, so that it works whatever this process does; the members end with it all the same,
    as all actors end with their maker (detached ones excepted). A member that is restarted keeps its handle, its name
    and its waiting calls, and its constructor is run again. Safe to use from any thread.

    Args:
        strategy: who is restarted when a member fails: it alone (``"one_for_one"``), all members (``"one_for_all"``),
            or it and those added after it (``"rest_for_one"``). The others are ended gracefully first.
        max_restarts: how many failures within the window are mended, 1 by default as in OTP. With one more the group
            gives up: every member is ended.
        window: seconds.

    Raises:
        TypeError: a value of the wrong type.
        ValueError: an unknown strategy, or a number out of range.
    """

    def __init__(self, strategy: Strategy = "one_for_one", *, max_restarts: int = 1, window: float = 5.0) -> None:
        if strategy not in _STRATEGIES:
            raise ValueError(f"Supervisor: strategy={strategy!r} is not allowed: it is one of {', '.join(_STRATEGIES)}")
        check_count("Supervisor: max_restarts", max_restarts, 0)
        self._strategy: Strategy = strategy
        self._max_restarts = max_restarts
        self._window = check_number("Supervisor: window", window, _LEAST_WINDOW, _LONGEST_WINDOW)
        self._group_id = os.urandom(8).hex()

    def supervise(
        self, actor_class: type[typed.Actor[C]], *, restart: RestartType = "permanent"
    ) -> type[typed.Actor[C]]:
        """Returns the actor class with this supervisor: actors that it makes are members, in the order of making.

        Options that say how often an actor is restarted have no effect on a member: the group's rules hold.

        Args:
            actor_class: what `actorio.remote` makes of a class, with any options.
            restart: ``"permanent"``: restarted after every end of its own; ``"transient"``: unless it ended because it
                wanted to; ``"temporary"``: never. A member that is not restarted leaves the group, and so does one
                that somebody ends for good, or whose constructor raises.

        Raises:
            TypeError: not an actor class.
            ValueError: an unknown restart type.
        """
        if not isinstance(actor_class, ActorClass):
            kind = type(actor_class).__name__
            raise TypeError(f"supervise() takes an actor class, as @actorio.remote makes it, not {kind}")
        if restart not in _RESTART_TYPES:
            raise ValueError(
                f"supervise(): restart={restart!r} is not allowed: it is one of {', '.join(_RESTART_TYPES)}"
            )
        membership = Membership(self._group_id, self._strategy, self._max_restarts, self._window, restart)
        return actor_class.supervised(membership)

    def stop(self, *members: ActorHandle) -> None:
        """Ends members gracefully, the last one given first; they are not restarted. Does not wait for their end.

        Raises:
            TypeError: one of them is not an actor's handle.
        """
        for member in members:
            if not isinstance(member, ActorHandle):
                raise TypeError(f"Supervisor.stop() takes handles of actors, not {type(member).__name__}")
        current = runtime.of_handles()
        for member in reversed(members):
            current.end(identity_of(member))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._strategy, self._max_restarts, self._window, self._group_id)

    def __repr__(self) -> str:
        return f"Supervisor({self._strategy!r}, max_restarts={self._max_restarts}, window={self._window:g})"


def _restored(strategy: Strategy, max_restarts: int, window: float, group_id: str) -> Supervisor:
    supervisor = Supervisor(strategy, max_restarts=max_restarts, window=window)
    supervisor._group_id = group_id  # noqa: SLF001  # the same group, in another process
    return supervisor
