"""Actors that take, give and keep large values; apart from their tests, which import more than they need."""

import contextlib
import os
from pathlib import Path

import numpy as np

import actorio


class Built:
    """Has what its constructor was given."""

    def __init__(self, *values, key=None):
        self.kept = {}
        self.given, self.key = values, key

    def arguments(self):
        return *self.given, self.key

    def writable(self):
        return [value.flags.writeable for value in self.given]


@actorio.remote
class Plain(Built):
    """Takes and gives values; keeps some."""

    def total(self, *values, **named):
        return sum(int(value.sum()) for value in (*values, *named.values()))

    def total_of(self, values):
        return sum(int(value.sum()) for value in values)

    def make(self, size, fill=1):
        return np.full(size, fill, np.uint8)

    def two(self, size):
        return np.full(size, 1, np.uint8), np.full(size, 2, np.uint8)

    def give_back(self, value):
        return value

    def keep(self, name, value):
        self.kept[name] = value

    def drop(self, name):
        del self.kept[name]

    def sum_of_kept(self, name):
        return int(self.kept[name].sum())

    def write(self, value):
        value[0] = 7

    def memory_of(self, value):
        return addresses_in_memory(value)

    def files(self):
        return values_open(os.getpid())

    def fail_with(self, value):
        raise RuntimeError("no", value)


@actorio.remote
class Coroutine(Built):
    """Takes and gives values on a loop."""

    async def total(self, *values):
        return sum(int(value.sum()) for value in values)

    async def make(self, size):
        return np.full(size, 1, np.uint8)

    async def files(self):
        return values_open(os.getpid())


@actorio.remote
def total(value):
    """Sum up an array."""
    return int(value.sum())


def addresses_in_memory(value):
    """Return the file that an array's memory is a view of, None when it is the process's own."""
    address = value.__array_interface__["data"][0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        low, high = (int(part, 16) for part in line.split()[0].split("-"))
        if low <= address < high:
            return line.split()[4] if "memfd:actorio" in line else None
    return None


def values_open(pid):
    """Return how many values a process has open or mapped."""
    count = 0
    for file in Path(f"/proc/{pid}/fd").iterdir():
        # One of them was open for this look alone.
        with contextlib.suppress(FileNotFoundError):
            count += "memfd:actorio" in str(file.readlink())
    return count
