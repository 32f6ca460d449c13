"""The messages: every header that crosses a socket of actorio, as three msgspec tagged unions.

A message is an array on the wire, ``[tag, field, ...]``. Two rules keep old and new processes talking, and are
where later features find their place (held by a property test):

* a field that is added goes to the end of its message and has a default: an older sender leaves it out, an older
  receiver ignores it;
* a new kind of message takes a new tag.

Payloads (pickled arguments, results, failures) travel behind the header and are never decoded here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import msgspec

from actorio._wire.frames import FrameReader, frame

if TYPE_CHECKING:
    from actorio._wire.frames import Payload

# A handle on its way: the actor, and the token by which the node knows it.
Lent = tuple[str, int]


class Message(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What all messages have in common: an array on the wire, immutable."""


# --- a caller to an actor (or to the owner of a value) -----------------------------------------------------------


class Way(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How a call came about, and how it is to be run, where there is anything to say of it.

    ``deadline`` is on the machine's monotonic clock, in seconds; 0: none. ``chain`` names the actors whose calls have
    led to this one, outermost first. ``context`` holds pickled context variables by their names, and ``trace`` the two
    headers of W3C's Trace Context.
    """

    deadline: float = 0.0
    # The first 16 characters of the id of each, one after the other: short, and quick to read.
    chain: str = ""
    priority: int = 0
    # The concurrency group, where it is not the method's own.
    group: str = ""
    context: dict[str, bytes] = {}  # msgspec copies it
    trace: tuple[str, str] = ("", "")


# How many characters of an actor's id stand in a chain.
LINK = 16


def depth_of(chain: str) -> int:
    """Returns how many calls a chain has."""
    return len(chain) // LINK


class Call(Message, tag=1, frozen=True):
    """Run ``method``. The payload is the pickled ``(args, kwargs)``, then one value per size in ``parts``.

    ``parts`` are results that the caller had when it sent the call: they are forwarded as they came.
    """

    id: int
    method: str
    parts: tuple[int, ...] = ()
    # Handles in the payload: the receiver tells the node, with the token, that it has them.
    lent: tuple[Lent, ...] = ()
    # How many values are wanted; other than 1, they come packed (`parts.pack`).
    returns: int = 1
    # How many files with large values come with the payload.
    files: int = 0
    # For a stream: how many items may be sent before the first `Credit`. They come as `Item`s, before the `Result`.
    window: int = 0
    way: Way | None = None


class Inspect(Message, tag=3, frozen=True):
    """Tell me about yourself: ``"stats"``, ``"tasks"`` or ``"waits"``. Answered with a `Result` that holds msgpack."""

    id: int
    what: str


class Fetch(Message, tag=2, frozen=True):
    """Send me the value of the reference that you made under this number, when it is there."""

    id: int
    number: int


class Credit(Message, tag=4, frozen=True):
    """So many items of the stream that answers request ``id`` have been taken. Not answered."""

    id: int
    count: int


class Leave(Message, tag=5, frozen=True):
    """Nobody takes the items of the stream that answers request ``id`` any more. Not answered, but for its `Result`."""

    id: int


class Cancel(Message, tag=6, frozen=True):
    """Nobody wants the answer to request ``id`` any more: end it. Not answered, but for what the request is answered.

    With ``is_recursive`` the calls that it has made end as well; with ``is_forced`` a task is ended with its process.
    """

    id: int
    is_recursive: bool = True
    is_forced: bool = False


class Room(Message, tag=9, frozen=True):
    """Tell me when there is room in your mailbox. Answered with an empty `Result`, then."""

    id: int


class Limit(Message, tag=10, frozen=True):
    """Run so many calls at once from now on, those of a concurrency group ("": the default one).

    Answered with an empty `Result`.
    """

    id: int
    limit: int
    group: str = ""


class Probe(Message, tag=8, frozen=True):
    """Somebody waits for the answer to request ``id``: what does that wait for? Not answered, but passed on.

    ``origin`` is the actor that asks, ``head`` the number of its call that waits, ``path`` the calls in between, in
    words.
    """

    id: int
    origin: str
    head: int
    path: tuple[str, ...] = ()


class Farewell(Message, tag=7, frozen=True):
    """I end in order: what I have called may go on. (Who ends without a word wants nothing any more.) Not answered."""

    id: int = 0


# --- back to the caller ------------------------------------------------------------------------------------------


class Result(Message, tag=1, frozen=True):
    """The call has returned; the payload is the pickled value. For ``lent`` and ``files`` see `Call`."""

    id: int
    lent: tuple[Lent, ...] = ()
    files: int = 0


class Failure(Message, tag=2, frozen=True):
    """The call has failed; the payload is an encoded `TaskFailure`, or a pickled error."""

    id: int
    is_pickled_error: bool = False


class Item(Message, tag=3, frozen=True):
    """The next item of a stream; the payload is the pickled value. For ``lent`` and ``files`` see `Call`."""

    id: int
    lent: tuple[Lent, ...] = ()
    files: int = 0


@final
class Ending(Message, tag=5, frozen=True):
    """Before the answer to request ``id``: its time is up, and it may take so many seconds to end."""

    id: int
    seconds: float


@final
class Full(Message, tag=4, frozen=True):
    """To nothing that was asked: my mailbox is full; ask for `Room` before you make another call."""

    id: int = 0


# --- a process and its node --------------------------------------------------------------------------------------


class Hello(Message, tag=1, frozen=True):
    """The first message on a control connection.

    Role is ``"driver"``, ``"actor"``, or ``"tool"``: one that only looks, for whom no session stays. ``peer`` names
    the process, the same on every connection that it makes; ``actor_id`` is an actor's own.
    """

    version: int
    role: str
    pid: int
    peer: str = ""
    actor_id: str = ""


class Welcome(Message, tag=2, frozen=True):
    """The node is up and has taken the connection."""

    node_pid: int
    zygote_pid: int
    # What went wrong while the session started, "" when all is well.
    error: str = ""
    # What the session has of each resource.
    resources: dict[str, int] = {}  # msgspec copies it


class Create(Message, tag=3, frozen=True):
    """Start an actor. Two descriptors come with it: its listening socket, and a file that holds its `Birth`.

    The payload is the pickled identity that `Find` hands out, for an actor with a name. `Created` answers.
    ``policy`` is an encoded `RestartPolicy`; ``held`` are the actors whose handles are among the constructor's
    arguments: they live at least as long as this one may be constructed again.
    """

    actor_id: str
    label: str
    id: int = 0  # chosen by the connection
    name: str = ""
    namespace: str = ""
    is_detached: bool = False
    gets_existing: bool = False
    max_restarts: int = 0
    policy: bytes = b""
    held: tuple[str, ...] = ()
    # An encoded `Membership`, for an actor that is supervised in a group.
    membership: bytes = b""
    # What it needs of each resource, as long as it is not dead for good.
    amounts: dict[str, int] = {}  # msgspec copies it
    # For a worker: the lease that it is the first to serve, and whether it is to serve no other.
    lease: int = 0
    is_private: bool = False
    # It is detached, and yet the session does not stay for it.
    ends_with_session: bool = False


class Kill(Message, tag=4, frozen=True):
    """End the actor with SIGKILL; for good, unless it may be restarted and that is wanted."""

    actor_id: str
    may_restart: bool = False


class AskDeath(Message, tag=5, frozen=True):
    """My connection to this actor broke: tell me why it died, as soon as you know.

    ``since`` is when the connection was made, on the machine's monotonic clock: an earlier death is none of mine.
    """

    id: int
    actor_id: str
    since: float = 0.0


class Death(Message, tag=6, frozen=True):
    """How the actor died; the payload is its `DeathCertificate`. Empty: it lives."""

    id: int


class Failed(Message, tag=7, frozen=True):
    """An actor says why it is about to end, before it exits; the payload is its certificate."""

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
    """I leave: end my actors, the detached ones excepted, and the session when nobody is left in it.

    With ``is_all`` everything ends, for everybody.
    """

    is_all: bool = False


class Stopped(Message, tag=12, frozen=True):
    """All that `Stop` asked for has ended, and its output has been sent. ``is_over``: so has the session."""

    killed: int
    is_over: bool = True


class Created(Message, tag=13, frozen=True):
    """The answer to `Create`. The payload is the identity of the actor that has the name already, if one has.

    ``error`` says why there is no new actor and no old one to be had.
    """

    id: int
    error: str = ""


class Find(Message, tag=14, frozen=True):
    """Give me the actor of this name."""

    id: int
    name: str
    namespace: str


class Found(Message, tag=15, frozen=True):
    """The answer to `Find`: the payload is the actor's identity; or ``error`` says what is near."""

    id: int
    error: str = ""


class Hold(Message, tag=16, frozen=True):
    """I have one more reason to keep this actor: a handle that came with ``token``, if that is not 0."""

    actor_id: str
    token: int = 0


class Drop(Message, tag=17, frozen=True):
    """So many of my reasons to keep this actor are gone."""

    actor_id: str
    count: int = 1


class Lend(Message, tag=18, frozen=True):
    """A handle on this actor is on its way to another process, which will `Hold` with this token."""

    actor_id: str
    token: int


class Unlend(Message, tag=19, frozen=True):
    """The handle with this token will not arrive."""

    token: int


class Watch(Message, tag=20, frozen=True):
    """Tell me with `Event` of all that happens to this actor, from now on."""

    id: int
    actor_id: str


class Unwatch(Message, tag=21, frozen=True):
    """No more `Event` of this number."""

    id: int


class Event(Message, tag=22, frozen=True):
    """Something has happened to a watched actor; the payload is the certificate of the death, where there is one."""

    id: int
    kind: str
    pid: int
    restarts: int


class List(Message, tag=23, frozen=True):
    """Tell me what there is."""

    id: int


class Listing(Message, tag=24, frozen=True):
    """The answer to `List`; the payload is an encoded `Inventory`."""

    id: int


class End(Message, tag=25, frozen=True):
    """End the actor gracefully: its clean-up hook runs, within limits."""

    actor_id: str


class Queued(Message, tag=26, frozen=True):
    """To `Create`, before its answer: the actor waits for resources."""

    id: int


class Lease(Message, tag=27, frozen=True):
    """I want to run tasks, one after the other, each of which needs these resources. `Leased` answers, in time.

    ``label`` is the function's name, ``line`` the same for all leases that are for the same tasks. With ``is_private``
    the worker is to be a new one, which ends with the lease. ``is_held``: I have the lease already, of the node before
    this one, and ``worker_id`` is the worker ("": none yet).
    """

    id: int
    amounts: dict[str, int]
    label: str
    line: int = 0
    is_private: bool = False
    is_held: bool = False
    worker_id: str = ""


class Leased(Message, tag=28, frozen=True):
    """Run your tasks in the worker whose identity is the payload; there is none: make one.

    With ``is_wanted`` for one task only: others wait.
    """

    id: int
    is_wanted: bool = False


class Wanted(Message, tag=29, frozen=True):
    """Others wait for what this lease has: give it back after the task that runs."""

    id: int


class Release(Message, tag=30, frozen=True):
    """I run no more tasks on this lease, or do not want it any more."""

    id: int


class Rest(Message, tag=31, frozen=True):
    """So many of the tasks that this worker runs wait for others, and need no CPU meanwhile."""

    count: int


class Retire(Message, tag=32, frozen=True):
    """To a worker, which gets no more tasks: `End` yourself as soon as nobody needs a value of yours."""


# --- the node and its zygote -------------------------------------------------------------------------------------


class Fork(Message, tag=1, frozen=True):
    """Fork an actor, and keep for the next node what it will need to take the actor over.

    The payload is the actor's `Spec`. Six descriptors come with it: listening socket, birth, stdout, stderr, and the
    reading ends of the last two. The zygote keeps the reading ends, and with ``is_restartable`` the first two. Without
    the process ``owner_pid`` nobody misses the actor (0: it is detached, and the session stays for it).
    """

    actor_id: str
    owner_pid: int = 0
    is_restartable: bool = False
    # The GPUs that it may use, as CUDA_VISIBLE_DEVICES has them; None: as in its maker.
    gpus: str | None = None


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
    """The zygote has imported what actors need. ``error`` says which module could not be imported, and why.

    To a new node it says that it has told all that it kept, and which processes were drivers; the payload is the `Boot`
    of the session.
    """

    error: str = ""
    drivers: list[int] = []


class Forget(Message, tag=7, frozen=True):
    """The actor is dead for good: keep nothing of it."""

    actor_id: str


class Kept(Message, tag=8, frozen=True):
    """To a new node: an actor that the zygote has kept, and its process (0: it has ended, and may be restarted).

    The payload is its `Spec`. ``count`` descriptors come with it: the reading ends of stdout and stderr, then, if it
    may be restarted, listening socket and birth.
    """

    actor_id: str
    pid: int
    count: int


class Drivers(Message, tag=10, frozen=True):
    """The processes for which the session stays, though it may have no actor."""

    pids: list[int]


class Finish(Message, tag=9, frozen=True):
    """The session is over: end whoever is left, and yourself."""


class Exited(Message, tag=4, frozen=True):
    """A child has ended. Code is the exit code, or the negative number of the signal that killed it."""

    pid: int
    code: int


Inbound = Call | Fetch | Inspect | Credit | Leave | Cancel | Farewell | Probe | Room | Limit
Note = Credit | Leave | Cancel | Farewell | Probe
"""What a caller says and is not answered."""
Answer = Result | Failure | Item
Reply = Answer | Full | Ending
Control = (
    Hello | Welcome | Create | Kill | AskDeath | Death | Failed | Noted | Output | Record | Stop | Stopped | Created
    | Find | Found | Hold | Drop | Lend | Unlend | Watch | Unwatch | Event | List | Listing | End
    | Queued | Lease | Leased | Wanted | Release | Rest | Retire
)  # fmt: skip
Zygote = Fork | Forked | ForkFailed | Exited | Signal | Ready | Forget | Kept | Finish | Drivers

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
