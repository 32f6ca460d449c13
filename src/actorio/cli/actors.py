"""Single actors: which there are, which one is meant, and ending one."""

from __future__ import annotations

import difflib
import string
import threading
import time
from typing import TYPE_CHECKING, Any

import click

from actorio._wire import messages as m
from actorio.cli import render
from actorio.cli.connection import connected, print_json, session_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorio._model.certificate import DeathCertificate
    from actorio._model.status import ActorStatus
    from actorio.cli.connection import Session

_KILL_TIMEOUT = 10.0
_SHOWN_NEAR = 5
# A shorter beginning of an id is more likely a mistyped name.
_SHORTEST_PREFIX = 2


def find_actor(actors: Sequence[ActorStatus], text: str) -> ActorStatus:
    """Returns the actor that a user means by its name, ``namespace/name``, process id, or the beginning of its id.

    Raises:
        ClickException: there is none, or there are several; near ones are shown.
    """
    for found in (
        [each for each in actors if each.name and text in {each.name, f"{each.namespace}/{each.name}"}],
        [each for each in actors if each.pid and text == str(each.pid)],
        [each for each in actors if is_prefix(text) and each.actor_id.startswith(text.lower())],
    ):
        if len(found) > 1:
            choice = "\n".join(f"  {_full_name(each)}" for each in found)
            raise click.ClickException(f"{text!r} may be any of these; name one by its id:\n{choice}")
        if found:
            return found[0]
    raise click.ClickException(f"there is no actor {text!r}; {_near(actors, text)}")


def is_prefix(text: str) -> bool:
    """May this be the beginning of an actor's id?"""
    return len(text) >= _SHORTEST_PREFIX and set(text) <= set(string.hexdigits)


def _near(actors: Sequence[ActorStatus], text: str) -> str:
    if not actors:
        return "the session has no actors"
    named = {each.name: each for each in actors if each.name}
    near = difflib.get_close_matches(text, named, _SHOWN_NEAR, 0.5)
    if near:
        return f"near is: {', '.join(near)}"
    of_class = [each for each in actors if each.class_name.lower() == text.lower()][:_SHOWN_NEAR]
    if of_class:
        return f"of this class are: {', '.join(_full_name(each) for each in of_class)}"
    known = sorted(named)[:_SHOWN_NEAR]
    return f"known names are: {', '.join(known)}" if known else "no actor has a name: see `actorio list` for their ids"


def _full_name(actor: ActorStatus) -> str:
    name = f" {actor.namespace}/{actor.name}" if actor.name else ""
    return f"{actor.actor_id[: render.ID_LENGTH]} {actor.class_name}{name} (pid {actor.pid})"


@click.command("list")
@click.option("--all", "with_dead", is_flag=True, help="Also those that have died, up to a hundred, and why.")
@session_options
def list_actors(*, address: str, with_dead: bool, as_json: bool) -> None:
    """List the actors of a session, the oldest first."""
    with connected(address) as session:
        inventory = session.inventory()
        actors = sorted(inventory.actors + inventory.dead * with_dead, key=lambda actor: actor.created)
        name = session.directory.name
    if as_json:
        print_json([_as_dict(actor) for actor in actors])
    else:
        render.actors(actors, name, time.time())


def _as_dict(actor: ActorStatus) -> dict[str, Any]:
    fields = {name: getattr(actor, name) for name in actor.__struct_fields__}
    return fields | {"age": max(0.0, time.time() - actor.created)}


@click.command()
@click.argument("actor")
@click.option("--force", is_flag=True, help="Kill it at once: nothing of it is run any more.")
@click.option("--restart", is_flag=True, help="With --force: let it be restarted, if it may be.")
@click.option("--timeout", default=_KILL_TIMEOUT, show_default=True, metavar="SECONDS", help="How long to wait for it.")
@session_options
def kill(*, actor: str, address: str, force: bool, restart: bool, timeout: float, as_json: bool) -> None:
    """End ACTOR: its name, its process id, or the beginning of its id.

    Without --force the calls that run are interrupted, and the actor's clean-up hook runs. It is killed if that has not
    ended after 30 seconds.
    """
    if restart and not force:
        raise click.UsageError("--restart goes with --force: an actor that ends gracefully is not restarted")
    with connected(address) as session:
        found = find_actor(session.inventory().actors, actor)
        watcher = Watcher(session, found.actor_id)
        session.send(m.Kill(found.actor_id, restart) if force else m.End(found.actor_id))
        if not watcher.ended.wait(timeout):
            advice = "" if force else "; `actorio kill --force` does not wait for it"
            raise click.ClickException(f"{_full_name(found)} has not ended within {timeout:g} seconds{advice}")
    words = "" if watcher.certificate is None else watcher.certificate.reason()
    if as_json:
        print_json({"actor_id": found.actor_id, "pid": found.pid, "state": watcher.kind, "detail": words})
    else:
        verb = "is being restarted" if watcher.kind == "restarting" else "has ended"
        click.echo(f"{_full_name(found)} {verb}{f': {words}' if words else ''}")


class Watcher:
    """Waits for the end of an actor's process.

    Args:
        for_good: an end is none that a restart follows.

    Attributes:
        ended: set when the process has ended, or the session has.
        kind: ``"died"`` or ``"restarting"``.
        certificate: how it died, when that is known.
    """

    def __init__(self, session: Session, actor_id: str, *, for_good: bool = False) -> None:
        self._kinds = {"died"} if for_good else {"died", "restarting"}
        self.ended = threading.Event()
        self.kind = "died"
        self.certificate: DeathCertificate | None = None
        session.node.watch(actor_id, self._take)

    def _take(self, event: m.Event | None, certificate: DeathCertificate | None) -> None:
        """In the thread that reads from the node."""
        # What comes after it, the end of this connection among it, is of no more interest.
        if not self.ended.is_set() and (event is None or event.kind in self._kinds):
            self.kind = "died" if event is None else event.kind
            self.certificate = certificate
            self.ended.set()
