"""Notebooks are executed by a program of their own: neither its kernels nor its sockets stay in this process."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SEEDS = EXAMPLES / "seeds"

EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient

given, executed = sys.argv[1:]
notebook = nbformat.read(given, as_version=4)
client = NotebookClient(notebook, timeout=30, kernel_name="python3", allow_errors=True, interrupt_on_timeout=True)
client.execute()
nbformat.write(notebook, executed)
"""

# What each program has to show, in any place of its cell's output.
SHOWN_BY_SEEDS = {
    "account": [r"ObjectRef\([0-9a-f]{56}\)", r"^300\.0$", r"Actor\(Account, [0-9a-f]{32}\)", r"^100\.0$"],
    "account_errors": [
        r"Exception: Can not withdraw negative amount occurred\.",
        r"^New balance 90\.0$",
        r"Exception: Starting balance is less then minimal balance",
        r"^Killed: ActorDiedError$",
    ],
    "account_named": [r"^New balance 90\.0$", r"^Actor\(Account, [0-9a-f]{32}\)$", r"^Not found: ValueError$"],
    "account_persistence": [r"^New balance 130\.0$", r"^Actor\(Account, [0-9a-f]{32}\)$", r"^Current balance 130\.0$"],
    "account_persistence_class": [r"^New balance 130\.0$", r"^Current balance 130\.0$"],
    # The program does not wait for the last state to be saved before it kills the account.
    "account_pool": [
        r"^New balance 130\.0$",
        r"^Current balance (130|60)\.0",
        r"Restoring state \{'balance': (130|60)\.0",
    ],
    "async_computation": [r"^3 5 2", r"\(AsyncActor pid=\d+\) Actor slept for 5 sec$"],
    "async_task": [r"^async def task: None$", r"^wrapped in a task: None$"],
    "concurrent_run": [r"(^\(AsyncActor pid=\d+\) started\n){4}", r"(^\(AsyncActor pid=\d+\) finished\n){4}"],
    "defining_async_actor": [r"(^\(AsyncActor pid=\d+\) started\n){5}(^\(AsyncActor pid=\d+\) ended\n){5}"],
    "long_polling": [r"other_task is still waiting for run to end", r"^LongPollingActorAsync\.other_task: True$"],
    "max_concurrency_pairs": [r"\A(\(AsyncActor pid=\d+\) started\n){2}\(AsyncActor pid=\d+\) ended\n"],
    "refs_as_asyncio_futures": [r"^1\n1 ready, 0 not\n1\n1 done, 0 pending\n1$"],
    "refs_as_concurrent_futures": [r"(^1\n){4}"],
    "task_executors": [
        r"^get_num_executed_tasks didn't finish in 0\.5 seconds$",
        r"^num of executed tasks so far: \d+$",
    ],
    "threaded_actor": [r"I'm running in a thread!$", r"I'm running in another thread!$"],
    "threaded_computation": [r"^3 5 2", r"\(ThreadedActor pid=\d+\) Actor slept for 5 sec$"],
}


class Outputs:
    """What stands below the cells of an executed notebook, by the cell's id."""

    def __init__(self, notebook):
        self._outputs = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}

    def errors(self):
        """Name the exceptions that ended a cell."""
        return [f"{name}: {each.evalue}" for name, outputs in self._outputs.items() for each in only(outputs, "error")]

    def printed(self, name):
        return "".join(each.text for each in only(self._outputs[name], "stream") if each.name == "stdout")

    def shown(self, name):
        return "".join(each.data["text/plain"] for each in only(self._outputs[name], "execute_result"))

    def error(self, name):
        return next((f"{each.ename}: {each.evalue}" for each in only(self._outputs[name], "error")), None)


def only(outputs, kind):
    return [each for each in outputs if each.output_type == kind]


def execute(notebook, folder):
    executed = folder / "executed.ipynb"
    # Kernels leave files where these point to.
    homes = {name: str(folder) for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    subprocess.run([sys.executable, "-c", EXECUTE, notebook, executed], env=os.environ | homes, timeout=110, check=True)
    return Outputs(nbformat.read(executed, as_version=4))


@pytest.fixture(scope="module")
def outputs(runtime_directory, tmp_path_factory):
    return execute(EXAMPLES / "notebook.ipynb", tmp_path_factory.mktemp("notebook"))


def test_no_cell_of_the_notebook_fails(outputs):
    assert outputs.errors() == []


def test_a_class_of_a_cell_becomes_an_actor(outputs):
    assert re.fullmatch(r"Actor\(Counter, [0-9a-f]{32}\)", outputs.shown("define"))


def test_a_blocking_get_returns_inside_the_running_loop(outputs):
    assert outputs.shown("blocking-get") == "[41, 42]"


def test_a_cell_awaits_references_alone_and_gathered(outputs):
    assert outputs.shown("await") == "[43, 44, 45, 46]"


def test_an_exception_of_an_actor_is_caught_in_a_cell_and_the_actor_goes_on(outputs):
    assert outputs.printed("caught") == "caught: cannot add -1\n"
    assert outputs.shown("caught") == "46"


def test_what_an_async_actor_prints_stands_below_the_cell_that_called_it(outputs):
    lines = outputs.printed("async-actor").splitlines()
    texts = [re.fullmatch(r"\(AsyncActor pid=\d+\) (.*)", line).group(1) for line in lines]
    assert texts[:2] == ["a started", "b started"]
    assert sorted(texts[2:]) == ["a ended", "b ended"]
    assert outputs.shown("async-actor") == "['a', 'b']"


def as_cell(program):
    source = (SEEDS / f"{program}.py").read_text(encoding="utf-8")
    # A notebook runs a loop already: where a script calls asyncio.run, a cell awaits.
    source = re.sub(r"^asyncio\.run\((.*)\)$", r"await \1", source, flags=re.MULTILINE)
    return nbformat.v4.new_code_cell(f"{source}\nray.shutdown()\n", id=program)


@pytest.fixture(scope="module")
def seed_outputs(runtime_directory, tmp_path_factory):
    """All seed programs in one kernel, one session after the other."""
    folder = tmp_path_factory.mktemp("seeds")
    notebook = nbformat.v4.new_notebook(cells=[as_cell(program) for program in SHOWN_BY_SEEDS])
    nbformat.write(notebook, folder / "seeds.ipynb")
    return execute(folder / "seeds.ipynb", folder)


def test_every_seed_program_is_tried_in_a_notebook():
    assert sorted(SHOWN_BY_SEEDS) == sorted(path.stem for path in SEEDS.glob("*.py"))


@pytest.mark.parametrize("program", SHOWN_BY_SEEDS)
def test_a_seed_program_runs_as_a_cell(seed_outputs, program):
    assert seed_outputs.error(program) is None
    printed = seed_outputs.printed(program)
    assert [pattern for pattern in SHOWN_BY_SEEDS[program] if not re.search(pattern, printed, re.MULTILINE)] == []
