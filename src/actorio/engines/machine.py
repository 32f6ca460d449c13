"""What this machine has, where `init` was not told otherwise."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from actorio._model.resources import CPU, GPU, GPUS_VARIABLE, MEMORY, UNIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actorio._model.resources import Amounts


def resources(chosen: Mapping[str, int], gpus: list[str]) -> Amounts:
    """Returns what a session has of each resource: what was chosen, and otherwise what this process may use."""
    there = {CPU: _cpus() * UNIT, MEMORY: _memory() * UNIT} | dict(chosen)
    there[GPU] = len(gpus) * UNIT
    return {name: amount for name, amount in there.items() if amount or name == CPU}


def gpu_ids(chosen: Mapping[str, int]) -> list[str]:
    """Returns an id for each GPU, as CUDA_VISIBLE_DEVICES has them: as many as were chosen, or all that there are."""
    visible = os.environ.get(GPUS_VARIABLE)
    found = _devices() if visible is None else [name.strip() for name in visible.split(",") if name.strip()]
    if GPU not in chosen:
        return found
    count = chosen[GPU] // UNIT
    # Whoever says that there are more knows better, or has none and tries his program.
    return [*found[:count], *map(str, range(len(found), count))]


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _devices() -> list[str]:
    try:
        names = os.listdir("/proc/driver/nvidia/gpus")  # noqa: PTH208  # pathlib would be imported for this alone
    except OSError:
        return []
    return [str(number) for number in range(len(names))]
