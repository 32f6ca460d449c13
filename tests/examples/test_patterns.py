"""The patterns of `examples/patterns/` run, and print what they promise."""

import subprocess
import sys
from pathlib import Path

import pytest

PATTERNS = Path(__file__).resolve().parents[2] / "examples" / "patterns"
OUTPUTS = {
    "fibonacci": ["fibonacci(12) = 144"],
    "tree_reduction": ["the sum of the first 1000 squares is 332833500"],
    "parameter_server": ["y = 3.00 x -1.00"],
    "map_reduce": [
        *["     4 the", "     3 cat", "     2 a", "     2 dog", "     2 on", "     2 sat", "     1 and", "     1 mat"]
    ],
}


def run(name, *arguments):
    ended = subprocess.run(
        [sys.executable, PATTERNS / f"{name}.py", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


@pytest.mark.parametrize(("name", "output"), OUTPUTS.items(), ids=OUTPUTS)
def test_a_pattern_prints_what_it_should(name, output):
    assert run(name) == output


def test_every_pattern_has_its_output_here():
    assert {path.stem for path in PATTERNS.glob("*.py")} == set(OUTPUTS)


def test_patterns_take_what_they_work_on(tmp_path):
    (tmp_path / "text").write_text("one two two", encoding="utf-8")
    assert run("map_reduce", tmp_path / "text") == ["     2 two", "     1 one"]
    assert run("fibonacci", "5") == ["fibonacci(5) = 5"]
    assert run("tree_reduction", "7") == ["the sum of the first 7 squares is 91"]
