"""The local engine: sessions of this machine. Starts and ends the node, and is the driver's side of it."""

from __future__ import annotations

import atexit
import os
import subprocess
import threading
from typing import TYPE_CHECKING, Any

from actorio._model import runtime
from actorio._model.options import InitOptions
from actorio._transport.descriptors import raise_limit
from actorio.engines.directory import SessionDirectory
from actorio.engines.launch import Launch

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from actorio._caller.runtime import CallerRuntime

# What ending may take, in seconds: the node ends its actors within 1.5 and is killed when it does not.
_STOP_TIMEOUT = 1.8
_EXIT_TIMEOUT = 0.2


class Session:
    """One session: its directory, its node, its driver's runtime.

    Raises:
        RaySystemError: the node did not start.
    """

    def __init__(self, options: InitOptions) -> None:
        raise_limit()
        self.directory = SessionDirectory()
        launch = Launch(self.directory.path)
        self._process = launch.process
        # Imported while the node's interpreter starts: together they take half of what they take in turn. So this
        # module itself imports little at its top.
        from actorio._caller.node import NodeClient
        from actorio._caller.runtime import CallerRuntime
        from actorio.engines.output import OutputPrinter

        self._printer = OutputPrinter(is_shown=options.log_to_driver)
        try:
            launch.configure(options.preload)
            self.node = NodeClient(launch.path, "driver", self._printer.take, self._on_node_lost)
        except BaseException as error:
            self._process.kill()
            self._process.wait()
            self.directory.remove()
            if isinstance(error, OSError):
                from actorio._model.errors import RaySystemError

                raise RaySystemError(f"the node did not start: {error}") from error
            raise
        self.runtime = CallerRuntime(
            self.directory.path, self.directory.name, lambda: self.node, options.loop_stall_limit
        )

    def _on_node_lost(self) -> None:
        """The node was killed: its zygote ends the actors; what it could not remove is removed here."""
        self._process.wait()
        self.directory.remove_when_empty()

    def close(self) -> None:
        """Ends every process of the session and removes its directory, within two seconds."""
        self.node.stop(_STOP_TIMEOUT)
        self.runtime.close()
        self.node.close()
        try:
            self._process.wait(_EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.directory.remove()
        self._printer.close()

    def abandon(self) -> None:
        """Forgets the session in a forked child: it belongs to the parent."""
        self.runtime.abandon()
        self.directory.abandon()
        self._process.returncode = 0


class _Slot:
    """The session of this process."""

    session: Session | None = None
    lock = threading.RLock()


class InitContext:
    """What `init` returns: ends the session at the end of a ``with`` or ``async with`` block."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def address_info(self) -> dict[str, Any]:
        """The session's directory and the process id of its node."""
        return {"session_dir": self._session.directory.path, "node_pid": self._session.node.node_pid}

    def disconnect(self) -> None:
        """Ends the session, if it is still this one."""
        if _Slot.session is self._session:
            shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    def __repr__(self) -> str:
        return f"InitContext(node_pid={self._session.node.node_pid}, session_dir={self._session.directory.path!r})"


def init(**options: Any) -> InitContext:
    """Starts a session: the node that starts actors. Called on first use if a program does not call it.

    Takes about a tenth of a second. The session ends with `shutdown`, at the end of the ``with`` block, or with the
    program, however that ends.

    Args:
        **options: see the reference of options: ``log_to_driver``, ``preload``, ``loop_stall_limit`` (seconds), ...

    Returns:
        A context for ``with actorio.init():`` or ``async with actorio.init():``.

    Raises:
        RuntimeError: there is a session already, and not ``ignore_reinit_error=True``.
        ValueError, TypeError: an option is unknown or ill-valued.
        RaySystemError: the session did not start.
    """
    chosen = InitOptions.of(options)
    with _Slot.lock:
        if _Slot.session is not None:
            if not chosen.ignore_reinit_error:
                raise RuntimeError(
                    "init() was called twice: call shutdown() first, or pass ignore_reinit_error=True to go on"
                )
            return InitContext(_Slot.session)
        session = _Slot.session = Session(chosen)
        _become_driver(session.runtime, session.directory.name)
        return InitContext(session)


def shutdown() -> None:
    """Ends the session: every actor, busy or not, within two seconds. Without a session it does nothing.

    What actors have printed has been shown when it returns. References that were waiting end with an error;
    handles of the session fail from now on. Called at interpreter exit. Blocks the calling thread.
    """
    with _Slot.lock:
        session, _Slot.session = _Slot.session, None
        if session is None:
            return
        _become_driver(None, "")
        session.close()


def is_initialized() -> bool:
    """Is there a session in this process? Also True inside actors."""
    return runtime.installed() is not None


def start_on_first_use() -> None:
    """Starts a session with default options, unless there is one."""
    with _Slot.lock:
        if runtime.installed() is None:
            init()


def _become_driver(caller: CallerRuntime | None, session: str) -> None:
    from actorio._model import context  # the node starts first, see `Session`

    runtime.install(caller)
    context.install(context.RuntimeContext(session))


def _forget_in_child() -> None:
    session, _Slot.session = _Slot.session, None
    _Slot.lock = threading.RLock()
    if session is not None:
        _become_driver(None, "")
        session.abandon()


atexit.register(shutdown)
os.register_at_fork(after_in_child=_forget_in_child)
