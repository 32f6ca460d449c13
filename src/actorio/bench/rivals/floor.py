"""The floor: bare Python over one Unix socket, both where it sleeps at once and where it spins before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorio.bench.floor import Kind, running
from actorio.bench.patterns import ONE_AT_A_TIME, PATTERNS, Side
from actorio.bench.rivals.exchange import Job

if TYPE_CHECKING:
    from contextlib import ExitStack

# A single-threaded or threaded actor runs its methods in threads of its own, an async one on its loop.
SERVERS: dict[str, Kind] = {"single-threaded": "thread", "threaded(4)": "thread", "async": "async"}


def open_sides(stack: ExitStack) -> dict[Job, Side]:
    """Starts one server of each kind."""
    kinds: tuple[Kind, ...] = ("thread", "async", "spinning")
    servers = {kind: stack.enter_context(running(kind)) for kind in kinds}
    sides = {Job("floor", case, kind): servers[server] for kind, server in SERVERS.items() for case in PATTERNS}
    spinning = {Job("spinning floor", case, kind): servers["spinning"] for kind in SERVERS for case in ONE_AT_A_TIME}
    return sides | spinning
