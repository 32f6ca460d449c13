"""xoscar, which has coroutines alone. Its actors take one call at a time, its stateless ones many."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import xoscar
from xoscar.backends.allocate_strategy import ProcessIndex

from actorio.bench.patterns import Side
from actorio.bench.rivals.exchange import Job

if TYPE_CHECKING:
    from contextlib import ExitStack

# Any free port.
_ADDRESS = "127.0.0.1:0"


class Locked(xoscar.Actor):  # type: ignore[misc]  # of no known type
    """An actor as xoscar's users write most."""

    async def nothing(self, _value: int) -> None:
        """Answers a call and does no more."""


class Stateless(xoscar.StatelessActor):  # type: ignore[misc]  # of no known type
    """An actor without a lock."""

    async def nothing(self, _value: int) -> None:
        """Answers a call and does no more."""


def open_sides(stack: ExitStack) -> dict[Job, Side]:
    """Starts a pool of one process beside this one, and an actor of each kind in it."""
    runner = stack.enter_context(asyncio.Runner())
    pool = runner.run(xoscar.create_actor_pool(_ADDRESS, n_process=1))
    stack.callback(lambda: runner.run(pool.stop()))

    def side_of(actor_class: type) -> Side:
        actor = runner.run(_new_actor(actor_class, pool.external_address))
        # There is nothing to wait with but `await`.
        return Side(actor.nothing, lambda _: None, lambda _: None, run=runner.run)

    sides = {"xoscar": side_of(Locked), "xoscar stateless": side_of(Stateless)}
    return {Job(name, case, "async"): side for name, side in sides.items() for case in ("await", "gather")}


async def _new_actor(actor_class: type, address: str) -> Any:
    return await xoscar.create_actor(actor_class, address=address, allocate_strategy=ProcessIndex(1))
