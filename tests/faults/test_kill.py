"""SIGKILL to every kind of process at random moments under load: nothing is left, and every reference has ended.

The load is `load.py`. ACTORIO_KILL_SEED repeats the moments of a run; a failure prints its seed.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

LOAD = Path(__file__).with_name("load.py")
SEED = os.environ.get("ACTORIO_KILL_SEED") or str(random.randrange(10**6))
MOMENTS = 20
# A new node or zygote takes a moment each time.
MOMENTS_OF_REPLACEMENT = 8
LONGEST_RUN_SECONDS = 100

DIED = "actorio.exceptions.ActorDiedError"
ACTOR = r"(Async|Threaded|Plain) \((pid \d+, )?actor id [0-9a-f]{32}\)"

# What `shutdown` promises, in seconds, and what a busy machine may add.
SHUTDOWN_SECONDS = 2.0 + 0.5


def run(victim, first, count):
    """Run the load; return the exit code and what it says about each moment."""
    done = subprocess.run(
        [sys.executable, LOAD, victim, SEED, str(first), str(count)],
        capture_output=True,
        text=True,
        timeout=LONGEST_RUN_SECONDS,
        check=False,
    )
    assert not done.stderr, f"{victim} at seed {SEED}: {done.stderr}"
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def check(victim, is_expected, *, moments=MOMENTS, is_noticed=True):
    code, reports = run(victim, 0, moments)
    assert code == 0, f"{victim} at seed {SEED}"
    *reports, end = reports
    assert len(reports) == moments, f"{victim} at seed {SEED}"
    for report in reports:
        what = f"{report['seed']}: {report}"
        assert (report["stuck_threads"], report["late"]) == (0, []), f"a reference never ended; {what}"
        assert (report["left"], report["replaced"]) == ([], []), what
        assert report["values"] > 0, what
        for kind, text, _ in report["errors"]:
            assert is_expected(report, kind, text), f"{kind}: {text}\nat {report['seed']}"
    # At one moment or another there may have been no call under way.
    assert is_noticed <= any(report["errors"] for report in reports), f"nobody noticed at seed {SEED}"
    assert end["left"] == []
    assert end["shutdown_seconds"] < SHUTDOWN_SECONDS


@pytest.mark.parametrize("victim", ["async", "threaded", "plain"])
def test_a_killed_actor_fails_its_own_calls_and_no_others(victim):
    def is_expected(report, kind, text):
        start = rf"{victim.capitalize()} \(pid {report['pid']}, actor id [0-9a-f]{{32}}\) is dead: "
        return kind == DIED and re.match(start + "its process was ended by SIGKILL", text)

    check(victim, is_expected)


def test_a_killed_node_is_replaced_and_fails_no_call():
    check("node", lambda *_: False, moments=MOMENTS_OF_REPLACEMENT, is_noticed=False)


def test_a_killed_zygote_ends_every_actor_and_is_replaced():
    def is_expected(report, kind, text):
        cause = rf"{ACTOR} is dead: .*the process that starts actors was lost \(pid {report['pid']}\)"
        return kind == DIED and re.match(cause, text)

    check("zygote", is_expected, moments=MOMENTS_OF_REPLACEMENT)


def test_a_killed_driver_takes_its_session_with_it(leaks):
    for number in range(MOMENTS):
        code, reports = run("driver", number, 1)
        moment = f"{SEED}:driver:{number}"
        assert (code, reports) == (-signal.SIGKILL, []), moment
        assert leaks() == [], moment
