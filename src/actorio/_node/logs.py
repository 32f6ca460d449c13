"""Log files: the last of what each actor has printed, for whoever comes later than the lines."""

from __future__ import annotations

import os
from contextlib import suppress

# An actor's file is cut back to its newer half beyond this many bytes.
_LARGEST = 1 << 20


class Logs:
    """One file for each actor that prints, in a directory of the session.

    Args:
        directory: where; made when the first actor prints.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._files: dict[str, int] = {}
        self.error = ""

    def path(self, actor_id: str) -> str:
        """Returns the path of an actor's file."""
        return f"{self._directory}/{actor_id[:16]}.log"

    def write(self, actor_id: str, lines: list[bytes]) -> bool:
        """Appends whole lines. Returns False the first time that it cannot; ``error`` says why."""
        try:
            file = self._files.get(actor_id)
            if file is None:
                file = self._files[actor_id] = self._open(actor_id)
            os.write(file, b"".join(line + b"\n" for line in lines))
            if os.fstat(file).st_size > _LARGEST:
                self._cut(file)
        except OSError as error:
            # A full disk must not stop what the actors do.
            is_first, self.error = not self.error, str(error)
            return not is_first
        return True

    def _open(self, actor_id: str) -> int:
        with suppress(FileExistsError):
            os.mkdir(self._directory, 0o700)  # noqa: PTH102  # pathlib would be imported for this alone
        return os.open(self.path(actor_id), os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _cut(self, file: int) -> None:
        newer = os.pread(file, _LARGEST // 2, os.fstat(file).st_size - _LARGEST // 2)
        os.ftruncate(file, 0)
        os.write(file, newer[newer.find(b"\n") + 1 :])

    def close(self, actor_id: str) -> None:
        """The actor is dead; its file stays until the end of the session."""
        file = self._files.pop(actor_id, -1)
        if file >= 0:
            os.close(file)
