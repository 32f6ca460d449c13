"""What happens to an actor, as ``handle.watch()`` tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from actorio._model.certificate import DeathCertificate


class ActorEvent(msgspec.Struct, frozen=True):
    """One event in an actor's life.

    Attributes:
        kind: ``"started"`` (a process of it runs), ``"restarting"`` (that has ended, and another one follows) or
            ``"died"`` (for good; the last event).
        pid: the process that has started or ended; 0 when it is unknown.
        restarts: how often the actor has been restarted.
        cause: how the process ended; None for ``"started"``.
    """

    kind: Literal["started", "restarting", "died"]
    pid: int
    restarts: int
    cause: DeathCertificate | None = None

    def __str__(self) -> str:
        why = f": {self.cause.reason()}" if self.cause is not None else ""
        return f"{self.kind} (pid {self.pid}, restarts {self.restarts}){why}"
