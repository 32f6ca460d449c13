"""Sessions as a whole: start one that stays, stop them, and see what one consists of."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from actorio._model.init_options import InitOptions
from actorio._model.resources import numbers
from actorio._transport.directories import noted_processes
from actorio.cli import processes, render
from actorio.cli.connection import (
    Session,
    connected,
    find_session,
    json_option,
    print_json,
    running_sessions,
    session_options,
)
from actorio.cli.wait_lines import waiting_dict, waiting_lines
from actorio.cli.waits import ask_waits
from actorio.engines.directory import Sessions
from actorio.engines.launch import launch_in

if TYPE_CHECKING:
    from actorio._model.status import Inventory
    from actorio.engines.directory import SessionDirectory
    from actorio.engines.launch import Launch

# How long a session may take to end, in seconds: it gives its actors a second and a half.
_STOP_TIMEOUT = 10.0


@click.command()
@click.option("--preload", multiple=True, metavar="MODULE", help="Import this module once for all actors; repeatable.")
@json_option
def start(*, preload: tuple[str, ...], as_json: bool) -> None:
    """Start a session that stays, though nobody is in it, until `actorio stop`."""
    if preload:
        # As `python -m` would find them; a script's own folder is on the path instead.
        sys.path.insert(0, os.getcwd())  # noqa: PTH109  # as the interpreter writes it
    with Sessions() as sessions:
        directory, launch = launch_in(sessions)
    node_pid = _await_node(launch, directory, preload)
    if as_json:
        print_json({"session": directory.name, "address": directory.path, "node_pid": node_pid})
    else:
        render.started(directory.name, directory.path, node_pid)


def _await_node(launch: Launch, directory: SessionDirectory, preload: tuple[str, ...]) -> int:
    """Tells the node what to do and waits until it is up; returns its process id."""
    try:
        launch.configure(InitOptions(preload=preload), is_kept=True)
        Session(directory, patience=None).close()
    except BaseException as error:
        launch.process.kill()
        launch.process.wait()
        words = ""
        with suppress(OSError):
            words = Path(directory.path, "node.log").read_text(encoding="utf-8", errors="replace").strip()
        directory.remove()
        if isinstance(error, Exception):
            raise click.ClickException("\n".join(filter(None, (str(error), words)))) from error
        raise
    # It outlives this command.
    launch.process.returncode = 0
    return launch.process.pid


@click.command()
@click.option("--all", "is_all", is_flag=True, help="Stop all sessions of this user; none is as well.")
@session_options
def stop(*, address: str, is_all: bool, as_json: bool) -> None:
    """Stop a session: all its actors end, the detached ones, too, and its drivers lose it.

    Actors end gracefully within limits, and are killed beyond. A session that does not answer is killed.
    """
    chosen = running_sessions() if is_all else [find_session(address)]
    stopped = [_stop(directory) for directory in chosen]
    if as_json:
        print_json({"stopped": stopped})
    elif not stopped:
        click.echo("no session is running")
    for each in [] if as_json else stopped:
        render.stopped(each["session"], each["actors"])


def _stop(directory: SessionDirectory) -> dict[str, Any]:
    try:
        session = Session(directory)
    except TimeoutError:
        return _kill(directory)
    try:
        count = len(session.inventory().actors)
        if not session.node.stop(_STOP_TIMEOUT, is_all=True):
            raise click.ClickException(
                f"the session {directory.name} has not ended within {_STOP_TIMEOUT:.0f} seconds; its node is process "
                f"{session.node.node_pid}, and its other processes are children of {session.node.zygote_pid}"
            )
    finally:
        session.close()
    directory.remove_when_over()
    return {"session": directory.name, "actors": count}


def _kill(directory: SessionDirectory) -> dict[str, Any]:
    """Kills what runs a session that does not answer: its actors end with it."""
    for pid in noted_processes(directory.path):
        # It may be another's by now.
        if "actorio._node" in processes.command(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    directory.remove_when_over()
    return {"session": directory.name, "actors": None}


@click.command()
@session_options
def status(*, address: str, as_json: bool) -> None:
    """Show what a session consists of: its processes, how many actors are in which state, and who waits for whom."""
    with connected(address) as session:
        inventory = session.inventory()
        found = _status(session, inventory)
        graph, silent = ask_waits(inventory.actors)
    if as_json:
        print_json(found | {"waiting": waiting_dict(graph, silent)})
    else:
        render.status(found, waiting_lines(graph, silent))


def _status(session: Session, inventory: Inventory) -> dict[str, Any]:
    actors = [actor for actor in inventory.actors if not actor.is_worker]
    name = session.directory.name
    return {
        "session": name,
        "address": session.directory.path,
        "age": _age(session.directory.path),
        "node_pid": inventory.node_pid,
        "zygote_pid": inventory.zygote_pid,
        "drivers": [{"pid": pid, "command": processes.command(pid)} for pid in sorted(inventory.drivers)],
        "actors": len(actors),
        "states": dict(Counter(actor.state for actor in actors)),
        "detached": sum(actor.is_detached for actor in actors),
        "named": sum(bool(actor.name) for actor in actors),
        "restarts": sum(actor.restarts for actor in actors),
        "workers": len(inventory.actors) - len(actors),
        "resources": numbers(inventory.resources),
        "available": numbers(inventory.free),
        "other_sessions": [other.name for other in running_sessions() if other.name != name],
    }


def _age(path: str) -> float:
    """Returns for how long a session has been there, in seconds."""
    try:
        return max(0.0, time.time() - Path(path, "session").stat().st_mtime)
    except OSError:
        return 0.0
