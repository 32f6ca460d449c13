"""The two ends of a lane, without I/O: who may say what, and which replies are owed.

`CallerPeer` numbers requests and matches replies; `ActorPeer` matches requests and replies the other way round.
Neither knows threads, loops or sockets: a method takes or returns bytes, and the caller moves them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from actorio._wire.frames import ProtocolError, pack_prefix
from actorio._wire.messages import (
    Call,
    Ending,
    Failure,
    Fetch,
    Full,
    Item,
    Note,
    Result,
    encode,
    encode_header,
    inbound_reader,
    reply_reader,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actorio._wire.frames import Payload
    from actorio._wire.messages import Answer, Inbound, Inspect, Lent, Limit, Reply, Room, Way

T = TypeVar("T")


class CallerPeer(Generic[T]):
    """The calling end. ``T`` is whatever the caller wants back with a request's reply.

    Attributes:
        open: the tokens of requests that have not been answered, by their numbers.
        ending: for requests whose time is up, how many seconds they may take to end; whoever reads it forgets it.
        is_full: the other end wants no more calls, until `Room` is answered.

    A request is open from `call` or `fetch` until `receive` returns its reply or `close` gives it up.
    """

    __slots__ = ("ending", "is_full", "open", "reader")

    def __init__(self) -> None:
        self.reader = reply_reader()
        self.is_full = False
        self.ending: dict[int, float] = {}
        self.open: dict[int, T] = {}

    def call(  # noqa: PLR0917  # a message's fields
        self,
        number: int,
        token: T,
        method: str,
        payload: Payload,
        parts: tuple[int, ...] = (),
        lent: tuple[Lent, ...] = (),
        returns: int = 1,
        files: int = 0,
        window: int = 0,
        way: Way | None = None,
    ) -> bytes:
        """Opens request ``number``; returns the frame to send."""
        header = encode_header(Call(number, method, parts, lent, returns, files, window, way))
        self.open[number] = token
        return pack_prefix(len(header), len(payload)) + header + payload

    def fetch(self, number: int, token: T, wanted: int) -> bytes:
        """Opens request ``number`` for the value that the other end knows as ``wanted``."""
        data = encode(Fetch(number, wanted))
        self.open[number] = token
        return data

    def ask(self, number: int, token: T, request: Room | Limit | Inspect) -> bytes:
        """Opens a request; returns the frame to send."""
        data = encode(request)
        self.open[number] = token
        return data

    def receive(self, data: bytes) -> list[tuple[T, Answer, Payload]]:
        """Takes received bytes; returns the replies, each with the token of its request, which is closed now.

        Raises:
            ProtocolError: bytes that are no reply, or a reply to a request that is not open.
        """
        return self.match(self.reader.feed(data))

    def match(self, replies: Iterable[tuple[Reply, Payload]]) -> list[tuple[T, Answer, Payload]]:
        """Closes the requests of ``replies``, but for those of which only an item has come; see `receive`."""
        pop = self.open.pop
        matched: list[tuple[T, Answer, Payload]] = []
        try:
            for reply, payload in replies:
                if type(reply) is Full:
                    self.is_full = True
                    continue
                if type(reply) is Ending:
                    self.ending[reply.id] = reply.seconds
                    continue
                token = self.open[reply.id] if reply.__class__ is Item else pop(reply.id)
                matched.append((token, reply, payload))
        except KeyError as error:
            # The connection is at its end: these are still open, and `close` gives them up with the others.
            self.open = {reply.id: token for token, reply, _ in matched} | self.open
            raise ProtocolError(f"a reply to request {error}, which is not open") from None
        return matched

    def close(self) -> list[T]:
        """Gives up every open request; returns their tokens, oldest first. The connection is lost."""
        tokens = list(self.open.values())
        self.open.clear()
        return tokens


class ActorPeer:
    """The answering end: every request that `receive` returned is answered exactly once.

    Attributes:
        owed: the requests that are open, by number, each with what whoever answers it keeps there.
        notes: what callers have said of them, and nobody has taken from here yet.
    """

    __slots__ = ("notes", "owed", "reader")

    def __init__(self) -> None:
        self.reader = inbound_reader()
        self.owed: dict[int, Any] = {}
        self.notes: list[Note] = []

    def receive(self, data: bytes) -> list[tuple[Inbound, Payload]]:
        """Takes received bytes; returns the requests in the order in which they were made.

        Raises:
            ProtocolError: bytes that are no request, or a number that is in use.
        """
        return self.admit(self.reader.feed(data))

    def admit(self, requests: list[tuple[Inbound, Payload]]) -> list[tuple[Inbound, Payload]]:
        """Notes ``requests`` as owed; see `receive`."""
        owed = self.owed
        for request, _ in requests:
            if request.__class__ is not Call and isinstance(request, Note):
                self.notes.append(request)
                continue
            if request.id in owed:
                raise ProtocolError(f"request {request.id} is already open")
            owed[request.id] = None
        return [each for each in requests if not isinstance(each[0], Note)] if self.notes else requests

    def result(self, number: int, payload: Payload, lent: tuple[Lent, ...] = (), files: int = 0) -> bytes:
        """Answers a request with a value; returns the frame to send."""
        del self.owed[number]
        header = encode_header(Result(number, lent, files))
        return pack_prefix(len(header), len(payload)) + header + payload

    def item(self, number: int, payload: Payload, lent: tuple[Lent, ...] = (), files: int = 0) -> bytes:
        """Answers a request with the next of several values; returns the frame to send."""
        header = encode_header(Item(number, lent, files))
        return pack_prefix(len(header), len(payload)) + header + payload

    def failure(self, number: int, payload: Payload, *, is_pickled_error: bool = False) -> bytes:
        """Answers a request with an error; returns the frame to send."""
        del self.owed[number]
        return encode(Failure(number, is_pickled_error), payload)
