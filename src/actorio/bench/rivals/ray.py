"""Ray, with the same three actors. It is slow, so its samples are small: they are to take about as long as ours."""

from __future__ import annotations

import asyncio
import os
import tempfile
from typing import TYPE_CHECKING, Any

from actorio.bench.patterns import PATTERNS, Side
from actorio.bench.rivals.exchange import Job

if TYPE_CHECKING:
    from contextlib import ExitStack

SLOWNESS = 10


class Plain:
    """An actor whose methods run in threads."""

    def nothing(self, _value: int) -> None:
        """Answers a call and does no more."""


class Coroutine:
    """An actor whose methods run on its event loop."""

    async def nothing(self, _value: int) -> None:
        """Answers a call and does no more."""


def open_sides(stack: ExitStack) -> dict[Job, Side]:
    """Starts a cluster of this machine, with nothing that calls do not need, and three actors."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True))
    stack.callback(ray.shutdown)
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR", _temp_dir=folder)
    plain = ray.remote(num_cpus=0)(Plain)
    actors = {
        "single-threaded": plain.remote(),
        "threaded(4)": plain.options(max_concurrency=4).remote(),
        "async": ray.remote(num_cpus=0)(Coroutine).remote(),
    }
    ray.get([actor.nothing.remote(1) for actor in actors.values()])
    sides = {kind: _side_of(actor, ray.get) for kind, actor in actors.items()}
    return {Job("ray", case, kind): sides[kind] for kind in actors for case in PATTERNS}


def _side_of(actor: Any, get: Any) -> Side:
    def call(value: int) -> Any:
        return actor.nothing.remote(value)

    return Side(call, get, get, run=asyncio.run)
