"""What an actor has printed: its log file, which the node writes and keeps to the end of the session."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from actorio.cli.actors import Watcher, find_actor, is_prefix
from actorio.cli.connection import connected, print_json, session_options

if TYPE_CHECKING:
    from actorio._model.status import ActorStatus
    from actorio.cli.connection import Session

_LINES = 100
# How often a file that is followed is looked at, in seconds.
_PAUSE = 0.1
# By so many of the last bytes that were read, the place is found again in a file that was cut.
_MARK = 4096


class LogFile:
    """A log file that grows, and whose older half may be cut off.

    Args:
        path: where it is; it may be missing until the actor prints.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._mark = b""
        self._rest = b""

    def read(self) -> list[str]:
        """Returns the whole lines that have come since the last time."""
        data = self._rest + self._new_bytes()
        lines = data.split(b"\n")
        self._rest = lines.pop()
        return [line.decode(errors="replace") for line in lines]

    def _new_bytes(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                if size < self._offset:
                    file.seek(0)
                    return self._note(_after(file.read(), self._mark), file.tell())
                file.seek(self._offset)
                return self._note(file.read(), file.tell())
        except FileNotFoundError:
            return b""

    def _note(self, data: bytes, offset: int) -> bytes:
        self._offset = offset
        self._mark = (self._mark + data)[-_MARK:]
        return data


def _after(data: bytes, mark: bytes) -> bytes:
    """Returns what follows the last bytes that were read; everything when these are gone."""
    place = data.rfind(mark)
    return data if place < 0 else data[place + len(mark) :]


@click.command()
@click.argument("actor")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is printed, until the actor has ended.")
@click.option("-n", "--lines", default=_LINES, show_default=True, metavar="N", help="How many of the last lines.")
@session_options
def logs(*, actor: str, address: str, follow: bool, lines: int, as_json: bool) -> None:
    """Show what ACTOR has printed: its name, its process id, or the beginning of its id.

    Of an actor that is dead, too: the files stay until the end of the session.
    """
    with connected(address) as session:
        actor_id, path = _find_log(session, actor)
        file = LogFile(path)
        shown = list(deque(file.read(), maxlen=max(0, lines)))
        if as_json and not follow:
            print_json({"actor_id": actor_id, "log": str(path), "lines": shown})
            return
        _print(shown, as_json=as_json)
        if follow:
            _follow(session, actor_id, file, as_json=as_json)


def _find_log(session: Session, text: str) -> tuple[str, Path]:
    inventory = session.inventory()
    try:
        actor = _find_last(inventory.actors, inventory.dead, text)
    except click.ClickException:
        folder = Path(session.directory.path, "logs")
        kept = list(folder.glob(f"{text.lower()[:16]}*.log")) if is_prefix(text) else []
        if len(kept) == 1:
            return (text.lower() if len(text) > len(kept[0].stem) else kept[0].stem), kept[0]
        raise
    return actor.actor_id, Path(actor.log)


def _find_last(living: list[ActorStatus], dead: list[ActorStatus], text: str) -> ActorStatus:
    """Returns the actor that is meant; among the dead, the last one."""
    try:
        return find_actor(living, text)
    except click.ClickException:
        for actor in reversed(dead):
            with suppress(click.ClickException):
                return find_actor([actor], text)
        raise


def _follow(session: Session, actor_id: str, file: LogFile, *, as_json: bool) -> None:
    watcher = Watcher(session, actor_id, for_good=True)
    try:
        while not watcher.ended.wait(_PAUSE):
            _print(file.read(), as_json=as_json)
    except KeyboardInterrupt:
        return
    _print(file.read(), as_json=as_json)
    if not as_json:
        reason = "" if watcher.certificate is None else f": {watcher.certificate.reason()}"
        click.echo(f"the actor has ended{reason}", err=True)


def _print(lines: list[str], *, as_json: bool) -> None:
    for line in lines:
        if as_json:
            print_json({"line": line})
        else:
            click.echo(line)
    sys.stdout.flush()
