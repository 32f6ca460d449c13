"""What actors have printed, from the command line."""

import json
import subprocess
import sys

import pytest
from tests import programs

import actorio as ray
from actorio.cli import logs


@ray.remote
class Speaker:
    def say(self, *lines):
        for line in lines:
            print(line)


@pytest.fixture
def speaker(command_apart):
    actor = Speaker.options(name="speaker").remote()
    ray.get(actor.say.remote(*(f"line {number}" for number in range(5))))
    assert programs.wait_until(lambda: len(command_apart.json("logs", "speaker")["lines"]) == 5)
    return actor


def test_logs_show_the_last_lines(command_apart, speaker):
    assert command_apart("logs", "speaker", "-n", 2) == "line 3\nline 4\n"
    assert command_apart("logs", "speaker").splitlines() == [f"line {number}" for number in range(5)]
    assert command_apart("logs", "speaker", "-n", 0) == ""


def test_logs_of_a_dead_actor_are_found_by_its_id_and_by_its_last_name(command_apart, speaker):
    (found,) = command_apart.json("list")
    command_apart("kill", "speaker")
    assert command_apart("logs", found["actor_id"], "-n", 1) == "line 4\n"
    assert command_apart("logs", found["actor_id"][:10], "-n", 1) == "line 4\n"
    assert command_apart("logs", "speaker", "-n", 1) == "line 4\n"
    assert "there is no actor 'nobody'" in command_apart("logs", "nobody", code=1)


def test_logs_of_an_actor_that_printed_nothing_are_empty(command_apart):
    silent = Speaker.options(name="silent").remote()
    ray.get(silent.say.remote())
    assert command_apart("logs", "silent") == ""
    assert command_apart.json("logs", "silent")["lines"] == []


@pytest.mark.parametrize("is_json", [False, True])
def test_logs_follow_an_actor_to_its_end(command_apart, speaker, is_json):
    options = ["-n", "1", "--address", command_apart.address, *(["--json"] if is_json else [])]
    with subprocess.Popen(
        [sys.executable, "-m", "actorio.cli", "logs", "-f", "speaker", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as follower:
        seen = [follower.stdout.readline()]
        ray.get(speaker.say.remote("news"))
        seen.append(follower.stdout.readline())
        command_apart("kill", "speaker")
        rest, errors = follower.communicate(timeout=programs.LONGEST_RUN_SECONDS)
    texts = [json.loads(line)["line"] if is_json else line.strip() for line in seen]
    assert (texts, rest, follower.returncode) == (["line 4", "news"], "", 0)
    assert ("the actor has ended: it was asked to end" in errors) is not is_json


def test_a_file_is_read_line_by_line_and_found_again_when_it_was_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "_MARK", len(b"three\n"))
    path = tmp_path / "log"
    file = logs.LogFile(path)
    assert file.read() == []
    path.write_bytes(b"one\ntw")
    assert file.read() == ["one"]
    with path.open("ab") as log:
        log.write(b"o\nthree\n")
    assert file.read() == ["two", "three"]
    path.write_bytes(b"three\nfour\n")
    assert file.read() == ["four"]
    path.write_bytes(b"x\n")
    assert file.read() == ["x"]
