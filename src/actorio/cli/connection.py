"""The way into a session: which one is meant, and a connection to its node that keeps nobody alive."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from actorio._caller.node import NodeClient
from actorio._model.status import Inventory
from actorio.engines.directory import SessionDirectory, Sessions, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actorio._wire.messages import Message

# How long a node may take to answer, in seconds.
_PATIENCE = 5.0
# What `init` understands by these is not for a program that only looks.
_NOT_NAMES = {"", "auto", "local"}


def session_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that all commands have that look into a session."""
    address = click.option(
        "--address",
        envvar="ACTORIO_ADDRESS",
        default="",
        help="The session's directory, or its name.",
        metavar="SESSION",
    )
    return address(json_option(command))


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def find_session(address: str) -> SessionDirectory:
    """Returns the session that is meant.

    Raises:
        ClickException: none runs.
        ConnectionError, PermissionError: there is none of this address that may be joined.
    """
    if address not in _NOT_NAMES:
        return named(address)
    running = running_sessions()
    if not running:
        raise click.ClickException(
            "no session is running: start one with `actorio start`, or with actorio.init() in a program"
        )
    return running[0]


def running_sessions() -> list[SessionDirectory]:
    """Returns the sessions of this user that run under this Python, the newest first."""
    with Sessions() as sessions:
        return sessions.running()


class Session:
    """A session that is looked at.

    Args:
        directory: the session's directory.
        patience: how long its node may take to answer, in seconds; None for what one may take to start.

    Raises:
        TimeoutError: its node does not answer.
        OSError, RaySystemError: it has ended.
    """

    def __init__(self, directory: SessionDirectory, patience: float | None = _PATIENCE) -> None:
        self.directory = directory
        # If the node was killed, this starts another one, which outlives this command.
        self.node = NodeClient(directory.path, "tool", patience=patience)

    def inventory(self) -> Inventory:
        """Returns what there is."""
        return Inventory.decode(self.node.list())

    def send(self, message: Message) -> None:
        """Tells the node something."""
        self.node.send(message)

    def close(self) -> None:
        """Leaves."""
        self.node.close()


@contextmanager
def connected(address: str) -> Iterator[Session]:
    """Looks into the session that is meant."""
    session = Session(find_session(address))
    try:
        yield session
    finally:
        session.close()


def print_json(value: Any) -> None:
    """Prints a value as one line of JSON."""
    click.echo(json.dumps(value))
