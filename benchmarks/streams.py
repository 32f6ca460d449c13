"""How fast do items flow, and does a slow taker hold the maker?

A stream of small items, and one of 64 KiB messages, next to the floor: a bare process that writes length-prefixed
pickles into a socket as fast as it can, and one that reads them. Then the memory of both sides of a long stream.

    python benchmarks/streams.py              everything, about a minute
    python benchmarks/streams.py --quick      fewer items
"""

import argparse
import asyncio
import gc
import os
import pickle
import socket
import statistics
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import footprint
from calls import describe_machine

import actorio

KIB, MIB = 1 << 10, 1 << 20
MESSAGE = b"m" * (64 * KIB)
_PREFIX = struct.Struct("<I")


class Threaded:
    """Streams from a thread."""

    def numbers(self, count: int) -> Iterator[int]:
        """Count."""
        yield from range(count)

    def messages(self, count: int) -> Iterator[bytes]:
        """Repeat a message."""
        for _ in range(count):
            yield MESSAGE

    def private_mib(self) -> float:
        """Say how much memory is this process's own."""
        return footprint.private_mib(os.getpid())


class Coroutine:
    """Streams from a loop."""

    async def numbers(self, count: int) -> Any:
        """Count."""
        for number in range(count):
            yield number

    async def messages(self, count: int) -> Any:
        """Repeat a message."""
        for _ in range(count):
            yield MESSAGE


def floor(items: Callable[[], Iterator[Any]]) -> float:
    """Return the seconds in which a bare process sends items to this one."""
    ours, theirs = socket.socketpair()
    begun = time.perf_counter()
    pid = os.fork()
    if not pid:
        ours.close()
        out = bytearray()
        for item in items():
            data = pickle.dumps(item, 5)
            out += _PREFIX.pack(len(data)) + data
            if len(out) > 64 * KIB:
                theirs.sendall(out)
                out.clear()
        theirs.sendall(out)
        os._exit(0)
    theirs.close()
    with ours.makefile("rb", buffering=256 * KIB) as file:
        while prefix := file.read(_PREFIX.size):
            pickle.loads(file.read(_PREFIX.unpack(prefix)[0]))
    os.waitpid(pid, 0)
    ours.close()
    return time.perf_counter() - begun


def taken(stream: Any) -> float:
    """Return the seconds in which a script takes all items of a stream."""
    begun = time.perf_counter()
    for _ in stream:
        pass
    return time.perf_counter() - begun


async def awaited(stream: Any) -> float:
    """Return the seconds in which a task takes all items of a stream."""
    begun = time.perf_counter()
    async for _ in stream:
        pass
    return time.perf_counter() - begun


def measure(count: int, method: str, rounds: int, items: Callable[[], Iterator[Any]]) -> dict[str, tuple[float, float]]:
    """Return items per second, bare and ours, for each kind of actor and each way to take them."""
    actors = {"threaded": actorio.remote(Threaded).remote(), "async": actorio.remote(Coroutine).remote()}
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for kind, actor in actors.items():
            bare = count / floor(items)
            stream = getattr(actor, method).stream
            found.setdefault(f"{kind}, for", []).append((bare, count / taken(stream(count))))
            found.setdefault(f"{kind}, async for", []).append((bare, count / asyncio.run(awaited(stream(count)))))
    return {
        name: (statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs))
        for name, pairs in found.items()
    }


def print_rates(title: str, found: dict[str, tuple[float, float]], unit: float, name: str) -> None:
    """Lay out rates next to the floor."""
    print(f"{title:<24}{'floor':>12}{'actorio':>12}{'ratio':>8}   {name}")
    for way, (bare, ours) in found.items():
        print(f"  {way:<22}{bare * unit:>12,.0f}{ours * unit:>12,.0f}{ours / bare:>8.2f}")


def measure_memory(count: int) -> None:
    """Take a long stream, slowly at first, and print the memory of both sides on the way."""
    maker = actorio.remote(Threaded).options(max_concurrency=2).remote()
    stream = maker.numbers.stream(count)
    for tenth in range(11):
        gc.collect()
        ours, theirs = footprint.private_mib(os.getpid()), actorio.get(maker.private_mib.remote())
        print(f"  after {tenth * count // 10:>12,} items: taker {ours:7.1f} MiB, maker {theirs:7.1f} MiB")
        if not tenth:
            # The maker waits for this.
            time.sleep(1)
        for _ in range(count // 10 if tenth < 10 else 0):
            next(stream)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Streams against a bare socket.")
    parser.add_argument("--quick", action="store_true", help="fewer items")
    options = parser.parse_args()
    small, messages, long = (100_000, 3_000, 100_000) if options.quick else (1_000_000, 20_000, 10_000_000)
    print(", ".join(f"{name} {value}" for name, value in describe_machine().items()), end="\n\n")
    with actorio.init():
        rounds = 1 if options.quick else 3
        numbers = measure(small, "numbers", rounds, lambda: iter(range(small)))
        print_rates(f"{small:,} small items", numbers, 1.0, "items/s")
        parts = measure(messages, "messages", rounds, lambda: (MESSAGE for _ in range(messages)))
        print_rates(f"{messages:,} of 64 KiB", parts, len(MESSAGE) / 1e6, "MB/s")
        print(f"a stream of {long:,} items")
        if footprint.HAS_PROC:
            measure_memory(long)


if __name__ == "__main__":
    main()
