"""What sessions and actors cost apart from calls: seconds to start, memory to keep, CPU to leave alone.

Each function answers one question and returns plain numbers. Memory and CPU are read from ``/proc``, so on
systems without it those questions have no answer (`HAS_PROC`).
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import actorio

HAS_PROC = Path("/proc/self/smaps_rollup").exists()
MIB_IN_KIB = 1024

_START = """
import time
begun = time.perf_counter()
import actorio
imported = time.perf_counter()
actorio.init(address="local")
started = time.perf_counter()
actorio.shutdown()
print(imported - begun, started - imported, time.perf_counter() - started)
"""


def start_seconds(runs: int) -> dict[str, float]:
    """Start and end sessions in fresh interpreters.

    Returns:
        The median seconds that ``import actorio``, ``init`` and ``shutdown`` take.
    """
    timings = [_start_once() for _ in range(runs)]
    names = ("import", "init", "shutdown")
    return {name: statistics.median(column) for name, column in zip(names, zip(*timings, strict=True), strict=True)}


def _start_once() -> list[float]:
    done = subprocess.run([sys.executable, "-c", _START], capture_output=True, text=True, check=True)
    return [float(seconds) for seconds in done.stdout.split()]


def create(actor_class: Any, count: int) -> tuple[float, list[Any], list[int]]:
    """Create actors and call each one once.

    Args:
        actor_class: A remote class with a method ``pid`` that returns its process id.
        count: How many to create.

    Returns:
        The seconds until the last one had answered, the handles, and the process ids.
    """
    begun = time.perf_counter()
    actors = [actor_class.remote() for _ in range(count)]
    pids = actorio.get([actor.pid.remote() for actor in actors])
    return time.perf_counter() - begun, actors, pids


def private_mib(pid: int) -> float:
    """Return the memory in MiB that a process shares with no other: what one more of it costs."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / MIB_IN_KIB


def cpu_ticks(pids: Sequence[int]) -> int:
    """Return the CPU time that processes have used so far, in clock ticks of usually ten milliseconds."""
    return sum(_cpu_ticks(pid) for pid in pids)


def _cpu_ticks(pid: int) -> int:
    # The command's name may hold spaces; the fields after its closing parenthesis do not. Of those, the
    # twelfth and thirteenth are the time spent in the program and in the kernel on its behalf.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def idle_ticks(actor_class: Any, count: int, seconds: float) -> int:
    """Return the CPU ticks which some actors use while nobody calls them.

    The first second after their first call is left out: settling down is no idling.
    """
    _, actors, pids = create(actor_class, count)
    time.sleep(1)
    before = cpu_ticks(pids)
    time.sleep(seconds)
    used = cpu_ticks(pids) - before
    end(actors)
    return used


def end(actors: Sequence[Any]) -> None:
    """Kill actors, so that they do not run beside what is measured next."""
    for actor in actors:
        actorio.kill(actor)
