"""An object in the process of a manager of the standard library: each call of its proxy waits for its answer."""

from __future__ import annotations

from multiprocessing.managers import BaseManager
from typing import TYPE_CHECKING, Any

from actorio.bench.patterns import Side
from actorio.bench.rivals.exchange import Job

if TYPE_CHECKING:
    from contextlib import ExitStack


class Plain:
    """What the proxy stands for."""

    def nothing(self, _value: int) -> None:
        """Answers a call and does no more."""


class Manager(BaseManager):
    """Serves `Plain`."""

    Plain: Any


Manager.register("Plain", Plain)


def open_sides(stack: ExitStack) -> dict[Job, Side]:
    """Starts the manager."""
    proxy = stack.enter_context(Manager()).Plain()
    # The call waits for its answer itself.
    return {Job("managers", "blocking", "single-threaded"): Side(proxy.nothing, lambda _: None, lambda _: None)}
