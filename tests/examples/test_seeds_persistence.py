"""The seed programs about an account that outlives its actor: named, detached, kept in a file, kept by a pool."""

import functools
import os
import re
import subprocess
import sys
import tempfile
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


@functools.cache
def ended(program):
    """Run a program with a folder for its temporary files; return how it ended and what it left there."""
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
        return done, list(Path(folder).iterdir())


@pytest.mark.parametrize("program", SHOWN)
def test_a_program_shows_what_the_text_shows(program):
    done, _ = ended(program)
    assert (done.returncode, done.stderr) == (0, "")
    own = RESTORED.sub("", done.stdout).rstrip("\n")
    assert re.fullmatch(r"\n".join(SHOWN[program]), own, re.DOTALL), own


@pytest.mark.parametrize("program", SHOWN)
def test_a_program_removes_its_files(program):
    assert ended(program)[1] == []


@pytest.mark.parametrize("program", SHOWN)
def test_a_program_leaves_no_process_behind_not_even_a_detached_actor(program, leaks):
    ended.__wrapped__(program)
    assert leaks() == []


def test_the_second_account_says_what_the_pool_restored():
    assert len(RESTORED.findall(ended("account_pool")[0].stdout)) == 1
