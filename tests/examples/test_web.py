"""The web application of the examples, under uvicorn with four workers, and clients that come, go and are cut off."""

import asyncio
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import msgspec
import psutil
import pytest
from tests.programs import ROOT, is_gone, wait_until

from actorio._model.status import ActorStatistics
from actorio._worker.inspection import STATISTICS
from actorio.cli.connection import connected
from actorio.cli.questions import ask_one

SESSION = "reports"
WORKERS = 4
CLIENTS = 200
PATIENCE_SECONDS = 60.0

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """The clients' loop, of which nothing depends."""
    return "asyncio"


# -- the server ----------------------------------------------------------------------------------------------------


class Server:
    """The application and its workers."""

    def __init__(self, log):
        self._log = log
        command = ["-m", "uvicorn", "examples.web.app:app", "--port", "0", "--no-access-log", "--workers", str(WORKERS)]
        environment = {name: value for name, value in os.environ.items() if name != "ACTORIO_ADDRESS"}
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=environment, stdout=file, stderr=file
            )

    def said(self, text):
        return re.findall(text, self._log.read_text())

    def wait_until_ready(self, starts):
        """Waits until so many workers have started, and as many as there are have an actor of their own."""
        assert wait_until(lambda: len(self.said("startup complete")) == starts, PATIENCE_SECONDS), self._log.read_text()
        assert wait_until(lambda: len(own_actors()) == WORKERS), self._log.read_text()
        self.url = self.said(r"http://127.0.0.1:\d+")[0]

    def stop(self):
        """Ends it as whoever runs it does; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self):
        """Ends what a test that failed has left."""
        if self.process.poll() is None:
            for process in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
                process.kill()
            self.process.wait()

    def complaints(self):
        return self.said(r".*(?:WARNING|ERROR|Traceback|Error:).*")


@pytest.fixture(scope="module")
def server(tmp_path_factory, runtime_directory):
    """The server of all tests here."""
    server = Server(tmp_path_factory.mktemp("web") / "log")
    try:
        server.wait_until_ready(WORKERS)
        yield server
        assert server.stop() == 0
    finally:
        server.kill()


def rooms():
    room = Path(os.environ["XDG_RUNTIME_DIR"]) / "actorio"
    return list(room.iterdir()) if room.is_dir() else []


def inventory():
    with connected(SESSION) as session:
        return session.inventory()


def own_actors():
    """Returns the processes of the actors that workers have for themselves, by the process of the worker."""
    return {actor.owner_pid: actor.pid for actor in inventory().actors if actor.class_name == "Digests" and actor.pid}


def shared_actor():
    (found,) = (actor for actor in inventory().actors if actor.class_name == "Reports")
    return found


def busy_actors():
    """Returns who of the session has a call that runs or waits for its turn."""
    found = [(actor, ask_one(actor.address, STATISTICS, PATIENCE_SECONDS)) for actor in inventory().actors]
    statistics = [(actor, msgspec.msgpack.decode(answer, type=ActorStatistics)) for actor, answer in found]
    return [actor for actor, each in statistics if each.running or each.queued]


# -- its clients ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def browser(server):
    """Makes requests, each on a connection of its own, so that each may reach another worker."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=PATIENCE_SECONDS, verify=False) as client:
        yield client


async def calls_of_each(client):
    """Returns how many calls each worker waits for, by its process."""
    found = {}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found) < WORKERS:
            answers = await asyncio.gather(*[client.get("/status") for _ in range(2 * WORKERS)])
            found |= {answer.json()["pid"]: answer.json()["waiting"] for answer in answers}
    return found


async def counts(client):
    return Counter((await client.get("/reports")).json())


async def wait_for_counts(client, **wanted):
    """Waits until the shared actor has counted so many."""
    found = await counts(client)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while any(found[name] != number for name, number in wanted.items()):
                found = await counts(client)
    assert {name: found[name] for name in wanted} == wanted


async def test_all_workers_share_one_actor_and_each_has_one_of_its_own(server):
    async with browser(server) as client:
        before = await counts(client)
        answers = await asyncio.gather(*[client.get("/reports/tea", params={"lines": 1}) for _ in range(12)])
        assert [answer.json() for answer in answers] == [["tea: line 0\n"]] * 12
        after = await asyncio.gather(*[counts(client) for _ in range(12)])
        assert {each["finished"] for each in after} == {before["finished"] + 12}
        assert set(own_actors()) == set(await calls_of_each(client))
    assert shared_actor().name == "reports"


async def test_requests_and_responses_pass_through_whole(server):
    data = random.Random(1).randbytes(3_000_000)
    async with browser(server) as client:
        answers = await asyncio.gather(*[client.post("/digest", content=data[start:]) for start in (0, 2_999_999)])
        assert [answer.json() for answer in answers] == [hashlib.sha256(data[start:]).hexdigest() for start in (0, -1)]
        assert (await client.get("/reports/tea/live", params={"lines": 2})).text == "tea: line 0\ntea: line 1\n"


@pytest.mark.parametrize("path", ["/reports/tea", "/reports/tea/live"])
async def test_the_call_of_a_client_that_leaves_is_cancelled_in_the_actor(path, server):
    async with browser(server) as client:
        before = await counts(client)
        request = asyncio.create_task(client.get(path, params={"lines": 100_000}))
        await wait_for_counts(client, running=1)
        request.cancel()
        await wait_for_counts(client, **{"running": 0, "cut short": before["cut short"] + 1})


def asked_by(client, number, lines):
    """Returns what the client of this number asks for: of three, one waits for a report, one for a digest."""
    if number % 3 == 0:
        return client.post("/digest", content=b"x" * 200_000)
    return client.get("/reports/tea", params={"lines": lines})


async def stay(client, chance, number):
    """Is a client that waits for what it wants; one of three follows a report."""
    if number % 3 == 1:
        return (await client.get("/reports/tea/live", params={"lines": 3})).status_code
    return (await asked_by(client, number, chance.randint(1, 5))).status_code


async def leave(client, chance, number):
    """Is a client that leaves, at some moment, or after some lines of the report that it follows."""
    if number % 3 == 1:
        async with client.stream("GET", "/reports/tea/live", params={"lines": 100_000}) as response:
            lines = response.aiter_lines()
            for _ in range(chance.randint(1, 5)):
                await anext(lines)
        return "left in the midst"
    with suppress(TimeoutError):
        await asyncio.wait_for(asked_by(client, number, 100_000), chance.uniform(0.0, 0.4))
    return "left"


async def test_of_two_hundred_clients_of_which_half_leave_nothing_stays(server):
    chance = random.Random(2)
    async with browser(server) as client:
        before = await counts(client)
        pairs = [(stay(client, chance, number), leave(client, chance, number)) for number in range(CLIENTS // 2)]
        ends = Counter(await asyncio.gather(*[one for pair in pairs for one in pair]))
        assert ends[200] == ends["left"] + ends["left in the midst"] == CLIENTS // 2
        await wait_for_counts(client, running=0)
        assert (await counts(client))["cut short"] - before["cut short"] >= ends["left in the midst"] > 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            while any((await calls_of_each(client)).values()):
                pass
    assert wait_until(lambda: busy_actors() == [])


# -- its end -------------------------------------------------------------------------------------------------------


# Last, since it ends the server.
def test_a_killed_worker_is_replaced_and_nothing_is_left_of_the_server_in_the_end(server):
    before, everybody = shared_actor(), inventory()
    # The one that has made the actor that all share.
    os.kill(before.owner_pid, signal.SIGKILL)
    server.wait_until_ready(WORKERS + 1)
    assert shared_actor() == before
    owners = set(asyncio.run(workers_that_answer(server)))
    assert before.owner_pid not in owners
    assert set(own_actors()) == owners
    everybody = [everybody.node_pid, everybody.zygote_pid, before.pid, *own_actors().values(), *owners]
    assert server.stop() == 0
    assert [pid for pid in everybody if not is_gone(pid)] == []
    assert not rooms()
    assert server.complaints() == []


async def workers_that_answer(server):
    async with browser(server) as client:
        assert (await client.post("/digest", content=b"as before")).status_code == 200
        return await calls_of_each(client)
