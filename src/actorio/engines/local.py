"""The local engine: sessions of this machine. Starts and ends the node, and is the driver's side of it."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from actorio._caller import revival
from actorio._model import runtime
from actorio._model.init_options import InitOptions
from actorio._transport.descriptors import raise_limit
from actorio.engines.directory import Sessions, named
from actorio.engines.launch import Launch, launch_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self

    from actorio._caller.node import NodeClient
    from actorio._caller.runtime import CallerRuntime
    from actorio.engines.directory import SessionDirectory

# What ending may take, in seconds: the node ends its actors within 1.5 and is killed when it does not.
_STOP_TIMEOUT = 1.8
_EXIT_TIMEOUT = 0.2
# How many sessions that end at that moment are tried.
_TRIES = 5
# Of what multiprocessing does at the end of its processes, after what users have registered.
_LAST = -100
ADDRESS_VARIABLE = "ACTORIO_ADDRESS"
_AUTO, _LOCAL = "auto", "local"
# What a session that runs has already, and how it is written.
_OF_NEW_SESSIONS = {
    "amounts": "num_cpus=, num_gpus= and resources=",
    "object_store_memory": "object_store_memory=",
    "object_store_timeout": "object_store_timeout=",
    "idle_worker_timeout": "idle_worker_timeout=",
}


class Session:
    """A driver's part in a session: its directory, its node, this driver's runtime.

    Raises:
        ConnectionError: there is no session of the address given.
        RaySystemError: the node did not start.
    """

    def __init__(self, options: InitOptions) -> None:
        raise_limit()
        address = options.address or ("" if options.session else os.environ.get(ADDRESS_VARIABLE, ""))
        self._enter(address, options)
        try:
            self._settle_in(options)
        except BaseException:
            self._leave()
            raise

    def _settle_in(self, options: InitOptions) -> None:
        # Imported by now.
        from actorio._caller.creation import Home
        from actorio._caller.runtime import CallerRuntime

        namespace = options.namespace or f"anonymous-{os.urandom(8).hex()}"
        home = Home(
            self.directory.path, self.directory.name, namespace, options.namespace is None, options.loop_stall_limit
        )
        self.namespace = namespace
        self.runtime = CallerRuntime(home, lambda: self.node)

    def _enter(self, address: str, options: InitOptions) -> None:
        """Finds or starts a session, and connects to its node."""
        for _ in range(_TRIES):
            self.directory, launch = _find(address, options)
            # Imported while the node's interpreter starts: together they take half of what they take in turn. So this
            # module itself imports little at its top.
            with _undoing(launch, self.directory):
                import actorio._caller.runtime  # noqa: F401  # and this takes the longest
                from actorio._model.errors import RaySystemError
                from actorio.engines.output import OutputPrinter

                self._printer = OutputPrinter(is_shown=options.log_to_driver)
            try:
                self.node = self._connect() if launch is None else self._join(launch, options)
            except (OSError, RaySystemError) as error:
                self._printer.close()
                if launch is not None or address not in {"", _AUTO} or isinstance(error, TimeoutError):
                    raise
                # The session that was found is just ending: then there may be another, or room for one.
                self.directory.remove_when_over()
            else:
                return
        raise RaySystemError("every session that was found ended at that moment; call init() again")

    def _join(self, launch: Launch, options: InitOptions) -> NodeClient:
        """Tells a node that was started for this driver what to do, and connects to it."""
        revival.note_started(launch.process)
        try:
            with _undoing(launch, self.directory):
                launch.configure(options)
                return self._connect()
        except OSError as error:
            from actorio._model.errors import RaySystemError

            raise RaySystemError(f"the node did not start: {error}") from error

    def _connect(self) -> NodeClient:
        from actorio._caller.node import NodeClient

        return NodeClient(
            self.directory.path, "driver", on_news=self._printer.take, on_lost=self.directory.remove_when_over
        )

    def close(self) -> None:
        """Ends this driver's actors, and the session when nobody else needs it, within two seconds.

        Interrupted, it ends the session at once.
        """
        # First: what ends from now on makes room for nobody.
        self.runtime.tasks.close()
        self._leave(self.runtime.close)

    def _leave(self, close: Callable[[], object] = bool) -> None:
        # What comes last is done whatever becomes of the rest.
        with ExitStack() as rest:
            rest.callback(self._printer.close)
            rest.callback(self._end_nodes)
            rest.callback(self.node.close)
            rest.callback(close)
            self.node.stop(_STOP_TIMEOUT)

    def _end_nodes(self) -> None:
        if self.node.has_left and not self.node.is_over:
            # Others need the session, and with it the node that this process has started.
            revival.disown()
        elif revival.end_all(_EXIT_TIMEOUT):
            self.directory.remove_when_over()

    def abandon(self) -> None:
        """Forgets the session in a forked child: it belongs to the parent."""
        self.runtime.abandon()
        self.directory.abandon()
        revival.disown()


@contextmanager
def _undoing(launch: Launch | None, directory: SessionDirectory) -> Iterator[None]:
    """Takes a session back whose start fails, or is interrupted by Ctrl-C."""
    try:
        yield
    except BaseException:
        if launch is not None:
            revival.kill_family(launch.process)
            directory.remove()
        raise


def _find(address: str, options: InitOptions) -> tuple[SessionDirectory, Launch | None]:
    """Returns the session to take part in; when it is a new one, with its node on the way.

    Args:
        address: what the user or the environment says, "" for nothing.
        options: what the user wants; some of it only a new session can give.
    """
    wishes = _wishes(options)
    if address and address not in {_AUTO, _LOCAL}:
        if wishes:
            # As in Ray.
            raise ValueError(f"{', '.join(wishes)}: only a new session can be told so, as with address='local'")
        return named(address), None
    with Sessions() as sessions:
        if options.session:
            found = sessions.find(options.session)
            return (found, None) if found else _launch(sessions, options)
        running = [] if address == _LOCAL or ((wishes or options.preload) and not address) else sessions.nameless()
        if running:
            return running[0], None
        if address == _AUTO:
            raise ConnectionError(
                "there is no running session to join: call init() without address='auto' to start one"
            )
        return _launch(sessions, options)


def _launch(sessions: Sessions, options: InitOptions) -> tuple[SessionDirectory, Launch]:
    return launch_in(sessions, options.object_store_memory, options.object_store_timeout, options.session)


def _wishes(options: InitOptions) -> list[str]:
    """Returns what only a new session can be told, as it is written."""
    plain = InitOptions()
    return [words for name, words in _OF_NEW_SESSIONS.items() if getattr(options, name) != getattr(plain, name)]


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
        """The session's directory, which is its address, and the process id of its node."""
        return {
            "address": self._session.directory.path,
            "session_dir": self._session.directory.path,
            "node_pid": self._session.node.node_pid,
        }

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


def init(address: str | None = None, **options: Any) -> InitContext:
    """Joins a running session of this user, or starts one. Called on first use if a program does not call it.

    Which session: the one that ``address`` or ``session`` names, or that the environment variable ``ACTORIO_ADDRESS``
    does; otherwise the newest without a name that runs under the same Python, and a new one when there is none.
    Starting takes a fifth of a second. Any number of drivers share a session; each sees the output of its own actors.

    This driver's actors end with `shutdown`, at the end of the ``with`` block, or with the program, however that ends;
    detached ones live on, and the session with them.

    Args:
        address: a session's directory or its name; ``"auto"``: there must be one; ``"local"``: a new one in any case.
        **options: ``session="shop"``: the session of this name, which is started if it does not run, by whoever comes
            first. For the others see the reference of options: ``namespace``, ``log_to_driver``, ``loop_stall_limit``
            (seconds), ... Those that say what a session is to have want a new one: ``num_cpus``, ``num_gpus``,
            ``resources``, ``object_store_memory``, ``preload``.

    Returns:
        A context for ``with actorio.init():`` or ``async with actorio.init():``.

    Raises:
        RuntimeError: this process is in a session already, and not ``ignore_reinit_error=True``.
        ValueError, TypeError: an option is unknown or ill-valued.
        ConnectionError: there is no session of this address, or another Python runs it.
        PermissionError: the session of this address belongs to another user.
        TimeoutError: the session that was found does not answer.
        RaySystemError: the session did not start.
    """
    chosen = InitOptions.of(options | {"address": address})
    with _Slot.lock:
        if _Slot.session is not None:
            if not chosen.ignore_reinit_error:
                raise RuntimeError(
                    "init() was called twice: call shutdown() first, or pass ignore_reinit_error=True to go on"
                )
            return InitContext(_Slot.session)
        session = _Slot.session = Session(chosen)
        _leave_with_multiprocessing()
        _become_driver(session.runtime, session.directory.name, session.namespace)
        return InitContext(session)


def shutdown() -> None:
    """Leaves the session: ends this driver's actors, busy or not, within two seconds. Without one it does nothing.

    Detached actors live on. The session ends when no driver and no detached actor is left in it.

    What actors have printed has been shown when it returns. References that were waiting end with an error;
    handles of the session fail from now on. Called at interpreter exit. Blocks the calling thread.
    """
    with _Slot.lock:
        session, _Slot.session = _Slot.session, None
        if session is None:
            return
        _become_driver(None)
        session.close()


def pending_calls() -> int:
    """Returns how many calls of this driver have not been answered yet, streams that flow among them; 0 without one."""
    session = _Slot.session
    contexts = None if session is None else session.runtime.calls.existing_contexts
    return 0 if contexts is None else contexts.count_all_pending()


def is_initialized() -> bool:
    """Is there a session in this process? Also True inside actors."""
    return runtime.installed() is not None


def start_on_first_use() -> None:
    """Starts a session with default options, unless there is one."""
    with _Slot.lock:
        if runtime.installed() is None:
            init()


def _become_driver(caller: CallerRuntime | None, session: str = "", namespace: str = "") -> None:
    from actorio._model import context  # the node starts first, see `Session`

    runtime.install(caller)
    context.install(context.RuntimeContext(session, namespace=namespace))


def _forget_in_child() -> None:
    session, _Slot.session = _Slot.session, None
    _Slot.lock = threading.RLock()
    if session is not None:
        _become_driver(None)
        session.abandon()


def _leave_with_multiprocessing() -> None:
    """Has a process of multiprocessing leave its session at its end, which `atexit` does not see."""
    if "multiprocessing" in sys.modules and sys.modules["multiprocessing"].parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, shutdown, exitpriority=_LAST)


atexit.register(shutdown)
os.register_at_fork(after_in_child=_forget_in_child)
