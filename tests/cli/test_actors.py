"""Single actors from the command line: which one is meant, list, kill."""

import os
from pathlib import Path

import click
import pytest

import actorio as ray
from actorio._model.status import ActorStatus
from actorio.cli.actors import find_actor
from actorio.exceptions import ActorDiedError


def an_actor(number, name="", namespace="shop", pid=None, class_name="Account"):
    return ActorStatus(
        actor_id=f"{number:02x}" * 16,
        class_name=class_name,
        name=name,
        namespace=namespace,
        state="alive",
        pid=1000 + number if pid is None else pid,
        restarts=0,
        max_restarts=0,
        is_detached=False,
        owner_pid=1,
        created=0.0,
        address="",
        log="",
    )


ACTORS = [an_actor(0xA1, "savings"), an_actor(0xA2, "giro"), an_actor(0xB1), an_actor(0xB2, "giro", "bank")]


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("savings", 0),
        ("shop/giro", 1),
        ("bank/giro", 3),
        ("1177", 2),
        ("b1", 2),
        ("B1B1", 2),
        ("a1" * 16, 0),
    ],
)
def test_an_actor_is_found_by_name_process_id_or_the_beginning_of_its_id(text, index):
    assert find_actor(ACTORS, text) is ACTORS[index]


@pytest.mark.parametrize("text", ["giro"])
def test_several_that_may_be_meant_are_shown(text):
    with pytest.raises(click.ClickException, match=r"(?s)shop/giro \(pid 1162\).*bank/giro \(pid 1178\)"):
        find_actor(ACTORS, text)


@pytest.mark.parametrize(
    ("actors", "text", "answer"),
    [
        (ACTORS, "saving", "near is: savings"),
        (ACTORS, "nothing like it", "known names are: giro, savings"),
        (ACTORS[2:3], "account", "of this class are: b1b1b1b1b1b1 Account"),
        (ACTORS[2:3], "savings", "no actor has a name"),
        ([], "savings", "the session has no actors"),
        (ACTORS, "b", "known names are"),
        (ACTORS, "1", "known names are"),
    ],
)
def test_for_an_unknown_actor_near_ones_are_shown(actors, text, answer):
    with pytest.raises(click.ClickException, match=answer):
        find_actor(actors, text)


@ray.remote
class Account:
    def __init__(self, farewell=None):
        self.farewell = farewell

    def pid(self):
        return os.getpid()

    def __ray_shutdown__(self):
        if self.farewell is not None:
            Path(self.farewell).write_text("ended gracefully")


def test_list_shows_each_actor_with_what_there_is_to_know(command):
    account = Account.options(name="savings", namespace="shop", max_restarts=3).remote()
    pid = ray.get(account.pid.remote())
    (found,) = command.json("list")
    assert (found["pid"], found["name"], found["namespace"], found["state"]) == (pid, "savings", "shop", "alive")
    assert (found["restarts"], found["max_restarts"], found["is_detached"]) == (0, 3, False)
    assert found["owner_pid"] == os.getpid()
    assert found["age"] >= 0
    heading, line = command("list").splitlines()
    for word in (found["actor_id"][:12], "Account", "savings", "shop", "alive", str(pid), "0/3"):
        assert word in line.split()
    assert heading.split()[0] == "ID"


def test_list_with_all_shows_the_dead_and_why_they_are(command):
    account = Account.options(name="savings").remote()
    pid = ray.get(account.pid.remote())
    command("kill", "savings", "--force")
    assert command.json("list") == []
    (found,) = command.json("list", "--all")
    assert (found["state"], found["name"], found["pid"]) == ("dead", "savings", pid)
    assert found["end"].startswith("it was killed by the command line")
    assert found["end"] in command("list", "--all")


def test_list_says_that_there_are_no_actors(command):
    assert "has no actors" in command("list")
    assert command.json("list") == []


def test_kill_ends_an_actor_gracefully(command, tmp_path):
    path = tmp_path / "farewell"
    account = Account.options(name="savings").remote(str(path))
    pid = ray.get(account.pid.remote())
    text = command("kill", "savings")
    assert f"(pid {pid}) has ended: it was asked to end (the command line" in text
    assert path.read_text() == "ended gracefully"
    with pytest.raises(ActorDiedError):
        ray.get(account.pid.remote())


def test_kill_with_force_runs_nothing_of_the_actor_any_more(command, tmp_path):
    path = tmp_path / "farewell"
    account = Account.remote(str(path))
    pid = ray.get(account.pid.remote())
    found = command.json("kill", pid, "--force")
    assert (found["pid"], found["state"]) == (pid, "died")
    assert "killed by the command line" in found["detail"]
    assert not path.exists()


def test_kill_with_force_may_leave_a_restart_to_the_actor(command):
    account = Account.options(name="savings", max_restarts=1, max_task_retries=1).remote()
    pid = ray.get(account.pid.remote())
    assert "is being restarted" in command("kill", "savings", "--force", "--restart")
    assert ray.get(account.pid.remote()) != pid


def test_restart_without_force_is_refused(command):
    assert "--restart goes with --force" in command("kill", "any", "--restart", code=2)


def test_kill_of_an_unknown_actor_shows_near_names(command):
    account = Account.options(name="savings").remote()
    ray.get(account.pid.remote())
    assert "near is: savings" in command("kill", "savinsg", code=1)
