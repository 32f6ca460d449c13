"""The seed programs about an account that outlives its actor: named, detached, kept in a file, kept by a pool."""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

SEEDS = Path(__file__).resolve().parents[2] / "examples" / "seeds"

HANDLE = r"Actor\(Account, [0-9a-f]{32}\)"
OOPS = r"Oops! .*Account\.withdraw\(\) \(pid=\d+.*\nException: Can not withdraw negative amount occurred\."
KEPT = [r"Current balance 100\.0", r"New balance 60\.0", r"New balance 130\.0", HANDLE, r"Current balance 130\.0"]

SHOWN = {
    "account_named": [
        r"Current balance 100\.0",
        r"New balance 60\.0",
        OOPS,
        r"New balance 90\.0",
        HANDLE,
        r"Not found: ValueError",
    ],
    "account_persistence": KEPT,
    "account_persistence_class": KEPT,
    "account_pool": [
        r"Current balance 100\.0",
        r"New balance 60\.0",
        OOPS,
        r"New balance 130\.0",
        # The program does not wait for the last state to be saved before it kills the account.
        r"Current balance (130|60)\.0",
    ],
}
RESTORED = re.compile(r"\(Account pid=\d+\) Restoring state \{'balance': (?:130|60)\.0, 'minimal': 20\.0\}\n")


@dataclass(frozen=True)
class Run:
    """One finished program: how it ended, and which files and processes it has left."""

    done: subprocess.CompletedProcess
    files: list[Path]
    processes: list[str]


def run(program, leaks):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, f"{program}.py"],
            cwd=SEEDS,
            env=os.environ | {"TMPDIR": folder},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Run(done, list(Path(folder).iterdir()), leaks())


@pytest.fixture(scope="module")
def runs():
    """The programs that have run."""
    return {}


@pytest.fixture
def ended(runs, leaks):
    """Run a program with a folder for its temporary files, once for all tests; return what is known of it."""

    def end(program):
        if program not in runs:
            runs[program] = run(program, leaks)
        return runs[program]

    return end


@pytest.mark.parametrize("program", SHOWN)
def test_a_program_shows_what_the_text_shows(program, ended):
    done = ended(program).done
    assert (done.returncode, done.stderr) == (0, "")
    own = RESTORED.sub("", done.stdout).rstrip("\n")
    assert re.fullmatch(r"\n".join(SHOWN[program]), own, re.DOTALL), own


@pytest.mark.parametrize("program", SHOWN)
def test_a_program_removes_its_files(program, ended):
    assert ended(program).files == []


@pytest.mark.parametrize("program", SHOWN)
def test_a_program_leaves_no_process_behind_not_even_a_detached_actor(program, ended):
    assert ended(program).processes == []


def test_the_second_account_says_what_the_pool_restored(ended):
    assert len(RESTORED.findall(ended("account_pool").done.stdout)) == 1
