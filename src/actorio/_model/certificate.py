"""A death certificate: who died, of what, and what may be done about it.

The node writes one for each actor that has ended; it travels to every caller that still waits for that actor and is
part of the `ActorDiedError` each of them gets.
"""

import signal
from typing import Final, Literal

import msgspec

from actorio._model.failure import encodable

DeathCause = Literal[
    "exit",
    "signal",
    "constructor",
    "exit_actor",
    "terminated",
    "stopped",
    "killed",
    "out_of_scope",
    "owner_died",
    "supervised",
    "shutdown",
    "node_lost",
    "zygote_lost",
    "not_started",
    "unknown",
]

_SIGNAL_ADVICE: Final = {
    "SIGKILL": "If nobody ran kill -9, the kernel's out-of-memory killer is the usual sender: look into `dmesg`.",
    "SIGSEGV": "A crash in native code, called from the Python line above.",
    "SIGBUS": "A crash in native code, or a mapped file that was cut short; it was called from the Python line above.",
    "SIGABRT": "Native code gave up (a failed assertion, mostly): its message is on the actor's stderr.",
    "SIGTERM": "Somebody asked the process to end: a person, a service manager or a batch system's time limit.",
    "SIGINT": "The actor's process was interrupted: look for code in it that sends or restores SIGINT.",
}

_ADVICE: Final = {
    "exit": "Look for sys.exit() or os._exit() in the actor's code and in the libraries it calls.",
    "constructor": "Mend the constructor or its arguments, then create the actor again.",
    "exit_actor": "Create the actor again if it is still needed.",
    "terminated": "Create the actor again if it is still needed.",
    "stopped": "Create the actor again if it is still needed.",
    "killed": "Create the actor again if it is still needed.",
    "out_of_scope": (
        "Keep a handle as long as the actor is needed (those from get_actor() do not count), "
        'or create it with lifetime="detached".'
    ),
    "owner_died": 'Create the actor in a process that lives longer, or with lifetime="detached".',
    "supervised": "Look at the member of its group that failed first.",
    "shutdown": "Call init() again and create the actor anew; handles do not outlive their session.",
    "node_lost": "Call shutdown(), then init(), and create the actors again.",
    "zygote_lost": "Create the actor again; one with max_restarts= comes back by itself.",
    "not_started": "Free what has run out, then create the actor again.",
    "unknown": "Look at the actor's stderr.",
}

_REASONS: Final = {
    "exit": "its process exited with code {code}",
    "signal": "its process was ended by {signal}",
    "exit_actor": "it left by exit_actor()",
    "terminated": "it was asked to end by __ray_terminate__()",
    "stopped": "it was asked to end",
    "out_of_scope": "its last handle is gone",
    "owner_died": "the process that made it has ended",
    "supervised": "its supervisor ended it together with others of its group",
    "shutdown": "its session was shut down",
    "node_lost": "the node process of its session was lost",
    "zygote_lost": "the process that starts actors was lost",
    "not_started": "its process could not be started",
    "unknown": "its process ended and nobody saw how",
}

_UNEXPECTED: Final = frozenset({"signal", "constructor", "not_started", "unknown"})

# Where the dead process's own words explain something. A constructor's traceback says more than its stderr, and an
# actor that was killed on request has nothing to explain.
_STDERR_HELPS: Final = frozenset({"exit", "signal", "unknown"})


# How faulthandler begins, and so many lines of it show where the crash was.
_DUMP: Final = "Fatal Python error"
_DUMP_LINES: Final = 8


class DeathCertificate(msgspec.Struct, array_like=True, frozen=True):
    """How one actor ended.

    Attributes:
        actor_id: The actor's id in hex.
        class_name: The name of its class.
        pid: Its process; 0 when it is unknown or never existed.
        cause: What ended it.
        code: The exit code for `"exit"`, the signal's number for `"signal"`, otherwise 0.
        detail: What else is known: the constructor's traceback, or who killed it.
        stderr_tail: The last lines it wrote to stderr, oldest first.
        name: The name it was given, "" for none.
        restarts: How often it had been restarted, the restart that follows this death included.
        max_restarts: How often it may be; -1 is without end.
        will_restart: It is being restarted; otherwise it is dead for good.
        restarts_left: How often it may be restarted after this, None for any number.
        is_memory_short: The kernel's out-of-memory killer has run at about the time of a death by SIGKILL.
    """

    actor_id: str
    class_name: str
    pid: int = 0
    cause: DeathCause = "unknown"
    code: int = 0
    detail: str = ""
    stderr_tail: list[str] = []
    name: str = ""
    restarts: int = 0
    max_restarts: int = 0
    will_restart: bool = False
    restarts_left: int | None = 0
    is_memory_short: bool = False
    # It had no process yet: it waited for resources.
    was_queued: bool = False

    def encode(self) -> bytes:
        """Return the certificate as bytes. Never raises because of a text in it."""
        try:
            return _ENCODER.encode(self)
        except UnicodeEncodeError:
            lines = [encodable(line) for line in self.stderr_tail]
            clean = msgspec.structs.replace(
                self,
                class_name=encodable(self.class_name),
                detail=encodable(self.detail),
                stderr_tail=lines,
                name=encodable(self.name),
            )
            return _ENCODER.encode(clean)

    @classmethod
    def decode(cls, data: bytes) -> "DeathCertificate":
        """Read a certificate from bytes.

        Raises:
            msgspec.DecodeError: The bytes are not a certificate.
        """
        return _DECODER.decode(data)

    def is_unexpected(self) -> bool:
        """Return whether nobody asked for this end: it is worth a report even if no call waits for the actor."""
        return self.cause in _UNEXPECTED or (self.cause == "exit" and self.code != 0)

    def who(self) -> str:
        """Return which actor this is about: `Account 'savings' (pid 20537, actor id 2891...)`."""
        pid = f"pid {self.pid}, " if self.pid else ""
        name = f" {self.name!r}" if self.name else ""
        return f"{self.class_name}{name} ({pid}actor id {self.actor_id})"

    def verdict(self) -> str:
        """Return in words what has become of the actor: `is dead`, or that it comes back."""
        if not self.will_restart:
            return "is dead"
        left = "any number" if self.restarts_left is None else self.restarts_left
        return f"has died and is being restarted (restart {self.restarts}, {left} left)"

    def describe(self) -> str:
        """Return in words why the actor ended, the last thing it wrote to stderr, and what to do."""
        lines = [self.reason()]
        if self.cause in _STDERR_HELPS:
            lines += self._last_words()
        if self.restarts and not self.will_restart:
            lines.append(f"It had been restarted {self.restarts} {'time' if self.restarts == 1 else 'times'}.")
        lines.append(self.advice())
        return "\n".join(lines)

    def _last_words(self) -> list[str]:
        """Return what its stderr says: the interpreter's own dump of a crash, or the last line."""
        lines = [line.rstrip() for line in self.stderr_tail if line.strip()]
        dump = next((i for i, line in enumerate(lines) if line.startswith(_DUMP)), None)
        if dump is not None:
            return ["Its last words on stderr:", *(f"  {line}" for line in lines[dump : dump + _DUMP_LINES])]
        return [f"Its last line on stderr: {lines[-1]}"] if lines else []

    def reason(self) -> str:
        """Return in words why the actor ended."""
        if self.cause == "constructor":
            return f"its constructor raised an exception:\n{self.detail}"
        if self.cause == "killed":
            return f"it was killed by {self.detail or 'kill()'}"
        text = _REASONS[self.cause].format(code=self.code, signal=signal_name(self.code))
        return f"{text} ({self.detail})" if self.detail else text

    def advice(self) -> str:
        """Return what a person can do about it."""
        if self.is_memory_short:
            return (
                "The kernel's out-of-memory killer has just run: give the machine more memory, or the actor less work."
            )
        if self.cause == "signal":
            return _SIGNAL_ADVICE.get(signal_name(self.code), "Find out who sends that signal to the actor's process.")
        return _ADVICE[self.cause]


def signal_name(number: int) -> str:
    """Return the name of a signal, `SIGSEGV` for 11; `signal 99` for a number this platform does not name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(DeathCertificate)
