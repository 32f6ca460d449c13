"""Asks the actors of a session who waits for whom."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from actorio._worker.inspection import WAITS
from actorio._worker.wait_report import WaitReport
from actorio.cli.questions import Asker
from actorio.cli.wait_graph import WaitGraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actorio._model.status import ActorStatus

# How long actors may take to answer, all together, in seconds.
_ANSWER_TIMEOUT = 0.5
_decode = msgspec.msgpack.Decoder(WaitReport).decode


def ask_waits(actors: Sequence[ActorStatus]) -> tuple[WaitGraph, list[ActorStatus]]:
    """Returns what the actors have answered, and those that have not, though they live."""
    # Others do not read yet what they are asked.
    asked = [actor for actor in actors if actor.state == "alive"]
    asker = Asker()
    try:
        for actor in asked:
            asker.ask(actor.actor_id, actor.address, WAITS)
        asker.wait(_ANSWER_TIMEOUT)
        lines = {actor.actor_id: asker.line(actor.actor_id) for actor in asked}
    finally:
        asker.close()
    told: dict[str, WaitReport] = {}
    for key, line in lines.items():
        # An actor that an earlier version of this package has started takes this for another question.
        with suppress(msgspec.DecodeError):
            if line is not None and line.answer:
                told[key] = _decode(line.answer)
    silent = [actor for actor in asked if (line := lines[actor.actor_id]) is not None and line.asked]
    return WaitGraph(actors, told), silent
