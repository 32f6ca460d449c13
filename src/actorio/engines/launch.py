"""Starting a node: its socket first, then its interpreter, then what it is to do.

Imports little, so that the node's interpreter starts before the driver imports the rest.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from actorio._transport.sockets import listen

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENTRY = "actorio._worker.process"


class Launch:
    """A node's process on its way. It reads its configuration when its interpreter is up.

    Args:
        directory: the session's directory.
    """

    def __init__(self, directory: str) -> None:
        self.path = f"{directory}/node"
        self._directory = directory
        with listen(self.path) as listener:
            self._listener = listener.fileno()
            self.process = subprocess.Popen(  # noqa: S603  # our own module
                [sys.executable, "-m", "actorio._node", _ENTRY],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=(self._listener,),
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(_import_path())},
            )

    def configure(self, preload: Sequence[str]) -> None:
        """Tells the node what to do.

        Raises:
            OSError: it has ended already.
        """
        # See above.
        from actorio._caller.surroundings import capture
        from actorio._node import boot

        config = boot.Boot(
            directory=self._directory,
            listener=self._listener,
            preload=list(preload),
            surroundings=capture().encode(),
        )
        if self.process.stdin is None:
            raise AssertionError("asked for a pipe")
        with self.process.stdin as stdin:
            stdin.write(boot.encode(config))


def _import_path() -> list[str]:
    """Returns the module path for the node, on which it finds this package wherever the driver did."""
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    given = os.environ.get("PYTHONPATH", "")
    return [here, *filter(None, given.split(os.pathsep))]
