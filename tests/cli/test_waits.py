"""Who waits for whom, as `actorio status` shows it, with real actors."""

import asyncio
import os
import threading
from pathlib import Path

import pytest
from tests import programs

import actorio as ray
from actorio._model.handle import identity_of


@ray.remote
class Gate:
    """Opens when it is told to, or when so many have come."""

    def __init__(self, expected=0):
        self.expected = expected
        self.opened = asyncio.Event()

    async def come(self):
        self.expected -= 1
        if not self.expected:
            self.opened.set()
        await self.opened.wait()

    async def open(self):
        self.opened.set()


@ray.remote
class Bank:
    def audit(self, gate):
        ray.get(gate.come.remote())

    def audit_with_an_end(self, gate):
        ray.get(gate.come.remote(), timeout=60)

    def check(self):
        return os.getpid()


@ray.remote
class Account:
    def __init__(self, bank):
        self.bank = bank

    def transfer(self):
        return ray.get(self.bank.check.remote())


@ray.remote
class AsyncAccount:
    def __init__(self, bank):
        self.bank = bank

    async def transfer(self):
        return await self.bank.check.remote()


@ray.remote
class Loner:
    def __init__(self):
        self.refs = []
        self.has_come = threading.Event()

    def wait_for_what_comes(self):
        self.has_come.wait()
        return ray.get(self.refs)

    def give(self, refs):
        self.refs = refs
        self.has_come.set()


@ray.remote(max_concurrency=2)
class Side:
    def meet(self, gate, other):
        ray.get(gate.come.remote())
        return ray.get(other.echo.remote())

    def echo(self):
        return 1


@ray.remote
class Held:
    async def begin(self):
        return os.getpid()

    async def hold(self, path):
        with Path(path).open("rb") as file:  # noqa: ASYNC230  # it holds the loop on purpose
            file.read()


def id_of(handle):
    return identity_of(handle).actor_id


def waiting(command):
    return command.json("status")["waiting"]


def until(command, condition):
    """Wait until `status` shows something; return what it shows."""
    seen = []

    def is_so():
        seen[:] = [waiting(command)]
        return condition(seen[0])

    assert programs.wait_until(is_so), seen
    return seen[0]


def actor_of(found, actor_id):
    return next((each for each in found["actors"] if each["actor_id"] == actor_id), None)


def pid_of(command, actor_id):
    return next(each["pid"] for each in command.json("list") if each["actor_id"] == actor_id)


@pytest.mark.parametrize("is_async", [False, True], ids=["threads", "loop"])
def test_a_call_waits_for_one_that_waits_behind_another(command, is_async):
    gate, bank = Gate.remote(), Bank.options(name="central").remote()
    account = (AsyncAccount if is_async else Account).remote(bank)
    audit = bank.audit.remote(gate)
    until(command, lambda found: actor_of(found, id_of(bank)))
    transfer = account.transfer.remote()
    found = until(command, lambda found: (actor_of(found, id_of(bank)) or {}).get("queued"))
    name = "AsyncAccount" if is_async else "Account"
    pids = {each: pid_of(command, id_of(each)) for each in (gate, bank)}
    assert actor_of(found, id_of(account))["running"] == [
        {
            "name": f"{name}.transfer",
            "is_stuck": False,
            "waits_for": [{"name": "Bank.check", "actor_id": id_of(bank), "pid": pids[bank]}],
        }
    ]
    told = actor_of(found, id_of(bank))
    assert [each["name"] for each in told["running"]] == ["Bank.audit"]
    assert told["queued"] == [{"name": "Bank.check", "is_stuck": False}]
    assert (found["circles"], found["silent"]) == ([], [])
    text = command("status")
    assert f"\n    {name}.transfer() waits for Bank.check() (pid {pids[bank]})\n" in text
    assert f"\n    Bank.audit() waits for Gate.come() (pid {pids[gate]})\n" in text
    assert "\n    Bank.check() waits behind Bank.audit()\n" in text
    assert f"\n  Bank 'central' {id_of(bank)[:12]} (pid {pids[bank]})\n" in text
    ray.get(gate.open.remote())
    ray.get([audit, transfer])
    until(command, lambda found: not found["actors"])
    assert "waiting" not in command("status")


def test_threads_of_two_actors_that_wait_for_each_other_are_a_circle(command):
    gate, left, right = Gate.remote(4), Side.remote(), Side.remote()
    for _ in range(2):
        left.meet.remote(gate, right)
        right.meet.remote(gate, left)
    found = until(command, lambda found: found["circles"])
    (circle,) = found["circles"]
    assert [call["name"] for call in circle] == ["Side.meet", "Side.echo"] * 2
    assert [call["is_running"] for call in circle] == [True, False] * 2
    ids = [id_of(left), id_of(right)]
    assert sorted({call["actor_id"] for call in circle}) == sorted(ids)
    assert all(call["is_stuck"] for each in found["actors"] for call in each["running"] + each["queued"])
    text = command("status")
    assert "\n  these wait for each other\n    Side.meet() (pid " in text
    assert "\n    which waits behind Side.meet() (pid " in text
    assert max(map(len, text[text.index("\nwaiting") :].splitlines())) <= 80


def test_a_call_that_waits_for_its_own_result_is_a_circle_by_itself(command):
    loner = Loner.options(max_concurrency=3).remote()
    ref = loner.wait_for_what_comes.remote()
    ray.get(loner.give.remote([ref]))
    found = until(command, lambda found: found["circles"])
    assert [[call["name"] for call in circle] for circle in found["circles"]] == [["Loner.wait_for_what_comes"]]
    assert "this one waits for itself\n    Loner.wait_for_what_comes() (pid " in command("status")


def test_a_wait_that_ends_by_itself_is_none(command):
    gate, bank = Gate.remote(), Bank.remote()
    audit = bank.audit_with_an_end.remote(gate)
    check = bank.check.remote()
    found = until(command, lambda found: (actor_of(found, id_of(bank)) or {}).get("running"))
    assert actor_of(found, id_of(bank))["running"][0]["waits_for"] == []
    ray.get(gate.open.remote())
    ray.get([audit, check])


def test_an_actor_that_does_not_answer_is_said_so(command, tmp_path):
    held = Held.options(max_concurrency=2).remote()
    pid = ray.get(held.begin.remote())
    path = tmp_path / "fifo"
    os.mkfifo(path)
    holding = held.hold.remote(str(path))
    found = until(command, lambda found: found["silent"])
    assert found["silent"] == [{"actor_id": id_of(held), "pid": pid}]
    assert f"(pid {pid})\n    does not answer: see `actorio stack`\n" in command("status")
    Path(path).write_bytes(b"")
    ray.get(holding)
    assert waiting(command)["silent"] == []


def test_an_actor_that_answers_another_question_is_passed_over(command, monkeypatch):
    held = Held.remote()
    ray.get(held.begin.remote())
    # As one of an earlier version would.
    monkeypatch.setattr("actorio.cli.waits.WAITS", "tasks")
    assert waiting(command) == {"actors": [], "circles": [], "silent": []}


def test_a_task_that_waits_is_told_by_the_name_of_its_function(command):
    gate = Gate.remote()

    @ray.remote
    def outer(gate):
        return ray.get(gate.come.remote())

    ref = outer.remote(gate)
    found = until(command, lambda found: any(each["running"] for each in found["actors"]))
    (worker,) = found["actors"]
    assert [(call["name"], call["waits_for"][0]["name"]) for call in worker["running"]] == [("outer", "Gate.come")]
    ray.get(gate.open.remote())
    ray.get(ref)
