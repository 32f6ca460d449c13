"""What do large values cost, against one copy of them in memory?

Arrays of 1, 10 and 100 MiB as argument, result, `put`, `get` and as an argument that is a reference, to one reader and
to eight. Each is timed in turns with a copy of the same size into memory that is there already (`memcpy`); the answer
is the ratio. "Warm" is what comes after the first few: memory is used again. Then what eight readers of one array use.

    python benchmarks/objects.py              everything, about a minute
    python benchmarks/objects.py --quick      fewer samples: for a look, not for a claim
    python benchmarks/objects.py --json FILE  writes every sample as well
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import footprint
import numpy as np
from calls import describe_machine

import actorio

MIB = 1 << 20
SIZES = (1, 10, 100)
READERS = 8
# What is done before the first sample: it fetches fresh memory from the system.
WARM_UP = 6


class Reader:
    """Takes and gives arrays; keeps one."""

    def __init__(self) -> None:
        self.made: Any = None
        self.kept: Any = None

    def take(self, value: Any) -> int:
        """Look at an array's ends."""
        return int(value[0]) + int(value[-1])

    def prepare(self, size: int) -> None:
        """Have an array at hand, to return it."""
        self.made = np.ones(size, np.uint8)

    def give(self) -> Any:
        """Return it."""
        return self.made

    def keep(self, value: Any) -> int:
        """Keep an array and read all of it."""
        self.kept = value
        return int(value.sum())

    def pid(self) -> int:
        """Say which process this is."""
        return os.getpid()


def seconds(action: Callable[[], object]) -> float:
    """Time one run."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def patterns(size: int, readers: list[Any]) -> dict[str, Callable[[], object]]:
    """Return what is timed for arrays of one size."""
    array = np.ones(size, np.uint8)
    first = readers[0]
    ref = actorio.put(array)
    actorio.get(first.prepare.remote(size))
    return {
        "argument": lambda: actorio.get(first.take.remote(array)),
        "result": lambda: actorio.get(first.give.remote()),
        "put": lambda: actorio.put(array),
        "get": lambda: actorio.get(ref),
        "reference as argument": lambda: actorio.get(first.take.remote(ref)),
        f"argument of {READERS}": lambda: actorio.get([reader.take.remote(array) for reader in readers]),
        f"put, reference to {READERS}": lambda: to_all(actorio.put(array), readers),
    }


def to_all(ref: Any, readers: list[Any]) -> None:
    """Have every reader look at one value."""
    actorio.get([reader.take.remote(ref) for reader in readers])


def measure_size(size: int, readers: list[Any], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Time every pattern in turns with a copy; return the seconds of both."""
    source, target = np.ones(size, np.uint8), np.zeros(size, np.uint8)
    found = {}
    for name, action in patterns(size, readers).items():
        for _ in range(WARM_UP):
            np.copyto(target, source)
            action()
        pairs = [(seconds(lambda: np.copyto(target, source)), seconds(action)) for _ in range(rounds)]
        found[name] = {"memcpy": [pair[0] for pair in pairs], "actorio": [pair[1] for pair in pairs]}
    return found


def lines_of(mebibytes: int, found: dict[str, dict[str, list[float]]]) -> list[str]:
    """Lay out one size."""
    lines = []
    for name, samples in found.items():
        copy, ours = (statistics.median(samples[side]) * 1e3 for side in ("memcpy", "actorio"))
        low, high = (1e3 * statistics.quantiles(samples["actorio"], n=4)[index] for index in (0, 2))
        spread = f"{low:.2f} to {high:.2f}"
        lines.append(f"{mebibytes:>4}  {name:<24}{copy:>10.2f}{ours:>10.2f}{ours / copy:>8.2f}   {spread}")
    return lines


def measure_memory(size: int, readers: list[Any]) -> dict[str, float]:
    """Return what the readers of one array use of their own, in MiB, before and after they have read it."""
    pids = actorio.get([reader.pid.remote() for reader in readers])
    ref = actorio.put(np.ones(size, np.uint8))
    before = sum(map(footprint.private_mib, pids))
    actorio.get([reader.keep.remote(ref) for reader in readers])
    after = sum(map(footprint.private_mib, pids))
    return {"array_mib": size / MIB, "readers": len(pids), "private_before_mib": before, "private_after_mib": after}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Large values against a copy in memory.")
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to a file")
    options = parser.parse_args()
    report: dict[str, Any] = {"machine": describe_machine(), "sizes": {}}
    print(", ".join(f"{name} {value}" for name, value in report["machine"].items()), end="\n\n")
    print(f"{'MiB':>4}  {'pattern':<24}{'memcpy ms':>10}{'ms':>10}{'ratio':>8}   half of the rounds, ms")
    with actorio.init():
        readers = [actorio.remote(Reader).remote() for _ in range(READERS)]
        for mebibytes in SIZES:
            found = measure_size(mebibytes * MIB, readers, 7 if options.quick else 31)
            report["sizes"][mebibytes] = found
            print(*lines_of(mebibytes, found), sep="\n")
        if footprint.HAS_PROC:
            report["memory"] = memory = measure_memory(SIZES[-1] * MIB, readers)
            print(
                f"\n{memory['readers']} readers of one array of {memory['array_mib']:.0f} MiB: private memory of all ",
                end="",
            )
            print(f"{memory['private_before_mib']:.1f} MiB before, {memory['private_after_mib']:.1f} MiB after")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
