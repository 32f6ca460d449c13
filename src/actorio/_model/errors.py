"""The errors a user can catch, under Ray's names, grouped by who must act.

    Exception
    ├── RayError
    │   ├── the code that was called
    │   │   ├── RayTaskError                     the method or function raised (actorio._model.task_error)
    │   │   ├── UserCodeException                code the framework called for the user raised
    │   │   ├── UnserializableException          an exception that could not be read back
    │   │   └── CrossLanguageError               raised in another language
    │   ├── the caller
    │   │   ├── GetTimeoutError                  also a TimeoutError
    │   │   ├── TaskCancelledError
    │   │   ├── PendingCallsLimitExceeded
    │   │   ├── DeadlockError                    also a RuntimeError
    │   │   ├── ActorHandleNotFoundError         also a ValueError
    │   │   ├── ActorAlreadyExistsError          also a ValueError
    │   │   ├── RuntimeEnvSetupError
    │   │   ├── AuthenticationError
    │   │   └── AsyncioActorExit                 not a failure: how an async actor leaves
    │   ├── whoever keeps the actor alive
    │   │   ├── RayActorError
    │   │   │   ├── ActorDiedError               for good
    │   │   │   └── ActorUnavailableError        for now
    │   │   └── WorkerCrashedError               the process of a function task
    │   ├── whoever owns the value
    │   │   ├── ObjectLostError
    │   │   │   ├── ObjectFetchTimedOutError
    │   │   │   ├── ObjectFreedError
    │   │   │   ├── OwnerDiedError
    │   │   │   ├── ReferenceCountingAssertionError          also an AssertionError
    │   │   │   └── ObjectReconstructionFailedError
    │   │   │       ├── ObjectReconstructionFailedMaxAttemptsExceededError
    │   │   │       └── ObjectReconstructionFailedLineageEvictedError
    │   │   ├── ObjectRefStreamEndOfStreamError
    │   │   └── PlasmaObjectNotAvailable
    │   └── whoever runs the machine
    │       ├── ObjectStoreFullError, OutOfDiskError, OutOfMemoryError
    │       ├── NodeDiedError, LocalRayletDiedError
    │       ├── TaskUnschedulableError, ActorUnschedulableError
    │       ├── TaskPlacementGroupRemoved, ActorPlacementGroupRemoved
    │       └── RaySystemError
    │           ├── RayChannelError
    │           │   └── RayChannelTimeoutError               also a TimeoutError
    │           └── RayCgraphCapacityExceeded
    └── TypeError
        └── ActorClassInheritanceException       the author of a class

Some are never raised on one machine; they exist so that an `except` clause written for a cluster can be imported.
All of them can be pickled and copied. Their public home, also by `__module__`, is `actorio.exceptions`.
The base, the task error and the errors about values have files of their own; they can be imported from here too.
"""

from typing import Self

from actorio._model.base_error import RayError, TaskCancelledError
from actorio._model.certificate import DeathCertificate
from actorio._model.task_error import RayTaskError
from actorio._model.value_errors import (
    ObjectFetchTimedOutError,
    ObjectFreedError,
    ObjectLostError,
    ObjectReconstructionFailedError,
    ObjectReconstructionFailedLineageEvictedError,
    ObjectReconstructionFailedMaxAttemptsExceededError,
    ObjectRefStreamEndOfStreamError,
    OwnerDiedError,
    PlasmaObjectNotAvailable,
    ReferenceCountingAssertionError,
)

__all__ = [
    "ActorAlreadyExistsError",
    "ActorClassInheritanceException",
    "ActorDiedError",
    "ActorHandleNotFoundError",
    "ActorPlacementGroupRemoved",
    "ActorUnavailableError",
    "ActorUnschedulableError",
    "AsyncioActorExit",
    "AuthenticationError",
    "CrossLanguageError",
    "DeadlockError",
    "GetTimeoutError",
    "LocalRayletDiedError",
    "NodeDiedError",
    "ObjectFetchTimedOutError",
    "ObjectFreedError",
    "ObjectLostError",
    "ObjectReconstructionFailedError",
    "ObjectReconstructionFailedLineageEvictedError",
    "ObjectReconstructionFailedMaxAttemptsExceededError",
    "ObjectRefStreamEndOfStreamError",
    "ObjectStoreFullError",
    "OutOfDiskError",
    "OutOfMemoryError",
    "OwnerDiedError",
    "PendingCallsLimitExceeded",
    "PlasmaObjectNotAvailable",
    "RayActorError",
    "RayCgraphCapacityExceeded",
    "RayChannelError",
    "RayChannelTimeoutError",
    "RayError",
    "RaySystemError",
    "RayTaskError",
    "ReferenceCountingAssertionError",
    "RuntimeEnvSetupError",
    "TaskCancelledError",
    "TaskPlacementGroupRemoved",
    "TaskUnschedulableError",
    "UnserializableException",
    "UserCodeException",
    "WorkerCrashedError",
]


# The code that was called must be mended.


class UserCodeException(RayError):
    """Code of the user's that the framework called, other than a method or a task, raised an exception."""


class UnserializableException(RayError):
    """An exception arrived that could not be read back."""


class CrossLanguageError(RayError):
    """An exception was raised in another language."""


# The caller must decide.


def not_begun(call: str) -> TaskCancelledError:
    """Return the error of a call that was cancelled before it left this process."""
    return TaskCancelledError(None, f"{call}() was cancelled before it was sent: it has not run")


class GetTimeoutError(RayError, TimeoutError):
    """`get` waited as long as it was allowed to. The call goes on; the reference can be asked again."""

    _default_text = "The value was not there in time."


class PendingCallsLimitExceeded(RayError):
    """This call was not run: there are too many others.

    Raised by ``.remote()`` when this process has as many calls to the actor pending as it may (``max_pending_calls``).
    What a reference ends with when the actor's mailbox was full (``mailbox_size``, ``mailbox_policy``).
    """


class DeadlockError(RayError, RuntimeError):
    """The call would have waited for itself, and was not run. The text shows what waits for what."""


class ActorHandleNotFoundError(RayError, ValueError):
    """There is no actor behind the handle in this session."""


class ActorAlreadyExistsError(RayError, ValueError):
    """An actor of that name lives already."""


class RuntimeEnvSetupError(RayError):
    """The environment that an actor or task asked for could not be set up."""


class AuthenticationError(RayError):
    """The other side did not prove who it is."""


class AsyncioActorExit(RayError):
    """Raised through an async actor's method by `exit_actor()`. The actor ends; nothing has failed."""


# Whoever keeps the actor alive must act.


class RayActorError(RayError):
    """An actor could not answer.

    Args:
        error_msg: What happened.
        actor_id: The actor's id in hex, if it is known.
        actor_init_failed: Whether it was the constructor that raised.
    """

    _default_text = "The actor ended or was lost before it answered."

    def __init__(self, error_msg: str = "", actor_id: str | None = None, *, actor_init_failed: bool = False) -> None:
        # Pickling calls the class with `args` and then restores the attributes.
        super().__init__(error_msg)
        self.actor_id = actor_id
        self.actor_init_failed = actor_init_failed


class ActorDiedError(RayActorError):
    """The actor is dead and will not come back. `certificate` says how it ended, when that is known."""

    _default_text = "The actor is dead."

    def __init__(
        self,
        error_msg: str = "",
        actor_id: str | None = None,
        *,
        actor_init_failed: bool = False,
        certificate: DeathCertificate | None = None,
    ) -> None:
        super().__init__(error_msg, actor_id, actor_init_failed=actor_init_failed)
        self.certificate = certificate

    @classmethod
    def from_certificate(cls, certificate: DeathCertificate, call: str, may_have_run: bool) -> Self:  # noqa: FBT001  # the one fact that is left
        """Build the error one call ends in.

        Args:
            certificate: How the actor ended.
            call: The call that ends in this error, `"Account.deposit"`.
            may_have_run: False only when it is certain that the call was never started.
        """
        fate = "may have run, or part of it" if may_have_run else "was not run"
        text = f"{certificate.who()} {certificate.verdict()}: {certificate.describe()}\nThe call {call}() {fate}."
        init_failed = certificate.cause == "constructor"
        return cls(text, certificate.actor_id, actor_init_failed=init_failed, certificate=certificate)


class ActorUnavailableError(RayActorError):
    """The actor does not answer now, and may later. Unless the text says otherwise, the call may have run."""

    _default_text = "The actor does not answer now; the call may have run."

    def __init__(
        self, error_msg: str = "", actor_id: str | None = None, *, certificate: DeathCertificate | None = None
    ) -> None:
        super().__init__(error_msg, actor_id)
        self.certificate = certificate

    @classmethod
    def from_certificate(cls, certificate: DeathCertificate, call: str, may_have_run: bool) -> Self:  # noqa: FBT001  # the one fact that is left
        """Build the error of a call whose actor has died and is being restarted. See `ActorDiedError`."""
        fate = "may have run, or part of it" if may_have_run else "was not run"
        text = (
            f"{certificate.who()} {certificate.verdict()}: {certificate.describe()}\nThe call {call}() {fate}. "
            "It is not made again by itself: for that, give the actor or the method (more) max_task_retries."
        )
        return cls(text, certificate.actor_id, certificate=certificate)


class WorkerCrashedError(RayError):
    """The process that ran a function task died."""

    _default_text = "The process that ran this task died; the task may have run in part."


# Whoever runs the machine must act.


class ObjectStoreFullError(RayError):
    """The values of a session take all the memory that ``init(object_store_memory=)`` allows; who has it is said."""


class OutOfDiskError(RayError):
    """The disk is full."""


class OutOfMemoryError(RayError):
    """The machine is out of memory."""


class NodeDiedError(RayError):
    """The node process of the session has died."""


class LocalRayletDiedError(RayError):
    """The process that manages this machine has died."""


class TaskUnschedulableError(RayError):
    """No machine can run the task."""


class ActorUnschedulableError(RayError):
    """No machine can run the actor."""


class TaskPlacementGroupRemoved(RayError):
    """The placement group of the task was removed."""


class ActorPlacementGroupRemoved(RayError):
    """The placement group of the actor was removed."""


class RaySystemError(RayError):
    """actorio itself failed."""


class RayChannelError(RaySystemError):
    """A channel between processes failed."""


class RayChannelTimeoutError(RayChannelError, TimeoutError):
    """A channel between processes gave nothing in time."""


class RayCgraphCapacityExceeded(RaySystemError):
    """A compiled graph has as many unfinished runs as it can hold."""


# The author of a class must act.


class ActorClassInheritanceException(TypeError):
    """A class decorated with `@remote` was used as a base. Inherit from the plain class, then decorate."""


# What a user sees in a traceback, and what a pickle of any of these names, is their public home.
for _name in __all__:
    globals()[_name].__module__ = "actorio.exceptions"
del _name
