"""What there is: a session's actors, as a node tells whoever looks."""

from __future__ import annotations

import msgspec


class ActorStatistics(msgspec.Struct, array_like=True, frozen=True):
    """How busy an actor is: what `actorio.util.statistics` gives.

    Attributes:
        calls: how many calls have ended since its process began.
        running: how many run.
        queued: how many wait in its mailbox.
        median: half of the calls of the last 5 seconds took no longer than this, in seconds; None without calls.
        slow: 99 of 100 took no longer than this.
    """

    calls: int
    running: int
    queued: int
    median: float | None
    slow: float | None


class ActorStatus(msgspec.Struct, array_like=True):
    """One actor.

    Attributes:
        state: ``"queued"``, ``"starting"``, ``"alive"``, ``"restarting"``, ``"ending"`` or ``"dead"``.
        pid: its process, the last one of a dead actor; 0 when it has none just now.
        restarts: how often it has been restarted.
        max_restarts: how often it may be; -1 is without end.
        owner_pid: the process that made it.
        created: when, in seconds since the epoch.
        address: where it listens.
        log: the file that holds what it has printed last.
        end: why it is dead.
        is_worker: it runs tasks.
    """

    actor_id: str
    class_name: str
    name: str
    namespace: str
    state: str
    pid: int
    restarts: int
    max_restarts: int
    is_detached: bool
    owner_pid: int
    created: float
    address: str
    log: str
    end: str = ""
    is_worker: bool = False


class Inventory(msgspec.Struct, array_like=True):
    """A session: its processes, its actors, and those that have died last, the oldest first."""

    directory: str
    node_pid: int
    zygote_pid: int
    drivers: list[int]
    actors: list[ActorStatus]
    dead: list[ActorStatus] = []  # msgspec copies it
    # What there is of each resource, and what of it nobody has.
    resources: dict[str, int] = {}  # msgspec copies it
    free: dict[str, int] = {}  # msgspec copies it

    def encode(self) -> bytes:
        """Returns the inventory as bytes."""
        return _ENCODER.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Inventory:
        """Reads an inventory from bytes."""
        return _DECODER.decode(data)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Inventory)
