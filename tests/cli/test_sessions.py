"""Sessions from the command line: start, stop, status."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests import programs

import actorio as ray
from actorio.cli.main import actorio

COMMANDS = [
    ["stop"],
    ["status"],
    ["list"],
    ["list", "--json"],
    ["logs", "any"],
    ["kill", "any"],
    ["stack", "any"],
    ["top"],
]


@ray.remote
class Counter:
    def __init__(self):
        self.count = 0

    def add(self):
        self.count += 1
        return self.count


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_without_a_session_a_command_says_so_and_fails(arguments):
    result = CliRunner().invoke(actorio, arguments)
    assert result.exit_code == 1
    assert "no session is running" in result.stderr


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_an_unknown_address_is_named_and_so_are_the_running_sessions(arguments, fresh_session):
    result = CliRunner().invoke(actorio, [*arguments, "--address", "elsewhere"])
    assert result.exit_code == 1
    running = Path(fresh_session.address_info["address"]).name
    assert "'elsewhere'" in result.stderr
    assert running in result.stderr


def test_an_address_comes_from_the_environment_too(fresh_session):
    address = fresh_session.address_info["address"]
    result = CliRunner().invoke(actorio, ["status", "--json"], env={"ACTORIO_ADDRESS": address})
    assert json.loads(result.stdout)["address"] == address


def test_two_programs_share_a_detached_actor_and_the_command_line_stops_it(kept_session, run_command):
    environment = os.environ | {"ACTORIO_ADDRESS": kept_session["session"]}
    first = """
    actorio.init(namespace="shop")

    @actorio.remote
    class Counter:
        def __init__(self):
            self.count = 0

        def add(self):
            self.count += 1
            return self.count

    counter = Counter.options(name="visits", lifetime="detached").remote()
    print(actorio.get(counter.add.remote()))
    """
    second = """
    actorio.init(namespace="shop")
    print(actorio.get(actorio.get_actor("visits").add.remote()))
    """
    assert programs.output_of(first, env=environment) == ["1"]
    assert programs.output_of(second, env=environment) == ["2"]
    code, output, errors = run_command("kill", "visits")
    assert (code, errors) == (0, "")
    assert "shop/visits" in output
    assert "has ended" in output
    assert run_command("list", "--json") == (0, "[]\n", "")


def test_a_started_session_says_how_to_join_it_and_stays_until_it_is_stopped(run_command):
    code, output, errors = run_command("start")
    assert (code, errors) == (0, "")
    name = output.split()[2]
    assert f'actorio.init(address="{name}")' in output
    code, output, _ = run_command("status")
    assert code == 0
    assert name in output
    code, output, errors = run_command("stop")
    assert (code, errors) == (0, "")
    assert output == f"stopped session {name}, and 0 actors with it\n"


def test_start_names_a_module_that_cannot_be_preloaded_and_leaves_nothing(run_command):
    code, output, errors = run_command("start", "--preload", "no_such_module")
    assert (code, output) == (1, "")
    assert "no_such_module" in errors


def test_start_preloads_modules_of_the_current_folder(run_command, tmp_path):
    (tmp_path / "module_of_a_user.py").touch()
    code, _, errors = run_command("start", "--preload", "module_of_a_user", cwd=tmp_path)
    assert (code, errors) == (0, "")
    assert run_command("stop")[0] == 0


def test_stop_with_all_is_well_without_any_session(run_command):
    assert run_command("stop", "--all") == (0, "no session is running\n", "")


def test_stop_with_all_ends_every_session(run_command):
    names = {json.loads(run_command("start", "--json")[1])["session"] for _ in range(2)}
    code, output, _ = run_command("stop", "--all", "--json")
    assert code == 0
    assert {each["session"] for each in json.loads(output)["stopped"]} == names


def test_stop_kills_a_session_whose_node_does_not_answer(run_command):
    started = json.loads(run_command("start", "--json")[1])
    output = programs.output_of(
        """
    class Plain:
        def pid(self):
            return os.getpid()
    print(actorio.get(actorio.remote(Plain).options(lifetime="detached").remote().pid.remote()))
    """,
        env={**os.environ, "ACTORIO_ADDRESS": started["address"]},
    )
    os.kill(started["node_pid"], signal.SIGSTOP)
    assert run_command("stop") == (0, f"killed session {started['session']}, which did not answer\n", "")
    assert programs.wait_until(lambda: programs.is_gone(int(output[0])))
    assert not Path(started["address"]).exists()


def test_status_counts_drivers_and_actors(command, fresh_session):
    actors = [Counter.options(name="named", lifetime="detached").remote(), Counter.options(num_cpus=0.5).remote()]
    ray.get([actor.add.remote() for actor in actors])
    found = command.json("status")
    cpus = found["resources"]["CPU"]
    assert found["available"]["CPU"] == cpus - 0.5
    assert found["node_pid"] == fresh_session.address_info["node_pid"]
    assert [driver["pid"] for driver in found["drivers"]] == [os.getpid()]
    assert (found["actors"], found["states"], found["detached"], found["named"]) == (2, {"alive": 2}, 1, 1)
    text = command("status")
    assert f"driver    pid {os.getpid()}" in text
    assert "actors    2 (2 alive)" in text
    assert "workers   0, for tasks" in text
    assert f"CPU       {cpus - 0.5:g} of {cpus:g} free" in text
    command("kill", "named")


def test_a_killed_node_is_replaced_by_whoever_looks_and_no_actor_is_missed(kept_session, run_command):
    program = """
    class Counter:
        def add(self):
            return 1

    actorio.init()
    counters = [actorio.remote(Counter).options(name=f"c{n}", lifetime="detached").remote() for n in range(3)]
    print(sum(actorio.get([counter.add.remote() for counter in counters])))
    """
    assert programs.output_of(program, env=os.environ | {"ACTORIO_ADDRESS": kept_session["session"]}) == ["3"]
    os.kill(kept_session["node_pid"], signal.SIGKILL)
    # The new node outlives the command, whose streams end with it all the same.
    code, output, errors = run_command("list", "--json")
    assert (code, errors) == (0, "")
    assert sorted(actor["name"] for actor in json.loads(output)) == ["c0", "c1", "c2"]


def test_looking_at_a_session_does_not_keep_it():
    program = programs.start("""
    with actorio.init(address="local") as context:
        print(context.address_info["address"], flush=True)
        input()
    """)
    address = program.stdout.readline().strip()
    arguments = ["top", "--json", "--count", "1000", "--interval", "0.1", "--address", address]
    with subprocess.Popen(
        [sys.executable, "-m", "actorio.cli", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tool:
        assert json.loads(tool.stdout.readline())["actors"] == []
        assert programs.finish(program)[0] == 1
        _, errors = tool.communicate(timeout=programs.LONGEST_RUN_SECONDS)
    assert tool.returncode == 1
    assert errors.startswith("Error: the session of this process has ended")


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_its_packages_the_command_says_what_to_install(missing):
    program = f"import sys; sys.modules[{missing!r}] = None; from actorio.cli import main; main()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"the command line needs {missing}, which is not installed: pip install 'actorio-node[cli]'\n"
    )


def test_help_lists_every_command(run_command):
    code, output, _ = run_command("--help")
    assert code == 0
    for name in ("start", "stop", "status", "list", "logs", "kill", "stack", "top"):
        assert f"\n  {name} " in output
