"""A short chaos run with a fixed seed; `make chaos` runs a long one. And its checker, which must not be blind."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults import chaos_check

CHAOS = Path(__file__).with_name("chaos.py")
SEED, SECONDS = 68, 6
LONGEST_RUN_SECONDS = 110


def test_a_short_chaos_run_accounts_for_every_call_and_leaves_nothing():
    done = subprocess.run(
        [sys.executable, CHAOS, "--seed", str(SEED), "--seconds", str(SECONDS)],
        capture_output=True,
        text=True,
        timeout=LONGEST_RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 wrong" in done.stdout


def complaints(calls, ran, survivors=("calls-d",)):
    story = chaos_check.Story()
    story.read_calls("calls-d", calls)
    story.read_actor(["began Sync", *(f"ran {number}" for number in ran)])
    return chaos_check.check(story, set(survivors))


@pytest.mark.parametrize(
    ("end", "retries", "what", "ran"),
    [
        ("value", 0, "add", 1),
        ("failed", 0, "fail", 1),
        ("value", 2, "add", 3),
        ("value", -1, "add", 9),
        ("ActorDiedError not-run x", 0, "add", 0),
        ("ActorDiedError may-have-run x", 0, "add", 0),
        ("ActorUnavailableError may-have-run x", 0, "add", 1),
    ],
)
def test_the_checker_takes_what_was_promised(end, retries, what, ran):
    assert complaints([f"made d:t:1 a {retries} {what}", f"end d:t:1 {end}"], ["d:t:1"] * ran) == []


@pytest.mark.parametrize(
    ("end", "retries", "what", "ran"),
    [
        ("value", 0, "add", 0),
        ("value", 0, "add", 2),
        ("value", 0, "fail", 1),
        ("failed", 0, "add", 1),
        ("value", 1, "add", 3),
        ("ActorDiedError not-run x", 0, "add", 1),
        ("late x", 0, "add", 1),
        ("unexpected x", 0, "add", 0),
    ],
)
def test_the_checker_sees_what_was_broken(end, retries, what, ran):
    assert len(complaints([f"made d:t:1 a {retries} {what}", f"end d:t:1 {end}"], ["d:t:1"] * ran)) == 1


def test_the_checker_misses_ends_that_are_owed_and_those_alone():
    made = ["made d:t:1 a 0 add"]
    assert len(complaints(made, [])) == 1
    assert complaints(made, [], survivors=()) == []


def test_the_checker_sees_calls_out_of_order_and_calls_that_nobody_made():
    made = [line for n in (1, 2) for line in (f"made d:t:{n} a 0 add", f"end d:t:{n} value")]
    assert complaints(made, ["d:t:1", "d:t:2"]) == []
    assert len(complaints(made, ["d:t:2", "d:t:1"])) == 1
    assert len(complaints(made, ["d:t:1", "d:t:2", "d:t:3"])) == 1
