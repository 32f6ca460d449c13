"""How near to bare sockets are calls to actors, and what do actors cost?

Calls are timed on three kinds of actor in four patterns (`patterns`), taking turns with the floor (`floor`):
the answer is the ratio. Then come starting, creating, keeping and leaving alone (`footprint`). The README beside
this file has the method.

    python benchmarks/calls.py              everything, about two minutes
    python benchmarks/calls.py --quick      fewer samples: for a look, not for a claim
    python benchmarks/calls.py --many       also 1,000 actors alive at once
    python benchmarks/calls.py --json FILE  writes every sample as well
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import floor
import footprint
from patterns import PATTERNS, QUICK_EFFORT, USUAL_EFFORT, Effort, Pattern, Side, samples

import actorio

MANY_ACTORS = 1000
ACTOR_KINDS = ("sync", "threaded", "async")
# A sync or threaded actor runs its methods in threads of its own, an async one on its loop.
FLOOR_OF: dict[str, floor.Kind] = {"sync": "thread", "threaded": "thread", "async": "async"}


class Plain:
    """An actor whose methods run in a thread."""

    def nothing(self, _value: int) -> None:
        """Answer a call and do no more."""

    def pid(self) -> int:
        """Say which process this is."""
        return os.getpid()


class Coroutine:
    """An actor whose methods run on its event loop."""

    async def nothing(self, _value: int) -> None:
        """Answer a call and do no more."""


@dataclass(frozen=True)
class Cell:
    """One kind of actor in one pattern: calls per second of both sides, round by round."""

    actor: str
    pattern: Pattern
    floor: list[float]
    actorio: list[float]

    @property
    def ratios(self) -> list[float]:
        """What part of the floor each round reached; the two of a round ran within a moment of each other."""
        return [ours / bare for ours, bare in zip(self.actorio, self.floor, strict=True)]


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    effort: Effort = USUAL_EFFORT
    rounds: int = 41
    starts: int = 7
    actors: int = 200
    idle_seconds: float = 10.0
    is_many: bool = False


QUICK_PLAN = Plan(QUICK_EFFORT, rounds=5, starts=3, actors=50, idle_seconds=2.0)


@dataclass
class Report:
    """What was found, with what it was found on."""

    machine: dict[str, Any]
    cells: list[Cell] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)


def new_actor(kind: str) -> Any:
    """Create an actor of one kind and wait until it answers."""
    if kind == "async":
        actor = actorio.remote(Coroutine).remote()
    else:
        actor = actorio.remote(Plain).options(max_concurrency=4 if kind == "threaded" else 1).remote()
    actorio.get(actor.nothing.remote(1))
    return actor


def side_of(actor: Any) -> Side:
    """Return how an actor is called."""

    def call(value: int) -> Any:
        # The method is looked up for every call, as a user's program does.
        return actor.nothing.remote(value)

    return Side(call, actorio.get, actorio.get)


def measure_calls(plan: Plan, patterns: Sequence[Pattern] = PATTERNS) -> list[Cell]:
    """Measure every kind of actor in some patterns, each next to its floor."""
    cells = []
    with contextlib.ExitStack() as stack:
        floors = {kind: stack.enter_context(floor.running(kind)) for kind in floor.KINDS}
        for kind in ACTOR_KINDS:
            actor = new_actor(kind)
            sides = [floors[FLOOR_OF[kind]], side_of(actor)]
            cells += [Cell(kind, each, *samples(sides, each, plan.effort, plan.rounds)) for each in patterns]
            footprint.end([actor])
    return cells


def measure_costs(plan: Plan) -> dict[str, float]:
    """Measure what is not a call; names end in their units."""
    figures = {f"{name}_s": value for name, value in footprint.start_seconds(plan.starts).items()}
    actor_class = actorio.remote(Plain)
    seconds, actors, pids = footprint.create(actor_class, plan.actors)
    figures["created_per_s"] = plan.actors / seconds
    if footprint.HAS_PROC:
        figures["idle_actor_private_mib"] = statistics.median(map(footprint.private_mib, pids))
    footprint.end(actors)
    if footprint.HAS_PROC:
        ticks = footprint.idle_ticks(actor_class, 10, plan.idle_seconds)
        figures[f"ten_idle_actors_cpu_ticks_in_{plan.idle_seconds:.0f}_s"] = ticks
    return figures


def measure_many() -> dict[str, float]:
    """Keep a thousand actors alive at once; ends the session."""
    seconds, actors, pids = footprint.create(actorio.remote(Plain), MANY_ACTORS)
    figures = {"thousand_actors_answering_s": seconds}
    begun = time.perf_counter()
    actorio.get([actor.nothing.remote(1) for actor in actors])
    figures["thousand_actors_called_again_s"] = time.perf_counter() - begun
    if footprint.HAS_PROC:
        figures["thousand_actors_private_mib"] = sum(map(footprint.private_mib, pids))
    begun = time.perf_counter()
    actorio.shutdown()
    figures["thousand_actors_shutdown_s"] = time.perf_counter() - begun
    return figures


def describe_machine() -> dict[str, Any]:
    """Say what the numbers belong to."""
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "actorio-node": metadata.version("actorio-node"),
        "uvloop": metadata.version("uvloop"),
    }


def call_lines(cells: list[Cell]) -> list[str]:
    """Lay out calls per second and ratios as an aligned table."""
    lines = [f"{'actor':<10}{'pattern':<10}{'floor/s':>10}{'actorio/s':>12}{'ratio':>8}   half of the rounds"]
    for cell in cells:
        bare, ours = statistics.median(cell.floor), statistics.median(cell.actorio)
        low, ratio, high = statistics.quantiles(cell.ratios, n=4)
        spread = f"{low:.2f} to {high:.2f}"
        lines.append(f"{cell.actor:<10}{cell.pattern:<10}{bare:>10,.0f}{ours:>12,.0f}{ratio:>8.2f}   {spread}")
    return lines


def figure_lines(figures: dict[str, float]) -> list[str]:
    """Lay out single figures, one a line."""
    return [f"{name.replace('_', ' '):<44}{value:>10,.3f}" for name, value in figures.items()]


def measure(plan: Plan) -> Report:
    """Measure everything in one session, printing each part when it is known."""
    report = Report(describe_machine())
    print(", ".join(f"{name} {value}" for name, value in report.machine.items()), end="\n\n")
    with actorio.init():
        report.cells = measure_calls(plan)
        print(*call_lines(report.cells), sep="\n", end="\n\n")
        report.figures = measure_costs(plan)
        print(*figure_lines(report.figures), sep="\n")
        if plan.is_many:
            many = measure_many()
            print(*figure_lines(many), sep="\n")
            report.figures |= many
    return report


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Calls to actors against bare sockets, and what actors cost.")
    parser.add_argument("--quick", action="store_true", help="fewer samples, smaller counts")
    parser.add_argument("--many", action="store_true", help=f"also keep {MANY_ACTORS:,} actors alive at once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to a file")
    options = parser.parse_args()
    plan = QUICK_PLAN if options.quick else Plan()
    report = measure(replace(plan, is_many=options.many))
    if options.json:
        options.json.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
