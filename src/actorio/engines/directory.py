"""Session directories: where a session's sockets live, mode 0700, gone when the session is.

``$XDG_RUNTIME_DIR/actorio/<name>``, or ``<temporary directory>/actorio-<uid>/<name>``. Each holds a locked file:
the lock goes with the processes of the session, so that whoever comes next can tell what was left behind.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from actorio._transport.locks import hold_lock, let_go_of_lock
from actorio._transport.sockets import MAX_PATH
from actorio._wire.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

# "/" and 16 hexadecimal digits: the name of a socket in the directory.
_LONGEST_SOCKET = 17
_REMOVAL_PAUSE, _REMOVAL_TRIES = 0.02, 50
# What says who may take part in a session, and what it is called if it has a name.
_INFO, _NAME = "session", "name"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
_OWN_INFO = f"protocol {VERSION}, Python {sys.version_info[0]}.{sys.version_info[1]}, {sys.prefix}, {_PACKAGE}\n"


class SessionDirectory:
    """A session's directory: a new one, locked, or that of a session which is joined.

    Attributes:
        path: where it is.
        lock: the descriptor whose lock says that the session lives; -1 where another process has it.
    """

    def __init__(self, path: str, lock: int = -1) -> None:
        self.path = path
        self.name = os.path.basename(path)  # noqa: PTH119  # a string
        self.lock = lock

    def remove(self) -> None:
        """Removes the directory and all that is in it."""
        with suppress(OSError, _GoneError), _locked(Path(self.path).parent):
            self.discard()
        self.abandon()

    def discard(self) -> None:
        """Does the same for whoever has the lock of all sessions."""
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            # The directory of all sessions goes with the last of them.
            Path(self.path).parent.rmdir()
        self.abandon()

    def remove_when_over(self) -> None:
        """Removes the directory when the last process of the session has ended, which mostly does so itself."""
        for _ in range(_REMOVAL_TRIES):
            if not os.path.exists(self.path):  # noqa: PTH110
                return
            if _is_free(Path(self.path)):
                break
            time.sleep(_REMOVAL_PAUSE)
        else:
            return
        self.remove()

    def abandon(self) -> None:
        """Lets go of the lock alone."""
        if self.lock >= 0:
            let_go_of_lock(self.lock)
            self.lock = -1


class Sessions:
    """The sessions of this user, while nobody else starts or removes one: a context manager."""

    def __enter__(self) -> Self:
        self._base_lock = _locked_base()
        self.base = self._base_lock.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._base_lock.__exit__(kind, error, trace)

    def running(self) -> list[SessionDirectory]:
        """Returns the sessions that this interpreter can join, the newest first."""
        found = [path for path in self.base.iterdir() if _fits(path) and not _is_free(path)]
        return [SessionDirectory(str(path)) for path in sorted(found, key=_age)]

    def nameless(self) -> list[SessionDirectory]:
        """Returns those of them that have no name, and so are for whoever comes."""
        return [each for each in self.running() if not _name_of(each.path)]

    def find(self, name: str) -> SessionDirectory | None:
        """Returns the session that `create` has given a name; None when this interpreter can join none."""
        return next((each for each in self.running() if _name_of(each.path) == name), None)

    def create(self, name: str | None = None) -> SessionDirectory:
        """Makes and locks the directory of a new session; what dead sessions left is removed first.

        Args:
            name: what `find` finds it by. Not that of the directory: whoever ends an old session removes its
                directory, and must not find that of a new one in its place.

        Raises:
            OSError: it cannot be made.
        """
        _sweep(self.base)
        path = str(self.base / os.urandom(4).hex())
        os.mkdir(path, 0o700)  # noqa: PTH102  # the mode must be there from the start
        lock = hold_lock(f"{path}/lock", os.O_CREAT | os.O_RDWR)
        if name is not None:
            Path(path, _NAME).write_text(name, encoding="utf-8")
        with open(f"{path}/{_INFO}", "x", encoding="utf-8") as info:  # noqa: PTH123
            info.write(_OWN_INFO)
        return SessionDirectory(path, lock)


def named(address: str) -> SessionDirectory:
    """Returns the directory of the session that a user names: by its path, by the last part of that, or by its name.

    Raises:
        ConnectionError: there is no such session, or this interpreter cannot join it.
        PermissionError: it belongs to another user.
    """
    with Sessions() as sessions:
        path = Path(address) if "/" in address else sessions.base / address
        if not os.path.isdir(path):  # noqa: PTH112  # False for a path that cannot be
            found = sessions.find(address)
            if found is not None:
                return found
            known = ", ".join(_name_of(each.path) or each.name for each in sessions.running())
            raise ConnectionError(f"there is no session {address!r}; running are: {known or 'none'}")
        if path.stat().st_uid != os.getuid():
            raise PermissionError(f"the session {address!r} belongs to user {path.stat().st_uid}, not to you")
        if _is_free(path):
            raise ConnectionError(f"the session {address!r} is not running any more: its processes have ended")
        if not _fits(path):
            raise ConnectionError(f"the session {address!r} runs under another Python or another version of actorio")
        return SessionDirectory(str(path))


def _fits(path: Path) -> bool:
    """May this interpreter take part in a session? Pickles go to and fro between the same versions only."""
    try:
        return (path / _INFO).read_text(encoding="utf-8") == _OWN_INFO
    except OSError:
        return False


def _name_of(path: str) -> str:
    """Returns the name of a session, "" when it has none."""
    try:
        return Path(path, _NAME).read_text(encoding="utf-8")
    except OSError:
        return ""


def _age(path: Path) -> float:
    try:
        return -path.stat().st_ctime
    except OSError:
        return 0.0


def _is_free(path: Path) -> bool:
    """Has a session ended, all of its processes?"""
    try:
        lock = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(lock)


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
        fd = hold_lock(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        raise _GoneError from None
    try:
        if not _is_at(fd, directory):
            raise _GoneError
        yield
    finally:
        let_go_of_lock(fd)


def _is_at(fd: int, directory: Path) -> bool:
    try:
        return os.fstat(fd).st_ino == directory.stat().st_ino
    except FileNotFoundError:
        return False


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
        if _is_free(directory):
            shutil.rmtree(directory, ignore_errors=True)
