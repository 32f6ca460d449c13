"""A live table of a session's actors."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.live import Live

from actorio.cli import render
from actorio.cli.connection import connected, print_json, session_options
from actorio.cli.samples import ActorSample, Sample, Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_INTERVAL = 1.0
# The first sample knows no rates: another one follows so soon, in seconds.
_FIRST_INTERVAL = 0.6

ORDERS: dict[str, Callable[[ActorSample], tuple[float, str]]] = {
    "cpu": lambda actor: (-(actor.cpu or 0.0), actor.actor_id),
    "calls": lambda actor: (-(actor.rate or 0.0), actor.actor_id),
    "memory": lambda actor: (-actor.memory, actor.actor_id),
    "queued": lambda actor: (-(actor.queued or 0), actor.actor_id),
    "lag": lambda actor: (-max(actor.lag or 0.0, actor.stuck_for), actor.actor_id),
    "name": lambda actor: (0.0, f"{actor.class_name} {actor.name} {actor.actor_id}"),
}


@click.command()
@click.option("--interval", default=_INTERVAL, show_default=True, metavar="SECONDS", help="Between two samples.")
@click.option("--count", default=0, metavar="N", help="End after so many samples.")
@click.option(
    "--sort", "order", type=click.Choice(list(ORDERS)), default="cpu", show_default=True, help="What is first."
)
@session_options
def top(*, address: str, interval: float, count: int, order: str, as_json: bool) -> None:
    """Show what the actors of a session do, live; q or Ctrl-C ends it.

    Where the output is no terminal, and with --json, it shows one sample and ends, or as many as --count says.
    """
    if interval <= 0:
        raise click.UsageError("--interval is a number of seconds above 0")
    is_live = sys.stdout.isatty() and not as_json
    with connected(address) as session:
        sampler = Sampler(session)
        try:
            if is_live:
                _show(sampler, interval, count, order)
            else:
                _print(sampler, interval, count or 1, order, as_json=as_json)
        finally:
            sampler.close()


def _print(sampler: Sampler, interval: float, count: int, order: str, *, as_json: bool) -> None:
    sampler.take()
    for number in range(count):
        time.sleep(min(interval, _FIRST_INTERVAL) if not number else interval)
        sample = _sorted(sampler.take(), order)
        if as_json:
            print_json(sample.as_dict())
        else:
            render.console().print(render.top(sample, order))


def _sorted(sample: Sample, order: str) -> Sample:
    sample.actors.sort(key=ORDERS[order])
    return sample


def _show(sampler: Sampler, interval: float, count: int, order: str) -> None:
    """Draws until a key or Ctrl-C ends it, or enough samples are shown."""
    orders = list(ORDERS)
    shown = 0
    with _keyboard() as keyboard, Live(console=render.console(), screen=True, auto_refresh=False) as live:
        if keyboard >= 0:
            sampler.asker.watch(keyboard)
        try:
            while not count or shown < count:
                sample = _sorted(sampler.take(), order)
                live.update(render.top(sample, order, is_live=True), refresh=True)
                shown += 1
                key = _wait(sampler, keyboard, _FIRST_INTERVAL if shown == 1 else interval)
                if key in {b"q", b"Q", b"\x04"}:
                    return
                if key == b"s":
                    order = orders[(orders.index(order) + 1) % len(orders)]
        except KeyboardInterrupt:
            return


def _wait(sampler: Sampler, keyboard: int, interval: float) -> bytes:
    """Waits for the next sample's turn, or a key; returns the key."""
    if not sampler.asker.wait(interval, for_answers=False) or keyboard < 0:
        return b""
    # The end of the input is as good as a wish to end.
    return os.read(keyboard, 1) or b"q"


@contextmanager
def _keyboard() -> Iterator[int]:
    """Has keys come one by one and unseen; yields the descriptor to read them from, -1 without a terminal of ours."""
    if not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp():
        # In the background of a terminal: to read from it, or to change it, would stop this process.
        yield -1
        return
    import termios
    import tty

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    handlers = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        tty.setcbreak(fd)
        yield fd
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    """Ends by way of what has to be put back: the terminal."""
    sys.exit(128 + number)
