"""What processes have of the machine while they are soaked: looked at now and then, first compared with last."""

from __future__ import annotations

import gc
import statistics
from typing import TYPE_CHECKING

from actorio.bench.footprint import Footprint, footprint

if TYPE_CHECKING:
    from collections.abc import Mapping

UNITS = {"memory": "MiB", "pss": "MiB", "descriptors": "", "threads": "", "mappings": ""}
assert tuple(UNITS) == Footprint._fields  # noqa: S101  # so that each is shown in its unit


class Watch:
    """Looks at some processes.

    Args:
        processes: Their ids by what they are called.
    """

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = dict(processes)
        self.seen: dict[str, list[Footprint]] = {name: [] for name in processes}

    def look(self) -> None:
        """Looks at each once.

        Raises:
            OSError: one has ended.
        """
        gc.collect()
        for name, pid in self._processes.items():
            self.seen[name].append(footprint(pid))

    def values(self, name: str, metric: str) -> list[float]:
        """Returns what was seen of a process, without the first tenth, in which it was warming up."""
        values = [float(getattr(each, metric)) for each in self.seen[name]]
        return values[len(values) // 10 :]

    def growth(self, name: str, metric: str) -> float:
        """Returns by how much the median of the last tenth is above that of the first one after warming up."""
        values = self.values(name, metric)
        tenth = max(1, len(self.seen[name]) // 10)
        return statistics.median(values[-tenth:]) - statistics.median(values[:tenth])
