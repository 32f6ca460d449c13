import re
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.py"


@pytest.fixture(scope="module")
def demo():
    return subprocess.run([sys.executable, DEMO], capture_output=True, text=True, timeout=90, check=False)


def section(text, heading):
    return re.search(rf"^== {heading}.*\n((?:(?!==).*\n)*)", text, re.MULTILINE).group(1)


def test_the_demo_ends_well(demo):
    assert (demo.returncode, demo.stderr) == (0, "")


def test_what_actors_print_stands_under_their_heading(demo):
    assert len(re.findall(r"\(AsyncActor pid=\d+\) started", section(demo.stdout, "An async actor"))) == 5
    assert len(re.findall(r"\(AsyncActor pid=\d+\) ended", section(demo.stdout, "max_concurrency=2"))) == 4
    assert len(re.findall(r"\(ThreadedActor pid=\d+\) ", section(demo.stdout, "A threaded actor"))) == 2


def test_the_demo_ends_with_calls_per_second_next_to_the_floor(demo):
    heading, *rows = section(demo.stdout, "Calls per second").splitlines()[:7]
    assert heading.split()[:5] == ["actor", "pattern", "floor/s", "actorio/s", "ratio"]
    assert [row.split()[:2] for row in rows] == [
        [actor, pattern] for actor in ("single-threaded", "threaded(4)", "async") for pattern in ("blocking", "gather")
    ]
    assert all(float(row.split()[4]) > 0 for row in rows)
