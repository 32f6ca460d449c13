"""What the registry has the node do. Plain values: the registry decides, the node's shell acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from actorio._model.certificate import DeathCertificate
    from actorio._node.spec import Spec
    from actorio._wire.messages import Message


class Fork(NamedTuple):
    """Make the actor's process."""

    actor_id: str


class ForkLater(NamedTuple):
    """Tell the registry that it is time, in ``delay`` seconds."""

    actor_id: str
    delay: float


class End(NamedTuple):
    """Ask the actor's process to end, and kill it when it does not in time."""

    actor_id: str
    pid: int


class Kill(NamedTuple):
    """Kill the actor's process group."""

    pid: int


class Answer(NamedTuple):
    """Tell ``asker`` about its question ``number``; no certificate: the actor lives."""

    asker: Any
    number: int
    certificate: DeathCertificate | None


class Made(NamedTuple):
    """Answer a creation: an identity when the name has an actor already, an error when it cannot be had.

    Either way ``actor_id``, which was asked for, is not needed then.
    """

    asker: Any
    number: int
    actor_id: str
    identity: bytes
    error: str


class Queue(NamedTuple):
    """Tell ``asker`` that what it has created waits for resources."""

    asker: Any
    number: int
    actor_id: str


class Send(NamedTuple):
    """Send a message to a process."""

    asker: Any
    message: Message
    payload: bytes = b""


class CheckLater(NamedTuple):
    """Ask the leases in so many seconds whether this worker is still without tasks."""

    worker_id: str
    delay: float


class Retire(NamedTuple):
    """Have a worker end when nobody needs what it has."""

    worker_id: str


class Happened(NamedTuple):
    """Tell watchers, and the actor's driver when it matters: ``kind`` is started, restarting or died.

    ``was_answered``: a caller that waited for the actor has been told of this death.
    """

    actor_id: str
    kind: str
    pid: int
    certificate: DeathCertificate | None = None
    driver: str = ""
    was_answered: bool = False
    # Of an actor that is dead, and that the registry knows no more.
    spec: Spec | None = None


class CutOff(NamedTuple):
    """Tell the actor's driver that it has not ended within so many seconds, and is being killed."""

    actor_id: str
    seconds: float


class Bury(NamedTuple):
    """The actor is dead for good: let go of all that was its."""

    actor_id: str
    address: str


Instruction = (
    Fork | ForkLater | End | Kill | Answer | Made | Queue | Send | CheckLater | Retire | Happened | CutOff | Bury
)
