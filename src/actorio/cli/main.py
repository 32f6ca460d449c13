"""The group of commands, and what becomes of their errors."""

from __future__ import annotations

from typing import Any

import click

from actorio._model.errors import RaySystemError
from actorio._transport.descriptors import raise_limit
from actorio._transport.sockets import ForeignPeerError
from actorio.cli import actors, bench, logs, sessions, stack, top


class Commands(click.Group):
    """Commands whose expected errors are told in one line, with exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read the output has seen enough; click ends quietly.
            raise
        except (OSError, RaySystemError, ForeignPeerError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="actorio-node", prog_name="actorio")
def actorio() -> None:
    """Look into the sessions of this machine, and start and stop them.

    Each command speaks of the newest running session, unless --address or the environment variable ACTORIO_ADDRESS
    names another. Looking at a session does not keep it alive.
    """
    raise_limit()


for command in (
    sessions.start,
    sessions.stop,
    sessions.status,
    actors.list_actors,
    actors.kill,
    logs.logs,
    stack.stack,
    top.top,
    bench.bench,
):
    actorio.add_command(command)
