"""What processes cost apart from calls: memory to keep, CPU to leave alone, descriptors, threads and mappings.

Memory and CPU are read from ``/proc``, so on systems without it those questions have no answer (`HAS_PROC`).
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import actorio
from actorio.bench.idle import Idle

if TYPE_CHECKING:
    from collections.abc import Sequence

HAS_PROC = Path("/proc/self/smaps_rollup").exists()
NO_PROC = "memory and CPU are read from /proc, which this system has not got"
_KIB_PER_MIB = 1024
# After their last call, processes settle for a moment, which is no idling; in seconds.
_SETTLING = 1.0


class Footprint(NamedTuple):
    """What a process has of the machine.

    Attributes:
        memory: What it shares with no other process, and would be free without it, in MiB.
        pss: That, and its part of what it shares, in MiB.
        descriptors: Open ones.
        threads: Running or waiting.
        mappings: Stretches of its address space.
    """

    memory: float
    pss: float
    descriptors: int
    threads: int
    mappings: int


def footprint(pid: int) -> Footprint:
    """Looks at a process.

    Raises:
        OSError: it has ended, or is another user's.
    """
    memory, pss = _rollup(pid)
    folder = f"/proc/{pid}"
    mappings = Path(folder, "maps").read_bytes().count(b"\n")
    return Footprint(memory, pss, len(os.listdir(f"{folder}/fd")), len(os.listdir(f"{folder}/task")), mappings)  # noqa: PTH208  # names alone


def private_mib(pid: int) -> float:
    """Returns the memory in MiB that a process shares with no other: what one more of it costs."""
    return _rollup(pid)[0]


def pss_mib(pid: int) -> float:
    """Returns the memory in MiB that is a process's own, and its part of what it shares."""
    return _rollup(pid)[1]


def _rollup(pid: int) -> tuple[float, float]:
    private = pss = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Private_"):
            private += int(line.split()[1])
        elif line.startswith("Pss:"):
            pss = int(line.split()[1])
    return private / _KIB_PER_MIB, pss / _KIB_PER_MIB


def parent(pid: int) -> int:
    """Returns the process that another was started by; an actor's is the zygote, on Linux."""
    return int(_stat(pid)[1])


def cpu_seconds(pids: Sequence[int]) -> float:
    """Returns the CPU time that processes have used so far; the kernel counts it in steps of usually 10 ms."""
    # The twelfth and thirteenth field are the time spent in the program and in the kernel on its behalf.
    ticks = sum(int(fields[11]) + int(fields[12]) for fields in map(_stat, pids))
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    # The command's name may hold spaces; the fields after its closing parenthesis do not.
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def idle_seconds(count: int, seconds: float) -> float:
    """Returns the CPU time which some actors use, all together, while nobody calls them for so many seconds."""
    _, actors, pids = create(count)
    time.sleep(_SETTLING)
    before = cpu_seconds(pids)
    time.sleep(seconds)
    used = cpu_seconds(pids) - before
    end(actors)
    return used


def create(count: int) -> tuple[float, list[Any], list[int]]:
    """Creates actors and calls each one once.

    Returns:
        The seconds until the last one had answered, the handles, and the process ids.
    """
    actor_class: Any = actorio.remote(Idle)
    begun = time.perf_counter()
    actors = [actor_class.remote() for _ in range(count)]
    pids = actorio.get([actor.pid.remote() for actor in actors])
    return time.perf_counter() - begun, actors, pids


def end(actors: Sequence[Any]) -> None:
    """Kills actors, so that they do not run beside what is measured next."""
    for actor in actors:
        actorio.kill(actor)
