"""What type checkers know of the public API: each file of `cases` is read by checkers, and by nothing else.

`assert_type` says what is known, and a comment what is refused: ``# E: mypy[arg-type] pyright[reportCallIssue]`` names
a checker and the codes of its errors on that line. Any other error is one too many. ``mypy`` is mypy with the plugin,
``bare`` mypy without.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(__file__).parent / "cases"
LIMIT_SECONDS = 110

READ_BY = {
    "mypy": ["plain.py", "methods.py", "marked.py", "called.py"],
    "bare": ["called.py"],
    "pyright": ["plain.py", "marked.py", "unmarked.py", "called.py"],
}
EXPECTED = re.compile(r"# E: (.+)$")
OF_CHECKER = re.compile(r"(\w+)\[([\w,-]+)\]")

# The name of a case, and what is wrong there: "12: arg-type".
Errors = set[tuple[str, str]]


def run(*command: str) -> str:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"),
        "MYPYPATH": str(ROOT / "src"),
        # Neither a look for newer releases nor another node than the one that is installed with it.
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
        "PYRIGHT_PYTHON_GLOBAL_NODE": "0",
    }
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
    assert ended.returncode in {0, 1}, ended.stdout + ended.stderr
    assert not ended.stderr, ended.stderr
    return ended.stdout


def found_by_mypy(name: str, folder: Path) -> Errors:
    settings = folder / "mypy.ini"
    plugins = "plugins = actorio.mypy_plugin" if name == "mypy" else ""
    settings.write_text(f"[mypy]\nstrict = true\nfollow_imports = silent\n{plugins}\n")
    # Kept for the next run: nine tenths of the time are the package and the standard library.
    cache = ROOT / ".mypy_cache" / f"cases-{name}"
    shown = run("mypy", "--config-file", str(settings), "--cache-dir", str(cache), "--output", "json", *paths_for(name))
    errors: Errors = set()
    for line in shown.splitlines():
        each = json.loads(line)
        if each["severity"] == "error":
            errors.add((Path(each["file"]).name, f"{each['line']}: {each['code']}"))
    return errors


def found_by_pyright(folder: Path) -> Errors:
    for path in paths_for("pyright"):
        shutil.copy(path, folder)
    settings = {"include": ["*.py"], "extraPaths": [str(ROOT / "src")], "typeCheckingMode": "standard"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    shown = run("pyright", "--project", str(folder), "--pythonpath", sys.executable, "--outputjson")
    errors: Errors = set()
    for each in json.loads(shown)["generalDiagnostics"]:
        if each["severity"] == "error":
            line = each["range"]["start"]["line"] + 1
            errors.add((Path(each["file"]).name, f"{line}: {each.get('rule', 'syntax')}"))
    return errors


def paths_for(name: str) -> list[str]:
    return [str(CASES / case) for case in READ_BY[name]]


@pytest.fixture(scope="session")
def found(tmp_path_factory):
    """Return the errors that a checker finds in a case. Each checker runs once."""
    results: dict[str, Errors] = {}

    def find(checker: str, case: str) -> Errors:
        if checker not in results:
            folder = tmp_path_factory.mktemp(checker)
            results[checker] = found_by_pyright(folder) if checker == "pyright" else found_by_mypy(checker, folder)
        return {error for name, error in results[checker] if name == case}

    return find


def expected(checker: str, case: str) -> set[str]:
    errors = set()
    for number, line in enumerate((CASES / case).read_text().splitlines(), 1):
        comment = EXPECTED.search(line)
        codes = dict(OF_CHECKER.findall(comment[1])).get(checker, "") if comment else ""
        errors |= {f"{number}: {code}" for code in codes.split(",") if code}
    return errors


@pytest.mark.parametrize(("checker", "case"), [(checker, case) for checker, cases in READ_BY.items() for case in cases])
def test_a_checker_knows_what_the_case_says(checker, case, found):
    assert found(checker, case) == expected(checker, case)


def test_every_case_is_read():
    assert {case for cases in READ_BY.values() for case in cases} == {path.name for path in CASES.glob("*.py")}
