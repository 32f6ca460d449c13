"""The command ``actorio``: looks into the sessions of this machine, and starts and stops them.

A program on top of everything else: no process of a session loads it, or the packages that it needs.
"""

from __future__ import annotations

import sys

# The exit code of whoever is ended by Ctrl-C.
_INTERRUPTED = 130


def main() -> None:
    """Runs the command; the entry point of the script."""
    try:
        from actorio.cli.main import actorio
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in {"click", "rich"}:
            raise
        # The benchmarks need more; that extra has all of the other.
        extra = "bench" if sys.argv[1:2] == ["bench"] else "cli"
        sys.exit(f"the command line needs {package}, which is not installed: pip install 'actorio-node[{extra}]'")
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    actorio(prog_name="actorio")
