"""The errors about values that are gone; whoever owns the value must act. `errors` has the whole tree."""

from actorio._model.base_error import RayError


class ObjectLostError(RayError):
    """A value is gone though references to it are left.

    Args:
        object_ref_hex: The reference's id in hex.
        reason: Why the value is gone.
    """

    _default_text = "it is no longer held anywhere"

    def __init__(self, object_ref_hex: str = "", reason: str = "") -> None:
        super().__init__(object_ref_hex, reason)
        self.object_ref_hex = object_ref_hex
        self.reason = reason

    def __str__(self) -> str:
        return f"The value of ObjectRef({self.object_ref_hex}) is lost: {self.reason or self._default_text}."


class ObjectFetchTimedOutError(ObjectLostError):
    """A value did not arrive from where it is held."""

    _default_text = "it did not arrive in time from where it is held"


class ObjectFreedError(ObjectLostError):
    """A value was freed by hand."""

    _default_text = "it was freed"


class OwnerDiedError(ObjectLostError):
    """The process that owned a value has ended, and the value with it."""

    _default_text = "the process that made the call or the put has ended"


class ReferenceCountingAssertionError(ObjectLostError, AssertionError):
    """A value was freed while a reference to it was left, which is a bug in actorio."""

    _default_text = "it was freed though this reference was left, which is a bug in actorio"


class ObjectReconstructionFailedError(ObjectLostError):
    """A lost value could not be computed again."""

    _default_text = "it could not be computed again"


class ObjectReconstructionFailedMaxAttemptsExceededError(ObjectReconstructionFailedError):
    """A lost value was computed again as often as allowed, and lost again."""

    _default_text = "it was computed again as often as allowed"


class ObjectReconstructionFailedLineageEvictedError(ObjectReconstructionFailedError):
    """How a lost value was computed is no longer known."""

    _default_text = "how it was computed is no longer known"


class ObjectRefStreamEndOfStreamError(RayError):
    """A stream of references has ended."""


class PlasmaObjectNotAvailable(RayError):
    """A value is not in shared memory."""
