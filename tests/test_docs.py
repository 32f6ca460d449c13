"""The documentation says what is so: its programs run, print what stands below them, and its names are in the code.

A page's programs run one after the other, each in a process of its own. A block that imports actorio begins a program,
and the Python blocks after it go on with it, as a reader would. What stands in a ``text`` block right after one of them
is printed. A block after the comment ``<!-- fragment -->`` is not run.
"""

import ast
import builtins
import functools
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "actorio"
LONGEST_RUN_SECONDS = 60
# What may stand between a program and its output, in characters: "It prints:".
LONGEST_LEAD = 10


def page_names(*patterns: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern))


# -- programs ------------------------------------------------------------------------------------------------------

PAGES = page_names("README.md", "docs/index.md", "docs/tutorial/*.md", "docs/how-to/*.md")
BLOCK = re.compile(r"(<!-- fragment -->\n)?```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BEGINS = re.compile(r"^(import|from) actorio\b", re.MULTILINE)
# Process ids, ids of actors and references, addresses, places: different in each run.
VARIABLE = re.compile(r'\bpid[= ]\d+|\b[0-9a-f]{32,56}\b|0x[0-9a-f]+|File ".*", line \d+')


@dataclass
class Program:
    """One program of a page, and the output that the page shows for it."""

    text: str
    shown: str = ""


def programs_of(page: str) -> list[Program]:
    text = (ROOT / page).read_text()
    found: list[Program] = []
    end_of_program = None
    for block in BLOCK.finditer(text):
        fragment, language, content = block.groups()
        if language == "python" and not fragment:
            if BEGINS.search(content) or not found:
                found.append(Program(content))
            else:
                found[-1].text += f"\n\n{content}"
            end_of_program = block.end()
        elif language == "text" and end_of_program is not None:
            if len(text[end_of_program : block.start()].strip()) <= LONGEST_LEAD:
                found[-1].shown += content
            end_of_program = None
    return found


def is_shown(output: str, shown: str) -> bool:
    """Say whether a page shows an output, line by line and in any order.

    What actors print and what the driver prints have no order, and `print` writes the end of a line by itself: an
    actor's line may come before it.
    """
    output, shown = VARIABLE.sub("*", output), VARIABLE.sub("*", shown)
    lines = shown.splitlines()
    return len(output.replace("\n", "")) == len("".join(lines)) and all(
        output.count(line) >= lines.count(line) for line in lines
    )


@pytest.mark.parametrize("page", PAGES)
def test_the_programs_of_a_page_run_and_print_what_it_shows(page, tmp_path):
    for number, program in enumerate(programs_of(page)):
        path = tmp_path / f"program_{number}.py"
        path.write_text(program.text)
        ended = subprocess.run(
            [sys.executable, path],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=LONGEST_RUN_SECONDS,
            check=False,
        )
        assert ended.returncode == 0, f"program {number} of {page}\n{ended.stderr}"
        if program.shown:
            assert is_shown(ended.stdout, program.shown), f"program {number} of {page}\n{ended.stdout}"


def test_each_page_with_python_on_it_has_programs():
    assert [page for page in PAGES if "```python" in (ROOT / page).read_text() and not programs_of(page)] == []


# -- names ---------------------------------------------------------------------------------------------------------

EXPLANATIONS = page_names("docs/explanation/*.md")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"[\w./-]*\w/|[\w./-]+\.(?:py|md|toml)")
# `Lane.read`, `take_over`, `kill()`, `SIGKILL` and the like; a call with arguments is prose of another kind.
NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\(\))?")
# Names of the reader's own program and of the language, and the room that is still to come.
FOREIGN = {"account.withdraw", "handle.method", "await", "except", "_store/"}
DEPENDENCIES = {"anyio", "cloudpickle", "msgspec", "uvloop"}
# What names in the text stand for.
MEANT = {
    "loop": "asyncio.AbstractEventLoop",
    "recv": "socket.socket.recv",
    "recv_into": "socket.socket.recv_into",
    "NamedTuple": "typing.NamedTuple",
}


def names_on(page: str) -> list[str]:
    codes = CODE.findall(FENCE.sub("", (ROOT / page).read_text()))
    return sorted({code for code in codes if code not in FOREIGN and (PATH.fullmatch(code) or NAME.fullmatch(code))})


class Names(ast.NodeVisitor):
    """Every name that a module defines: alone, and behind the class that it is in."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.bases: dict[str, list[str]] = {}
        self._class = ""

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._note(node.name)
        self.bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]
        outer, self._class = self._class, node.name
        self.generic_visit(node)
        self._class = outer

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._note(node.name)
        for argument in [*node.args.args, *node.args.kwonlyargs]:
            self.found.add(argument.arg)
        self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self._note(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self":
            self._note(node.attr)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        # Options are given by name, and names of the environment read by it.
        if isinstance(node.value, str) and node.value.isidentifier():
            self.found.add(node.value)

    def _note(self, name: str) -> None:
        self.found.add(name)
        if self._class:
            self.found.add(f"{self._class}.{name}")


@functools.cache
def names_in_the_code() -> tuple[set[str], dict[str, list[str]]]:
    names, bases = set(), {}
    for path in PACKAGE.rglob("*.py"):
        visitor = Names()
        visitor.visit(ast.parse(path.read_text()))
        names |= visitor.found | {f"{path.stem}.{name}" for name in visitor.found} | {path.stem, path.parent.name}
        bases |= visitor.bases
    return names, bases


def lineage(name: str) -> Iterator[str]:
    """Yield a class and those that it inherits from."""
    yield name
    for base in names_in_the_code()[1].get(name, []):
        yield from lineage(base)


def is_in_the_package(name: str) -> bool:
    owner, _, attribute = name.rpartition(".")
    names, _ = names_in_the_code()
    return any((f"{one}.{attribute}" if one else attribute) in names for one in lineage(owner))


def is_of_python(name: str) -> bool:
    head, *rest = name.split(".")
    if not rest and hasattr(builtins, head):
        return True
    head, *rest = [*MEANT.get(head, head).split("."), *rest]
    if head not in {"actorio", *sys.stdlib_module_names, *DEPENDENCIES}:
        return False
    try:
        functools.reduce(getattr, rest, importlib.import_module(head))
    except AttributeError:
        return False
    return True


def is_there(code: str) -> bool:
    if PATH.fullmatch(code):
        return any((place / code).exists() for place in (ROOT, PACKAGE, ROOT / "src", PACKAGE / "_wire"))
    name = code.removesuffix("()")
    return is_in_the_package(name) or is_of_python(name)


@pytest.mark.parametrize("page", EXPLANATIONS)
def test_the_names_on_a_page_are_in_the_code(page):
    assert [name for name in names_on(page) if not is_there(name)] == []


@pytest.mark.parametrize(
    "name", ["Lane.reed", "NoSuchClass", "_caller/nothing.py", "os.no_such_call", "Lane.nothing()"]
)
def test_a_name_that_is_not_in_the_code_is_found_out(name):
    assert not is_there(name)


@pytest.mark.parametrize("name", ["LoopLane.read", "engines/local.py", "_wire/", "gc.freeze", "process.run", "kill()"])
def test_a_name_that_is_in_the_code_is_found(name):
    assert is_there(name)
