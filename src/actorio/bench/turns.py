"""Contenders that take turns, so that a machine that slows down for a while slows all of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def take_turns(actions: Mapping[str, Callable[[], float]], rounds: int, *, warm_up: int = 1) -> dict[str, list[float]]:
    """Lets each act once in each round: first, second, first, second, and so on.

    Args:
        actions: What is done, by the name of who does it; each returns a number.
        rounds: How many turns of each count.
        warm_up: How many turns of each come before those.

    Returns:
        The numbers of each, one a round.
    """
    for _ in range(warm_up):
        for action in actions.values():
            action()
    turns = [[action() for action in actions.values()] for _ in range(rounds)]
    return dict(zip(actions, map(list, zip(*turns, strict=True)), strict=True))


def timed(action: Callable[[], object]) -> Callable[[], float]:
    """Returns an action that does the same and returns the seconds that it took."""

    def act() -> float:
        begun = time.perf_counter()
        action()
        return time.perf_counter() - begun

    return act
