"""What a run of benchmarks has found: rows of measurements, and what they were found on. Kept as JSON."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

# The layout of the file; one that says another number is not read.
FORMAT = 1

Better = Literal["more", "less"]

# Along these, places are written as sizes: 64 KiB.
BYTES = "bytes"


class Measurement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was measured, several times over.

    Attributes:
        suite: The name of the suite: "calls".
        case: What was done: "blocking", "sleep", "argument".
        contender: Who did it: "actorio", "floor", "ray".
        kind: In which of its forms, if it has several: "single-threaded", "threaded(4)", "async".
        metric: What was counted: "calls", "p99", "memory".
        unit: "1/s", "s", "ms", "MiB".
        better: Is more of it better, or less?
        at: The place on a curve: a concurrency, a size in bytes. None if there is no curve.
        along: What `at` counts: "max_concurrency", "bytes"; "" if there is no curve.
        values: One number a round, at least one, and each of them finite. Contenders of one case take turns, so equal
            places in two such lists were found within a moment of each other.

    Raises:
        ValueError: there are no values, or one is NaN or infinite, which JSON has no words for; or `at` and `along`
            do not come together.
    """

    suite: str
    case: str
    contender: str
    metric: str
    unit: str
    better: Better
    values: list[float]
    kind: str = ""
    at: float | None = None
    along: str = ""

    def __post_init__(self) -> None:
        """Refuses what could not be written, or read again."""
        if not self.values or not all(map(math.isfinite, self.values)):
            raise ValueError(f"{self.suite}, {self.case}, {self.metric}: no finite numbers, but {self.values}")
        if (self.at is None) == bool(self.along):
            raise ValueError(f"{self.suite}, {self.case}: at={self.at} and along={self.along!r} come together")

    @property
    def median(self) -> float:
        """The number that stands for all."""
        return statistics.median(self.values)

    @property
    def cell(self) -> tuple[str, str, str, str, str, float | None]:
        """What this has in common with the same thing done by another contender, or at another time."""
        return self.suite, self.case, self.kind, self.metric, self.along, self.at


class Skipped(msgspec.Struct, frozen=True):
    """What was not measured, and why."""

    suite: str
    contender: str
    reason: str


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What the numbers belong to.

    Attributes:
        load: How many processes wanted a processor when the run began, on average over a minute.
        versions: Of the packages that took part, by name.
    """

    system: str
    processor: str
    processors: int
    memory_gib: float
    load: float
    python: str
    versions: dict[str, str]


class Results(msgspec.Struct, kw_only=True):
    """A run.

    Attributes:
        began: ISO 8601, in UTC.
        effort: "smoke", "quick" or "full".
        missing: The suites that a run which ended early has not measured, or not to their end.
    """

    machine: Machine
    began: str
    effort: str
    measurements: list[Measurement]
    skipped: list[Skipped]
    format: int = FORMAT
    missing: list[str] = msgspec.field(default_factory=list)

    @property
    def early_end(self) -> str:
        """Says which suites a run that ended early lacks; "" if it did not."""
        begun = {each.suite for each in self.measurements}
        words = (f"{name} (in part)" if name in begun else name for name in self.missing)
        return f"ended early: not measured: {', '.join(words)}" if self.missing else ""


def save(results: Results, path: Path) -> None:
    """Writes a run to a file, whole or not at all."""
    data = msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n"
    if path.exists() and not path.is_file():
        # A pipe, or the terminal.
        path.write_bytes(data)
        return
    # First beside it: should the disk be full, what was there before is whole.
    beside = path.with_name(f"{path.name}.part")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load(path: Path) -> Results:
    """Reads a run from a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a run, or of another format.
    """
    try:
        results = msgspec.json.decode(path.read_bytes(), type=Results)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} is no result of `actorio bench`: {error}") from error
    if results.format != FORMAT:
        raise ValueError(f"{path} has format {results.format}; this version reads {FORMAT}")
    return results
