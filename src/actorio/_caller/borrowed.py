"""Results that another process owns: asked for when somebody first wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorio._caller.pending import PENDING, PendingResult
from actorio._model.travel import note

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from actorio._caller.holdings import Hold
    from actorio._caller.pending import Callback
    from actorio._model.reference import ObjectRef


class BorrowedResult(PendingResult):
    """A result of another process.

    Args:
        exported: what `PendingResult.export` returned there.
        fetch: asks the owner for the value, from the context that is running, and sets ``lane``.
        hold: what makes the owner keep the value; None for a reference that somebody has pickled on his own.
    """

    __slots__ = ("_exported", "_fetch", "_hold", "_is_fetched")

    is_owned = False

    def __init__(
        self, number: int, exported: tuple[Any, ...], fetch: Callable[[BorrowedResult], None], hold: Hold | None
    ) -> None:
        super().__init__(number, None, str(exported[-1]))
        self._exported = exported
        self._fetch = fetch
        self._hold = hold
        self._is_fetched = False

    @property
    def identity(self) -> bytes:
        """The owner's identity of the result."""
        _, identity, number, _ = self._exported
        return bytes(identity) + int(number).to_bytes(8, "big") + b"\x01\0\0\0"

    @property
    def owner(self) -> str:
        """Where the owner listens."""
        return str(self._exported[0])

    @property
    def origin(self) -> int:
        """The owner's number of the result."""
        return int(self._exported[2])

    def export(self) -> tuple[Any, ...]:
        """Returns what the owner exported: whoever gets it asks the owner."""
        if self._hold is not None:
            note(self._hold.key, self._hold)
        return self._exported

    def ask(self) -> None:
        """Asks the owner, once."""
        if not self._is_fetched:
            self._is_fetched = True
            self._fetch(self)

    def is_done(self) -> bool:
        """Has the value arrived? Asks the owner, so that polling leads somewhere."""
        self.ask()
        return self.state != PENDING

    def add_callback(self, callback: Callback) -> None:
        """See `PendingResult.add_callback`."""
        self.ask()
        super().add_callback(callback)

    def wait_async(self, ref: ObjectRef[Any] | None = None) -> Generator[Any, None, Any]:
        """See `PendingResult.wait_async`."""
        self.ask()
        return (yield from super().wait_async(ref))

    def wait_done(self) -> Generator[Any, None, None]:
        """See `PendingResult.wait_done`."""
        self.ask()
        yield from super().wait_done()
