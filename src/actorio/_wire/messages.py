"""The messages: every header that crosses a socket of actorio, as three msgspec tagged unions.

A message is an array on the wire, ``[tag, field, ...]``. Two rules keep old and new processes talking, and are
where later features find their place (held by a property test):

* a field that is added goes to the end of its message and has a default: an older sender leaves it out, an older
  receiver ignores it. A call's deadline, call chain and context will come this way;
* a new kind of message takes a new tag: cancelling, stream credits, borrowing, re-registering with another node.

Payloads (pickled arguments, results, failures) travel behind the header and are never decoded here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actorio._wire.frames import FrameReader, frame

if TYPE_CHECKING:
    from actorio._wire.frames import Payload

VERSION = 1


class Message(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What all messages have in common: an array on the wire, immutable."""


# --- a caller to an actor (or to the owner of a value) -----------------------------------------------------------


class Call(Message, tag=1, frozen=True):
    """Run ``method``. The payload is the pickled ``(args, kwargs)``, then one value per size in ``parts``.

    ``parts`` are results that the caller had when it sent the call: they are forwarded as they came.
    """

    id: int
    method: str
    parts: tuple[int, ...] = ()


class Fetch(Message, tag=2, frozen=True):
    """Send me the value of the reference that you made under this number, when it is there."""

    id: int
    number: int


# --- back to the caller ------------------------------------------------------------------------------------------


class Result(Message, tag=1, frozen=True):
    """The call has returned; the payload is the pickled value."""

    id: int


class Failure(Message, tag=2, frozen=True):
    """The call has failed; the payload is an encoded `TaskFailure`, or a pickled error."""

    id: int
    is_pickled_error: bool = False


# --- a process and its node --------------------------------------------------------------------------------------


class Hello(Message, tag=1, frozen=True):
    """The first message on a control connection. Role is ``"driver"`` or ``"actor"``."""

    version: int
    role: str
    pid: int


class Welcome(Message, tag=2, frozen=True):
    """The node is up and has taken the connection."""

    node_pid: int
    zygote_pid: int
    # What went wrong while the session started, "" when all is well.
    error: str = ""


class Create(Message, tag=3, frozen=True):
    """Start an actor. Two descriptors come with it: its listening socket, and a file that holds its `Birth`."""

    actor_id: str
    label: str


class Kill(Message, tag=4, frozen=True):
    """End the actor with SIGKILL."""

    actor_id: str


class AskDeath(Message, tag=5, frozen=True):
    """My connection to this actor broke: tell me why it died, as soon as you know."""

    id: int
    actor_id: str


class Death(Message, tag=6, frozen=True):
    """How the actor died; the payload is its `DeathCertificate`. Empty: it lives."""

    id: int


class Failed(Message, tag=7, frozen=True):
    """An actor says that its constructor has failed, before it exits; the payload is its certificate."""

    actor_id: str


class Noted(Message, tag=8, frozen=True):
    """The node has taken note of `Failed`."""


class Output(Message, tag=9, frozen=True):
    """Whole lines that an actor wrote to a standard stream (1 or 2)."""

    label: str
    pid: int
    stream: int
    lines: list[bytes]


class Record(Message, tag=10, frozen=True):
    """A logging record of an actor. ``extra`` holds those of its attributes that msgpack can carry."""

    label: str
    pid: int
    logger: str
    level: int
    text: str
    created: float
    path: str
    line: int
    extra: dict[str, str | int | float | bool | None] = {}  # msgspec copies it


class Stop(Message, tag=11, frozen=True):
    """End the session: every actor, the zygote, the node."""


class Stopped(Message, tag=12, frozen=True):
    """All actors have ended and all their output has been sent."""

    killed: int


# --- the node and its zygote -------------------------------------------------------------------------------------


class Fork(Message, tag=1, frozen=True):
    """Fork an actor. Four descriptors come with it: listening socket, birth, stdout, stderr."""

    actor_id: str


class Forked(Message, tag=2, frozen=True):
    """The actor's process exists."""

    actor_id: str
    pid: int


class ForkFailed(Message, tag=3, frozen=True):
    """The actor's process could not be made."""

    actor_id: str
    reason: str


class Signal(Message, tag=5, frozen=True):
    """Send a signal to the process group of a child, if it has not been reaped."""

    pid: int
    number: int


class Ready(Message, tag=6, frozen=True):
    """The zygote has imported what actors need. ``error`` says which module could not be imported, and why."""

    error: str = ""


class Exited(Message, tag=4, frozen=True):
    """A child has ended. Code is the exit code, or the negative number of the signal that killed it."""

    pid: int
    code: int


Inbound = Call | Fetch
Reply = Result | Failure
Control = Hello | Welcome | Create | Kill | AskDeath | Death | Failed | Noted | Output | Record | Stop | Stopped
Zygote = Fork | Forked | ForkFailed | Exited | Signal | Ready

encode_header = msgspec.msgpack.Encoder().encode
_decode_inbound = msgspec.msgpack.Decoder(Inbound).decode
_decode_reply = msgspec.msgpack.Decoder(Reply).decode
_decode_control = msgspec.msgpack.Decoder(Control).decode
_decode_zygote = msgspec.msgpack.Decoder(Zygote).decode


def encode(message: Message, payload: Payload = b"") -> bytes:
    """Returns the frame of a message."""
    return frame(encode_header(message), payload)


def inbound_reader() -> FrameReader[Inbound]:
    """Returns a reader for what callers send to actors and owners."""
    return FrameReader(_decode_inbound)


def reply_reader() -> FrameReader[Reply]:
    """Returns a reader for what comes back to a caller."""
    return FrameReader(_decode_reply)


def control_reader() -> FrameReader[Control]:
    """Returns a reader for either end of a control connection."""
    return FrameReader(_decode_control)


def zygote_reader() -> FrameReader[Zygote]:
    """Returns a reader for either end of the connection between node and zygote."""
    return FrameReader(_decode_zygote)
