"""Starting a node: its socket first, then its interpreter, then what it is to do.

Imports little, so that the node's interpreter starts before the driver imports the rest.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from actorio._caller.revival import ENTRY, import_path, open_log
from actorio._store.usage import DEFAULT_PATIENCE, set_limit
from actorio._transport.sockets import listen

if TYPE_CHECKING:
    from actorio._model.init_options import InitOptions
    from actorio.engines.directory import SessionDirectory, Sessions


class Launch:
    """A node's process on its way. It reads its configuration when its interpreter is up.

    Args:
        directory: the session's directory, whose lock the node takes over.
    """

    def __init__(self, directory: SessionDirectory) -> None:
        self._directory = directory
        # Not the driver's standard error, which a session with detached actors would keep open.
        with listen(f"{directory.path}/node") as listener, open_log(directory.path) as log:
            self._listener = listener.fileno()
            self.process = subprocess.Popen(  # noqa: S603  # our own module
                [sys.executable, "-m", "actorio._node", ENTRY],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=(self._listener, directory.lock),
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(import_path())},
            )

    def configure(self, options: InitOptions, *, is_kept: bool = False) -> None:
        """Tells the node what to do; with ``is_kept``, to stay though nobody is in the session.

        Raises:
            OSError: it has ended already.
        """
        # See above.
        from actorio._caller.surroundings import capture
        from actorio._node import boot
        from actorio.engines.machine import gpu_ids, resources

        gpus = gpu_ids(options.amounts)
        config = boot.Boot(
            directory=self._directory.path,
            listener=self._listener,
            lock=self._directory.lock,
            preload=list(options.preload),
            surroundings=capture().encode(),
            resources=resources(options.amounts, gpus),
            gpu_ids=gpus,
            idle_worker_timeout=options.idle_worker_timeout,
            is_kept=is_kept,
        )
        if self.process.stdin is None:
            raise AssertionError("asked for a pipe")
        with self.process.stdin as stdin:
            stdin.write(boot.encode(config))
        # The node has it now, and so the session lives as long as its processes do.
        self._directory.abandon()


def launch_in(
    sessions: Sessions, memory: int | None = None, patience: float = DEFAULT_PATIENCE, name: str | None = None
) -> tuple[SessionDirectory, Launch]:
    """Begins a session: makes its directory and starts its node.

    Args:
        sessions: all of them, while nobody else begins or joins one.
        memory: how many bytes its values may take, None for a share of the machine's.
        patience: how long a `put` waits for room, in seconds.
        name: what it is called, None for nothing.

    Raises:
        OSError: the system has no room for it, and nothing is left of it.
    """
    directory = sessions.create(name)
    try:
        set_limit(directory.path, memory, patience)
        return directory, Launch(directory)
    except BaseException:
        directory.discard()
        raise
