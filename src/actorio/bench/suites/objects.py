"""What do large values cost, against one copy of them in memory?"""

from __future__ import annotations

import importlib.util
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import actorio
from actorio.bench import footprint
from actorio.bench.results import BYTES, Measurement, Skipped
from actorio.bench.suite import Plan, Suite
from actorio.bench.turns import take_turns, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actorio.bench.suite import Effort

_MIB = 1 << 20
_READERS = 8
# In MiB.
_SIZES: dict[Effort, tuple[int, ...]] = {"smoke": (1,), "quick": (1, 10, 100), "full": (1, 10, 100)}
_ROUNDS: dict[Effort, int] = {"smoke": 2, "quick": 7, "full": 31}
# What is done before the first sample: it fetches fresh memory from the system.
_WARM_UP: dict[Effort, int] = {"smoke": 1, "quick": 6, "full": 6}


class Reader:
    """Takes and gives arrays; keeps one."""

    def __init__(self) -> None:
        self.made: Any = None
        self.kept: Any = None

    def take(self, value: Any) -> int:
        """Looks at an array's ends."""
        return int(value[0]) + int(value[-1])

    def prepare(self, size: int) -> None:
        """Has an array at hand, to return it."""
        import numpy as np

        self.made = np.ones(size, np.uint8)

    def give(self) -> Any:
        """Returns it."""
        return self.made

    def keep(self, value: Any) -> int:
        """Keeps an array and reads all of it."""
        self.kept = value
        return int(value.sum())

    def pid(self) -> int:
        """Says which process this is."""
        return os.getpid()


def _cases(size: int, readers: list[Any]) -> dict[str, Callable[[], object]]:
    """What is timed for arrays of one size."""
    import numpy as np

    array = np.ones(size, np.uint8)
    first = readers[0]
    ref = actorio.put(array)
    result = first.give.remote
    actorio.get(first.prepare.remote(size))
    return {
        "argument": lambda: actorio.get(first.take.remote(array)),
        "result": lambda: actorio.get(result()),
        "put": lambda: actorio.put(array),
        "get": lambda: actorio.get(ref),
        "reference as argument": lambda: actorio.get(first.take.remote(ref)),
        "result handed on": lambda: actorio.get(readers[1].take.remote(result())),
        f"argument of {_READERS}": lambda: _to_all(array, readers),
        f"put, reference to {_READERS}": lambda: _to_all(actorio.put(array), readers),
    }


def _to_all(value: Any, readers: list[Any]) -> None:
    """Has every reader look at one value."""
    actorio.get([reader.take.remote(value) for reader in readers])


def _measure_size(plan: Plan, size: int, readers: list[Any]) -> Iterator[Measurement]:
    """Times every case in turns with a copy."""
    import numpy as np

    copy = partial(np.copyto, np.zeros(size, np.uint8), np.ones(size, np.uint8))
    for case, action in _cases(size, readers).items():
        plan.advance(f"{case}, {size // _MIB} MiB")
        sides = {"memcpy": timed(copy), "actorio": timed(action)}
        found = take_turns(sides, _ROUNDS[plan.effort], warm_up=_WARM_UP[plan.effort])
        for contender, seconds in found.items():
            yield Measurement(
                suite="objects",
                case=case,
                contender=contender,
                metric="time",
                unit="ms",
                better="less",
                values=[1e3 * value for value in seconds],
                at=size,
                along=BYTES,
            )


def _measure_memory(plan: Plan, size: int, readers: list[Any]) -> Iterator[Measurement]:
    """What the readers of one array use of their own, all together, before and after they have read it."""
    import numpy as np

    plan.advance(f"memory of {_READERS} readers")
    pids = actorio.get([reader.pid.remote() for reader in readers])
    ref = actorio.put(np.ones(size, np.uint8))
    for kind in ("before", "after"):
        if kind == "after":
            actorio.get([reader.keep.remote(ref) for reader in readers])
        yield Measurement(
            suite="objects",
            case=f"{_READERS} readers of one array",
            contender="actorio",
            kind=kind,
            metric="memory",
            unit="MiB",
            better="less",
            values=[sum(map(footprint.private_mib, pids))],
            at=size,
            along=BYTES,
        )


def measure(plan: Plan) -> Iterator[Measurement]:
    """Measures each size in turn, then the memory."""
    if importlib.util.find_spec("numpy") is None:
        plan.skip(Skipped("objects", "actorio", 'numpy is not installed: pip install "actorio-node[bench]"'))
        return
    sizes = [mebibytes * _MIB for mebibytes in _SIZES[plan.effort]]
    with actorio.init(address="local"):
        actor_class: Any = actorio.remote(Reader)
        readers = [actor_class.remote() for _ in range(_READERS)]
        for size in sizes:
            yield from _measure_size(plan, size, readers)
        if footprint.HAS_PROC:
            yield from _measure_memory(plan, sizes[-1], readers)
        else:
            plan.skip(Skipped("objects", "actorio", footprint.NO_PROC))


SUITE = Suite(
    name="objects",
    title="What do large values cost, against one copy of them in memory?",
    about=(
        "Arrays of 1, 10 and 100 MiB travel as an argument, as a result, by `put` and `get`, as a reference that is an "
        "argument, and as the result of one actor that is the argument of another; to one reader and to eight. Each "
        "takes turns with `memcpy`, a copy of the same size into memory that is there already. A value that crosses "
        "to another process has to be written once, so 1 is as good as it gets for what writes; `get` and a "
        "reference as argument write nothing, and should cost the same at all sizes. The first few of each are not "
        "counted: they fetch memory from the system, and those after them use it again. Memory is what eight readers "
        "of one array have of their own, all together, before and after they have read it: the difference should be "
        "far below eight arrays, since all of them look at the same pages."
    ),
    measure=measure,
)
