"""Logical resources: what an actor or a task says that it needs of the machine. Nobody measures what it takes.

Amounts are whole numbers of ten-thousandths, as in Ray, so that ten times 0.1 is exactly one. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

CPU: Final = "CPU"
GPU: Final = "GPU"
MEMORY: Final = "memory"
GPUS_VARIABLE: Final = "CUDA_VISIBLE_DEVICES"
"""Says in each process which GPUs it may use."""
UNIT: Final = 10_000
"""What is counted as one."""

Amounts = dict[str, int]
"""How much of each resource, by its name."""

_OPTIONS: Final = {"num_cpus": CPU, "num_gpus": GPU, "memory": MEMORY}


class Needs(NamedTuple):
    """What one run of a task needs.

    Attributes:
        amounts: pairs of a resource's name and its amount; those of 0 are left out.
        max_calls: a worker ends after so many runs of the function; 0: it does not.
    """

    amounts: tuple[tuple[str, int], ...] = ()
    max_calls: int = 0


def amounts_of(options: Mapping[str, Any]) -> Amounts:
    """Returns what validated options say; what they do not name is left out."""
    given = {_OPTIONS[name]: options[name] for name in _OPTIONS if options.get(name) is not None}
    given |= options.get("resources") or {}
    return {name: round(amount * UNIT) for name, amount in given.items()}


def needs_of(options: Mapping[str, Any], *, is_async: bool) -> Needs:
    """Returns what the options of a task say: one CPU, unless told otherwise.

    An ``async def`` function needs none: it waits most of the time. Where it runs on a GPU its worker ends with it,
    which alone gives back all of the memory there.
    """
    amounts = {CPU: 0 if is_async else UNIT} | amounts_of(options)
    max_calls = options.get("max_calls")
    if max_calls is None:
        max_calls = 1 if amounts.get(GPU) else 0
    return Needs(tuple(sorted((name, amount) for name, amount in amounts.items() if amount)), max_calls)


def number(amount: int) -> float:
    """Returns an amount as the user counts: 1, or 0.5."""
    return amount // UNIT if amount % UNIT == 0 else amount / UNIT


def numbers(amounts: Mapping[str, int]) -> dict[str, float]:
    """Returns amounts as Ray gives them: floats by names."""
    return {name: amount / UNIT for name, amount in amounts.items()}


def in_words(amounts: Mapping[str, int]) -> str:
    """Returns amounts for a person: ``"1 CPU and 0.5 GPU"``."""
    return " and ".join(f"{number(amount)} {name}" for name, amount in amounts.items()) or "nothing"


def lack(wanted: Mapping[str, int], totals: Mapping[str, int]) -> str:
    """Returns why nobody can ever have this, in numbers; "" when it can be had."""
    missing = {name: amount for name, amount in wanted.items() if amount > totals.get(name, 0)}
    if not missing:
        return ""
    there = in_words({name: totals.get(name, 0) for name in missing})
    settings = sorted({_setting(name) for name in missing})
    return f"it needs {in_words(missing)}, and the session has {there} in all: see init({', '.join(settings)})"


def _setting(name: str) -> str:
    # What a machine has of memory cannot be said to init() by itself.
    return {CPU: "num_cpus=", GPU: "num_gpus="}.get(name, "resources=")
