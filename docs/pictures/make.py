"""Draws the pictures of the command line: ``python docs/pictures/make.py`` writes ``top.svg`` and ``stack.svg`` here.

They show a real session: the programs below run while the commands look at them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from actorio.cli import processes, render
from actorio.cli.actors import find_actor
from actorio.cli.connection import Session, connected
from actorio.cli.samples import Sampler
from actorio.cli.stack import look, users
from actorio.cli.top import ORDERS

if TYPE_CHECKING:
    from rich.console import RenderableType

PROGRAM = """\
import asyncio
import time

import actorio


@actorio.remote
class Account:
    def __init__(self):
        self.balance = 0

    def deposit(self, amount):
        self.balance += amount
        return self.balance


@actorio.remote
class Report:
    def render(self):
        time.sleep(0.02)
        return sum(range(100_000))


@actorio.remote
class Feed:
    async def poll(self):
        await asyncio.sleep(0.005)

    async def refresh(self):
        self.parse()

    def parse(self):
        while True:
            time.sleep(1)


async def deposit(account):
    while True:
        await account.deposit.remote(1)


async def render(report):
    while True:
        await asyncio.gather(*(report.render.remote() for _ in range(8)))


async def poll(feed):
    while True:
        await asyncio.gather(*(feed.poll.remote() for _ in range(20)))


async def main():
    accounts = [Account.options(name=name).remote() for name in ("savings", "giro")]
    report = Report.options(name="monthly", max_concurrency=4).remote()
    prices, news = (Feed.options(name=name).remote() for name in ("prices", "news"))
    await news.poll.remote()
    news.refresh.remote()
    await asyncio.gather(*map(deposit, accounts), render(report), poll(prices))


with actorio.init(address="local", namespace="shop", log_to_driver=False) as context:
    print(context.address_info["address"], flush=True)
    asyncio.run(main())
"""

HERE = Path(__file__).resolve().parent
# How long the programs run before they are looked at, and between two samples, in seconds.
WARM_UP, INTERVAL = 3.0, 1.0


def main() -> None:
    """Runs the program and draws what the commands show of it."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("shop.py").write_text(PROGRAM)
        # Stacks then show the bare name, and not where this folder is.
        start = "exec(compile(open('shop.py').read(), 'shop.py', 'exec'))"
        program = subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True)  # noqa: S603  # ours
        try:
            if program.stdout is None:
                raise AssertionError("asked for a pipe")
            address = program.stdout.readline().strip()
            time.sleep(WARM_UP)
            with connected(address) as session:
                draw("top", "actorio top", top(session))
                draw("stack", "actorio stack news", stack(session, "news"))
        finally:
            program.kill()
            program.wait()


def top(session: Session) -> RenderableType:
    """Returns what ``top`` shows."""
    sampler = Sampler(session)
    try:
        sampler.take()
        time.sleep(INTERVAL)
        sample = sampler.take()
    finally:
        sampler.close()
    sample.actors.sort(key=ORDERS["cpu"])
    return render.top(sample, "cpu", is_live=True)


def stack(session: Session, name: str) -> RenderableType:
    """Returns what ``stack`` shows."""
    actor = find_actor(session.inventory().actors, name)
    threads, told = look(actor)
    process = processes.state(actor.pid)
    return render.stacks_text(actor, process, [(thread, users(thread.frames)) for thread in threads], told)


def draw(name: str, title: str, content: RenderableType) -> None:
    """Writes a picture."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=118, file=nowhere, force_terminal=True, highlight=False)
        console.print(content)
    svg = console.export_svg(title=title, unique_id=name)
    # The pages load nothing from elsewhere: the reader's own font will do.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    (HERE / f"{name}.svg").write_text(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE))


if __name__ == "__main__":
    main()
