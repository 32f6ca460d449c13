"""The actor whose cost is that of an actor: this module imports nothing that an actor has not got already."""

import os


class Idle:
    """Has nothing to do."""

    def nothing(self, _value: int) -> None:
        """Answers a call and does no more."""

    def pid(self) -> int:
        """Says which process this is."""
        return os.getpid()
