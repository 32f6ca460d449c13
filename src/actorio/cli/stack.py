"""Where an actor is: its threads and its tasks, though it may be stuck.

It is asked first, which disturbs it least and tells most. When it does not answer, a signal makes it write its threads'
stacks.
"""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from actorio._worker.inspection import STACKS, Frame, Stacks, ThreadStack, dump_path
from actorio.cli import processes, render
from actorio.cli.actors import find_actor
from actorio.cli.connection import connected, print_json, session_options
from actorio.cli.dump import NoDumpError, dump
from actorio.cli.questions import ask_one

if TYPE_CHECKING:
    from actorio._model.status import ActorStatus

# How long an actor's loop may take to answer, in seconds.
_ANSWER_TIMEOUT = 0.5
_decode = msgspec.msgpack.Decoder(Stacks).decode

_STANDARD = sysconfig.get_path("stdlib")
_OWN = str(Path(__file__).parent.parent) + os.sep
# What stands between a thread's begin and the first function of the user's.
_PLUMBING = (
    _OWN,
    "<frozen ",
    f"{_STANDARD}{os.sep}threading.py",
    f"{_STANDARD}{os.sep}runpy.py",
    f"{_STANDARD}{os.sep}asyncio{os.sep}",
    f"{_STANDARD}{os.sep}concurrent{os.sep}",
)


@click.command()
@click.argument("actor")
@session_options
def stack(*, actor: str, address: str, as_json: bool) -> None:
    """Show where ACTOR is, running or stuck: its threads, and the tasks of its event loop.

    ACTOR is its name, its process id, or the beginning of its id. It needs no rights but those of the user.
    """
    with connected(address) as session:
        found = find_actor(session.inventory().actors, actor)
    if not found.pid:
        raise click.ClickException(f"{found.class_name} is {found.state}, and has no process just now")
    process = processes.state(found.pid)
    try:
        threads, tasks = look(found)
    except NoDumpError as error:
        raise click.ClickException(f"{found.class_name} (pid {found.pid}) does not tell where it is: {error}") from None
    if as_json:
        print_json(_as_dict(found, process, threads, tasks))
    else:
        render.stacks(found, process, [(thread, users(thread.frames)) for thread in threads], tasks)


def look(actor: ActorStatus) -> tuple[list[ThreadStack], Stacks | None]:
    """Returns an actor's threads, the main one first, and, unless its loop is stuck, what it said of its tasks.

    Raises:
        NoDumpError: it tells nothing at all.
    """
    answer = ask_one(actor.address, STACKS, _ANSWER_TIMEOUT)
    told = _decode(answer) if answer else None
    threads = dump(actor.pid, dump_path(actor.address)) if told is None else told.threads
    threads.sort(key=lambda thread: (thread.name != "MainThread", thread.name))
    return threads, told


def users(frames: list[Frame]) -> list[Frame]:
    """Returns a stack without its beginning, up to the first frame that is the user's; [] when none is."""
    for index, frame in enumerate(frames):
        if not frame.file.startswith(_PLUMBING):
            return frames[index:]
    return []


def _as_dict(actor: ActorStatus, process: str, threads: list[ThreadStack], told: Stacks | None) -> dict[str, Any]:
    return {
        "actor_id": actor.actor_id,
        "class_name": actor.class_name,
        "pid": actor.pid,
        "process": process,
        "is_stuck": told is None,
        "threads": [
            {"name": each.name, "ident": each.ident, "is_own": not users(each.frames), "frames": _frames(each.frames)}
            for each in threads
        ],
        "tasks": None
        if told is None
        else [{"name": each.name, "awaits": each.awaits, "frames": _frames(each.frames)} for each in told.tasks],
    }


def _frames(frames: list[Frame]) -> list[dict[str, Any]]:
    return [{"file": frame.file, "line": frame.line, "function": frame.function} for frame in frames]
