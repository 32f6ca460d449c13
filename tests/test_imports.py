"""What an import loads: every actor carries what its process imports, so the list is short and held to."""

import json
import subprocess
import sys

import pytest

# A driver's rooms, and everything that only programs, tests, documents or benchmarks use.
NOT_IN_AN_ACTOR = [
    "actorio.bench",
    "actorio.cli",
    "actorio.contrib",
    "actorio.engines",
    "actorio._node",
    "actorio.mypy_plugin",
    "actorio.testing",
    "anyio",
    "click",
    "matplotlib",
    "mkdocs",
    "mypy",
    "pytest",
    "ray",
    "rich",
    "trio",
]


def modules_after(*imports: str) -> set[str]:
    """Return the names of the modules that a fresh interpreter holds after these imports."""
    program = f"import {', '.join(imports)}, json, sys; print(json.dumps(sorted(sys.modules)))"
    # -I: what a user's environment adds at start-up is not what the package loads.
    ended = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(ended.stdout))


@pytest.fixture(scope="module")
def modules_of_an_actor() -> set[str]:
    return modules_after("actorio._worker.process")


@pytest.mark.parametrize("name", NOT_IN_AN_ACTOR)
def test_an_actor_process_does_not_load(name, modules_of_an_actor):
    assert not {module for module in modules_of_an_actor if module == name or module.startswith(name + ".")}


def test_the_public_module_loads_no_engine_and_no_node():
    loaded = modules_after("actorio")
    assert not {name for name in loaded if name.startswith(("actorio.engines", "actorio._node"))}


def test_the_command_line_loads_what_measures_with_its_command_alone():
    loaded = modules_after("actorio.cli.main")
    assert not {name for name in loaded if name.startswith(("actorio.bench", "matplotlib", "numpy"))}


def test_the_template_has_imported_what_each_actor_runs(modules_of_an_actor):
    """Whatever is missing in the template, every actor imports for itself: megabytes and milliseconds each time."""
    assert {"uvloop", "cloudpickle", "msgspec", "asyncio", "actorio._caller.runtime"} <= modules_of_an_actor
