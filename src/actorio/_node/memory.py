"""Did the kernel's out-of-memory killer run? Its counters tell, though not whom it has killed."""

from __future__ import annotations

from contextlib import suppress

# The machine's counter, and that of the control group which a container is.
_COUNTERS = (("/proc/vmstat", b"oom_kill "), ("/sys/fs/cgroup/memory.events", b"oom_kill "))


class OutOfMemoryCounter:
    """Looks at the kernel's counters when a process was killed."""

    def __init__(self) -> None:
        self._last = _read()

    def has_run(self) -> bool:
        """Has the killer run since the last look?"""
        now = _read()
        has_run, self._last = now > self._last, now
        return has_run


def _read() -> int:
    """Returns how often it has run, 0 where the system does not tell."""
    total = 0
    for path, name in _COUNTERS:
        with suppress(OSError, ValueError), open(path, "rb") as file:  # noqa: PTH123  # pathlib would be imported for this
            total += sum(int(line[len(name) :]) for line in file if line.startswith(name))
    return total
