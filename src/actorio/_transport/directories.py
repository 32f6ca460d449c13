"""A session's directory: which processes run it, and its end, which is for whoever ends last."""

from __future__ import annotations

import os
from contextlib import suppress

# The file that names the session's own processes.
_PROCESSES = "processes"


def note_processes(directory: str, node: int, zygote: int) -> None:
    """Says which processes run a session, for who must end it though they do not answer."""
    path = f"{directory}/{_PROCESSES}"
    with open(f"{path}.new", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(f"{zygote} {node}")
    os.replace(f"{path}.new", path)  # noqa: PTH105


def noted_processes(directory: str) -> list[int]:
    """Returns the zygote and the node of a session; nothing when they are not known."""
    try:
        with open(f"{directory}/{_PROCESSES}", encoding="ascii") as file:  # noqa: PTH123
            return [int(pid) for pid in file.read().split()]
    except FileNotFoundError:
        return []


def remove_session(path: str) -> None:
    """Removes a session's directory and, when it was the last one, the directory of all sessions."""
    _remove(path)
    with suppress(OSError):
        os.rmdir(os.path.dirname(path))  # noqa: PTH106, PTH120


def _remove(path: str) -> None:
    # Not by `shutil`: it brings libraries that each actor's process would have, too.
    with suppress(OSError):
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    _remove(entry.path)
                else:
                    with suppress(OSError):
                        os.unlink(entry)  # noqa: PTH108
        os.rmdir(path)  # noqa: PTH106
