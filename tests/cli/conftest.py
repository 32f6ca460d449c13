"""The command, run in this process, or in one of its own where it starts others or wants a terminal."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from actorio.cli.main import actorio

ROOT = Path(__file__).resolve().parent.parent.parent
LONGEST_RUN_SECONDS = 60


def run_here(*arguments):
    result = CliRunner().invoke(actorio, arguments, catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


class Command:
    """Runs the command on one session."""

    def __init__(self, address, run=run_here):
        self.address = address
        self._run = run

    def __call__(self, *arguments, code=0):
        """Run it; return what it has printed, or, where it has failed, what it has said about it."""
        ended, output, errors = self._run(*map(str, arguments), "--address", self.address)
        assert ended == code, output + errors
        return errors if code else output

    def json(self, *arguments):
        """Run it; return the JSON that it prints."""
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def command(fresh_session):
    """The command, on a session of this test's own, whose driver is this process."""
    return Command(fresh_session.address_info["address"])


@pytest.fixture
def command_apart(fresh_session, run_command):
    """The same in a process of its own: what actors print does not come between."""
    return Command(fresh_session.address_info["address"], run_command)


@pytest.fixture
def run_command():
    """Run the command in a process of its own; return its exit code, output and errors."""

    def run(*arguments, **options):
        ended = subprocess.run(
            [sys.executable, "-m", "actorio.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=LONGEST_RUN_SECONDS,
            check=False,
            **{"cwd": ROOT} | options,
        )
        return ended.returncode, ended.stdout, ended.stderr

    return run


@pytest.fixture
def kept_session(run_command):
    """A session that `actorio start` has started; the value is what it says of it."""
    code, output, errors = run_command("start", "--json")
    assert (code, errors) == (0, "")
    started = json.loads(output)
    yield started
    run_command("stop", "--all")
