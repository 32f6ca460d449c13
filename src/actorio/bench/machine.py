"""What the numbers of a run belong to: the machine, what else it does, and the versions of what took part."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from actorio.bench.results import Machine

# Distributions whose versions matter; those that are not installed are left out.
_PACKAGES = ("actorio-node", "uvloop", "msgspec", "cloudpickle", "numpy", "ray", "xoscar")
# From this load for each processor on, something else runs that the numbers would show.
_BUSY = 0.25
_GIB = 1 << 30


def this_machine() -> Machine:
    """Describes where and with what this process runs."""
    return Machine(
        system=platform.platform(),
        processor=_processor(),
        processors=os.cpu_count() or 1,
        memory_gib=round(_memory() / _GIB, 1),
        load=round(os.getloadavg()[0], 2),
        python=platform.python_version(),
        versions={name: version for name in _PACKAGES if (version := _version(name))},
    )


def warning(machine: Machine) -> str:
    """Says in a sentence why numbers of this machine are not to be relied on; "" if nothing speaks against them."""
    if machine.load <= _BUSY * machine.processors:
        return ""
    return (
        f"The machine was busy when the run began: a load of {machine.load:.2f} on {machine.processors} processors. "
        "Wait until it is at rest, and measure again."
    )


def _processor() -> str:
    # Where /proc tells, `platform` knows the architecture at most.
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
