"""A made-up run of every shape that measurements have."""

import random
from datetime import UTC, datetime

from actorio.bench.results import Machine, Measurement, Results, Skipped

KINDS = ("single-threaded", "threaded(4)", "async")
# What each contender does in a second, one call at a time.
SPEEDS = {"actorio": 31_000, "floor": 33_000, "ray": 1_050, "xoscar": 5_100, "managers": 26_000}
PATTERNS = {"blocking": 1, "batch": 7, "await": 0.7, "gather": 3}
PLACES = (1, 3, 10, 30, 100, 300, 1000)


def machine(**changes):
    usual = {
        "system": "Linux-6.8.0-x86_64-with-glibc2.39",
        "processor": "Some Processor @ 2.60GHz",
        "processors": 2,
        "memory_gib": 15.6,
        "load": 0.12,
        "python": "3.11.9",
        "versions": {"actorio-node": "0.1.0", "uvloop": "0.21.0", "ray": "2.60.0", "xoscar": "0.12.0"},
    }
    return Machine(**(usual | changes))


class Sample:
    """Draws numbers that spread a little around what they should be, always the same ones."""

    def __init__(self, seed=6, speed=1.0):
        self.random = random.Random(seed)
        self.speed = speed
        self.found = []

    def add(self, suite, case, contender, metric, unit, around, *, better="more", rounds=9, **where):
        if contender == "actorio":
            around = around * self.speed if better == "more" else around / self.speed
        values = [around * self.random.lognormvariate(0, 0.08) for _ in range(rounds)]
        row = {"suite": suite, "case": case, "contender": contender, "metric": metric, "unit": unit}
        self.found.append(Measurement(**row, **where, better=better, values=values))

    def calls(self):
        for case, factor in PATTERNS.items():
            for kind in KINDS:
                for contender, speed in SPEEDS.items():
                    if contender == "managers" and kind != "single-threaded":
                        continue
                    self.add("calls", case, contender, "calls", "1/s", speed * factor, kind=kind)
        for size in (64, 256, 1024, 4096, 16384, 65536, 262144, 1048576):
            for contender in ("actorio", "floor"):
                seconds = SPEEDS[contender] ** -1 + size / 2e9
                self.add(
                    "calls", "payload", contender, "calls", "1/s", 1 / seconds, kind="async", at=size, along="bytes"
                )
        for count in (1, 2, 4, 8):
            for kind in KINDS:
                around = 120_000 * (1 + 0.6 * min(count, 2))
                self.add(
                    "calls",
                    "n callers, n actors",
                    "actorio",
                    "calls",
                    "1/s",
                    around,
                    kind=kind,
                    at=count,
                    along="callers and actors",
                )

    def concurrency(self):
        # What one call takes, how much of that keeps a processor busy, and where more at a time helps no more.
        loads = {
            "sleep": (0.01, 0.00005),
            "http": (0.004, 0.0004),
            "files": (0.0005, 0.0002),
            "python": (0.002, 0.002),
            "numpy": (0.003, 0.0015),
            "mixed": (0.006, 0.0008),
        }
        for case, (seconds, busy) in loads.items():
            for kind in ("threaded", "async"):
                for at in PLACES:
                    self.load(case, kind, at, seconds, busy * (1.6 if kind == "threaded" else 1))

    def load(self, case, kind, at, seconds, busy):
        rate = 1 / max(seconds / at, busy)
        told = {"kind": kind, "at": at, "along": "max_concurrency"}
        self.add("concurrency", case, "actorio", "throughput", "1/s", rate, **told)
        self.add("concurrency", case, "actorio", "p50", "ms", 1000 * at / rate, **told, better="less")
        self.add("concurrency", case, "actorio", "p99", "ms", 2600 * at / rate, **told, better="less")
        self.add("concurrency", case, "actorio", "cpu", "s", busy * 2000, **told, better="less")
        memory = 24 + (0.03 * at if kind == "threaded" else 0.004 * at)
        self.add("concurrency", case, "actorio", "memory", "MiB", memory, **told, better="less")

    def others(self):
        for case, factor in {"argument": 1.1, "result": 1.15, "put": 1.05, "get": 0.02}.items():
            for mebibytes in (1, 10, 100):
                for contender in ("actorio", "floor"):
                    around = mebibytes * 0.09 * (factor if contender == "actorio" else 1)
                    self.add("objects", f"{case}, {mebibytes} MiB", contender, "time", "ms", around, better="less")
        for kind in ("taker", "maker"):
            for taken in range(0, 10_000_001, 1_000_000):
                where = {"kind": kind, "at": taken, "along": "items"}
                self.add("streams", "a long stream", "actorio", "memory", "MiB", 21, **where, better="less")
        self.add("spawn", "init", "actorio", "time", "s", 0.11, better="less")
        self.add("spawn", "init", "ray", "time", "s", 3.7, better="less", rounds=3)
        self.add("spawn", "import", "actorio", "time", "s", 0.06, better="less")
        self.add("spawn", "create and call", "actorio", "actors", "1/s", 410)
        self.add("memory", "idle actor", "actorio", "memory", "MiB", 1.9, better="less", rounds=1)


def results(speed=1.0, seed=6, suites=None):
    """A whole run, or some of its suites; another seed and speed make another one of the same shape."""
    sample = Sample(seed, speed)
    sample.calls()
    sample.concurrency()
    sample.others()
    skipped = [
        Skipped("calls", "processpool", "it has no actors: its calls have nowhere to keep their state"),
        Skipped("control", "actorio", "needs /proc"),
    ]
    began = datetime(2025, 6, 1, 12, tzinfo=UTC).isoformat()
    found = [each for each in sample.found if suites is None or each.suite in suites]
    return Results(machine=machine(), began=began, effort="full", measurements=found, skipped=skipped)
