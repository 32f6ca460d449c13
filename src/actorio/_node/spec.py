"""What an actor was asked to be: all that a node must know of it, and that a new node learns from the zygote."""

from __future__ import annotations

import msgspec

from actorio._model.restarts import RestartBudget  # noqa: TC001  # msgspec reads the annotation
from actorio._model.supervision import Membership  # noqa: TC001  # msgspec reads the annotation


class Spec(msgspec.Struct, array_like=True):
    """One actor, from its creation to its end.

    Attributes:
        label: the class's name, as its output is labelled.
        address: where it listens.
        owner: the process that made it, and with which it ends unless it is detached.
        owner_pid: that process's id.
        driver: the driver at the root of its family: it gets the output.
        family: the process with whose end the family ends: that driver, or a detached actor in between.
        identity: the pickled identity that others get who ask for it by name.
        held: the actors that its constructor needs.
        membership: its place in a supervised group, if it has one.
        amounts: what it needs of each resource.
        gpus: the ids of the GPUs that it has been given; None where nothing was said of any.
        ends_with_session: it is detached, and ends with the last driver all the same.
        lease: of a worker: who has made it, and for which lease of his; with ``is_private`` it runs tasks of no other.
    """

    actor_id: str
    label: str
    address: str
    owner: str
    owner_pid: int
    driver: str
    budget: RestartBudget
    created: float
    name: str = ""
    namespace: str = ""
    is_detached: bool = False
    identity: bytes = b""
    held: tuple[str, ...] = ()
    membership: Membership | None = None
    amounts: dict[str, int] = {}  # msgspec copies it
    gpus: list[str] | None = None
    lease: tuple[str, int] | None = None
    is_private: bool = False
    ends_with_session: bool = False
    family: str = ""

    @property
    def keeps_session(self) -> bool:
        """Does the session stay for it, when no driver is left?"""
        return self.is_detached and not self.ends_with_session

    def ends_with(self, driver: str) -> bool:
        """Is it one of those that end when a driver leaves?"""
        return not self.is_detached and (self.family or self.driver) == driver

    def encode(self) -> bytes:
        """Returns the spec as bytes."""
        return _ENCODER.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> Spec:
        """Reads a spec from bytes."""
        return _DECODER.decode(data)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Spec)
