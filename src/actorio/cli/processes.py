"""What the system knows of a process: its state, its CPU time, its memory. Read where Linux has it, else by psutil."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting for a device",
    "T": "stopped",
    "t": "stopped by a debugger",
    "Z": "ended",
    "X": "ended",
    "I": "sleeping",
}
# In /proc/PID/stat behind the command's name: the state, and times in user mode and in the kernel.
_STATE_FIELD, _USER_FIELD, _KERNEL_FIELD = 0, 11, 12
_KIB = 1024


@dataclass(frozen=True)
class Usage:
    """What a process has used.

    Attributes:
        state: ``"running"``, ``"sleeping"``, ``"stopped"``, ...
        cpu: its CPU time since it began, in seconds.
        memory: bytes that are its own: what it shares with the process that it was forked from is not counted.
    """

    state: str
    cpu: float
    memory: int


def usage(pid: int) -> Usage | None:
    """Returns what a process has used; None when it has ended, or the system does not tell."""
    if not pid:
        return None
    try:
        fields = _fields(pid)
    except FileNotFoundError:
        return None if _PROC.joinpath("self").exists() else _usage_by_psutil(pid)
    except OSError:
        return None
    ticks = int(fields[_USER_FIELD]) + int(fields[_KERNEL_FIELD])
    return Usage(_STATES.get(fields[_STATE_FIELD], "unknown"), ticks / os.sysconf("SC_CLK_TCK"), _memory(pid))


def state(pid: int) -> str:
    """Returns what a process is doing, ``"unknown"`` where the system does not tell."""
    found = usage(pid)
    return "unknown" if found is None else found.state


def _fields(pid: int) -> list[str]:
    # The command's name may hold spaces and parentheses; nothing behind the last one does.
    return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()


def _memory(pid: int) -> int:
    with suppress(OSError):
        text = (_PROC / str(pid) / "smaps_rollup").read_text()
        return sum(int(line.split()[1]) * _KIB for line in text.splitlines() if line.startswith("Private_"))
    return 0


def _usage_by_psutil(pid: int) -> Usage | None:
    try:
        import psutil
    except ImportError:
        return None
    return _measured(psutil, pid)


def _measured(psutil: Any, pid: int) -> Usage | None:
    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        return Usage(process.status(), times.user + times.system, process.memory_full_info().uss)
    except psutil.Error:
        return None


def command(pid: int) -> str:
    """Returns the command line of a process, "" when it cannot be read."""
    try:
        data = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    return data.replace(b"\0", b" ").decode(errors="replace").strip()


def catches(pid: int, number: int) -> bool:
    """Does a process handle a signal? What it does not handle may end it. Where the system does not tell: yes.

    Raises:
        ProcessLookupError: it has ended.
    """
    try:
        lines = (_PROC / str(pid) / "status").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        if _PROC.joinpath("self").exists():
            raise ProcessLookupError(f"process {pid} has ended") from None
        return True
    caught = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")), -1)
    return bool(caught >> (number - 1) & 1)
