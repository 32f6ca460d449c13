"""Imports go down the rooms, and the pure files touch neither clocks, threads nor sockets."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "actorio"

IMPURE = frozenset({"asyncio", "socket", "os", "time", "threading", "select", "signal"})

# Each pure file, with what it may import all the same.
PURE_FILES = {
    "_wire/frames.py": frozenset(),
    "_wire/messages.py": frozenset(),
    "_wire/payload.py": frozenset(),
    "_wire/peer.py": frozenset(),
    "_model/options.py": frozenset(),
    "_model/init_options.py": frozenset(),
    "_model/actor_options.py": frozenset(),
    "_model/definition.py": frozenset(),
    "_model/errors.py": frozenset(),
    "_model/failure.py": frozenset(),
    # It names the signal that ended a process; it sends and handles none.
    "_model/certificate.py": frozenset({"signal"}),
    "_model/holders.py": frozenset(),
    "_model/resources.py": frozenset(),
    "_model/restarts.py": frozenset(),
    "_model/status.py": frozenset(),
    "_model/supervision.py": frozenset(),
    "_model/task.py": frozenset(),
    "_store/layout.py": frozenset(),
    "_caller/lines.py": frozenset(),
    "_model/concurrency.py": frozenset(),
    "bench/latency.py": frozenset(),
    "cli/wait_graph.py": frozenset(),
    "cli/wait_lines.py": frozenset(),
    "_worker/mailbox.py": frozenset(),
    "_worker/backlog.py": frozenset(),
    "_worker/lines.py": frozenset(),
    "_worker/rates.py": frozenset(),
    "_node/admission.py": frozenset(),
    "_node/leases.py": frozenset(),
    "_node/registry.py": frozenset(),
    "_node/names.py": frozenset(),
    "_node/groups.py": frozenset(),
    "_node/instructions.py": frozenset(),
    "_node/supervision.py": frozenset(),
    "_node/lines.py": frozenset(),
}


def imported_roots(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def test_each_pure_file_is_there():
    assert not [name for name in PURE_FILES if not (PACKAGE / name).is_file()]


def test_imports_go_down_the_rooms():
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    # In a process of its own: it changes the path and the logging of the one it runs in.
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(("name", "allowed"), PURE_FILES.items(), ids=PURE_FILES)
def test_a_pure_file_imports_no_clock_thread_or_socket(name, allowed):
    impure = set(imported_roots((PACKAGE / name).read_text())) & (IMPURE - allowed)
    assert not impure


@pytest.mark.parametrize(
    "source",
    ["import os.path", "from os import fork", "def f():\n    import os", "import sys, os as system"],
)
def test_an_import_is_found_wherever_and_however_it_is_written(source):
    assert "os" in set(imported_roots(source))


def test_a_relative_import_is_not_taken_for_the_standard_library():
    assert not set(imported_roots("from .signal import Signal\nfrom . import time"))
