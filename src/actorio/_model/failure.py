"""What an actor sends about an exception: enough to tell the story even when the exception itself cannot travel.

A `TaskFailure` holds texts made where the exception was raised, and the pickled exception only as opaque bytes.
Decoding one therefore runs no user code and cannot fail because of the user's classes; looking at the cause is a later
step, `RayTaskError.from_failure`.
"""

from typing import Literal, Self

import msgspec

FailureKind = Literal["error", "cancelled"]


def encodable(text: str) -> str:
    r"""Return the text with lone surrogates escaped (`\udc80`): file names carry them, and UTF-8 refuses them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class TaskFailure(msgspec.Struct, array_like=True, frozen=True):
    """One failed call, as it travels from the process that ran it to the caller.

    Attributes:
        callee: What was called, `"Account.withdraw"` or the function's name.
        pid: The process that ran it.
        actor_id: The actor's id in hex; empty for a function task.
        repr_text: `repr` of the actor's instance, bounded; empty when there is none.
        traceback_text: The remote traceback without the package's own frames and without its first line.
        type_name: Qualified name of the exception's class.
        message: `str` of the exception.
        cause: The pickled exception; None when it could not be pickled.
        kind: `"cancelled"` when the call ended because it was cancelled.
        note: Why the cause is missing; empty when it is not.
    """

    callee: str
    pid: int
    actor_id: str
    repr_text: str
    traceback_text: str
    type_name: str
    message: str
    cause: bytes | None = None
    kind: FailureKind = "error"
    note: str = ""

    def encode(self) -> bytes:
        """Return the failure as bytes. Never raises because of a text in it."""
        try:
            return _ENCODER.encode(self)
        except UnicodeEncodeError:
            return _ENCODER.encode(self._encodable())

    @classmethod
    def decode(cls, data: bytes) -> "TaskFailure":
        """Read a failure from bytes.

        Raises:
            msgspec.DecodeError: The bytes are not a failure.
        """
        return _DECODER.decode(data)

    def heading(self) -> str:
        """Return the line that says what failed and where: `actorio::Account.withdraw() (pid=20537, ...)`."""
        facts = [f"pid={self.pid}"]
        if self.actor_id:
            facts.append(f"actor_id={self.actor_id}")
        if self.repr_text:
            facts.append(f"repr={self.repr_text}")
        return f"actorio::{self.callee}() ({', '.join(facts)})"

    def describe(self) -> str:
        """Return the whole story: heading, remote traceback, and why the exception is missing if it is."""
        text = f"{self.heading()}\n{self.traceback_text}"
        if self.note:
            text += f"\nThe exception itself ({self.type_name}) is not here: {self.note}"
        return text

    def _encodable(self) -> Self:
        texts = {
            name: encodable(text) for name in self.__struct_fields__ if isinstance(text := getattr(self, name), str)
        }
        return msgspec.structs.replace(self, **texts)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(TaskFailure)
