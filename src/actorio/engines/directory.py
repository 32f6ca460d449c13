"""Session directories: where a session's sockets live, mode 0700, gone when the session is.

``$XDG_RUNTIME_DIR/actorio/<name>``, or ``<temporary directory>/actorio-<uid>/<name>``. Each holds a locked file:
the lock goes with the processes of the session, so that whoever comes next can tell what was left behind.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from actorio._transport.sockets import MAX_PATH

if TYPE_CHECKING:
    from collections.abc import Iterator

# "/" and 16 hexadecimal digits: the name of a socket in the directory.
_LONGEST_SOCKET = 17
_REMOVAL_PAUSE, _REMOVAL_TRIES = 0.02, 50


class SessionDirectory:
    """A new session's directory, made and locked.

    Raises:
        OSError: it cannot be made, or belongs to somebody else.
    """

    def __init__(self) -> None:
        with _locked_base() as base:
            _sweep(base)
            self.name = os.urandom(4).hex()
            self.path = str(base / self.name)
            os.mkdir(self.path, 0o700)  # noqa: PTH102  # the mode must be there from the start
            self._lock = os.open(f"{self.path}/lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Removes the directory and all that is in it."""
        base = Path(self.path).parent
        with suppress(OSError, _GoneError), _locked(base):
            shutil.rmtree(self.path, ignore_errors=True)
            # The directory of all sessions goes with the last of them.
            base.rmdir()
        self.abandon()

    def remove_when_empty(self) -> None:
        """Removes the directory unless the zygote does so first, as it does when it outlives the node."""
        for _ in range(_REMOVAL_TRIES):
            if not os.path.exists(self.path):  # noqa: PTH110
                return
            time.sleep(_REMOVAL_PAUSE)
        shutil.rmtree(self.path, ignore_errors=True)

    def abandon(self) -> None:
        """Lets go of the lock alone."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


@contextmanager
def _locked_base() -> Iterator[Path]:
    """Makes the directory of all sessions and holds it: another session may be about to remove it."""
    while True:
        try:
            base = _base()
            with _locked(base):
                yield base
                return
        except _GoneError:
            continue


class _GoneError(Exception):
    """The directory was removed before it was locked."""


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _GoneError from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        if not directory.exists() or os.fstat(fd).st_ino != directory.stat().st_ino:
            raise _GoneError
        yield
    finally:
        os.close(fd)


def _base() -> Path:
    for base in _candidates():
        if len(os.fsencode(base)) + 9 + _LONGEST_SOCKET <= MAX_PATH:
            _make(base)
            _check_private(base)
            return base
    raise OSError(f"the temporary directory's path is too long for a Unix socket ({MAX_PATH} bytes): set TMPDIR")


def _candidates() -> list[Path]:
    own = f"actorio-{os.getuid()}"
    found = [Path(tempfile.gettempdir()) / own, Path("/tmp") / own]  # noqa: S108  # checked to be ours, below
    runtime_directory = os.environ.get("XDG_RUNTIME_DIR")
    return [Path(runtime_directory) / "actorio", *found] if runtime_directory else found


def _make(base: Path) -> None:
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        if base.exists() and not base.is_dir():
            raise
        # It was there, and is gone: another session has ended meanwhile.
        raise _GoneError from None


def _check_private(base: Path) -> None:
    try:
        info = base.lstat()
    except FileNotFoundError:
        raise _GoneError from None
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        raise PermissionError(f"{base} belongs to somebody else: remove it, or set TMPDIR")
    if stat.S_IMODE(info.st_mode) & 0o077:
        base.chmod(0o700)


def _sweep(base: Path) -> None:
    """Removes what sessions left whose processes were all killed at once."""
    for directory in base.iterdir():
        with suppress(OSError):
            lock = os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(lock)
