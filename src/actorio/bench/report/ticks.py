"""Where an axis has its ticks, and what is written there. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from actorio.bench import cells

if TYPE_CHECKING:
    from collections.abc import Iterable

# An axis has about so many ticks, and no more than twice as many.
_USUAL = 5

# With fewer decades than this, ticks stand between the powers of ten too.
_FEW_DECADES = 1.7


def even(high: float) -> list[float]:
    """Ticks from zero up to a number, at steps that are easy to read."""
    if not high > 0:
        return [0.0]
    rough = high / (_USUAL - 1)
    power: float = 10.0 ** math.floor(math.log10(rough))
    step = next(power * part for part in (1, 2, 2.5, 5, 10, 20) if power * part >= rough * 0.999)
    return [step * place for place in range(math.floor(high / step * 1.001) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic scale between two numbers above zero."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    parts = (1, 2, 5) if math.log10(high / low) < _FEW_DECADES else (1,)
    every = max(1, math.ceil((last - first) / (2 * _USUAL)))
    found = [part * 10.0**power for power in range(first, last + 1, every) for part in parts]
    return [tick for tick in found if low * 0.999 <= tick <= high * 1.001]


def places(some: Iterable[float], *, is_size: bool, is_long: bool) -> list[float]:
    """Ticks for places on a curve: all of them if they are few, else some."""
    found = sorted(set(some))
    if len(found) <= _USUAL:
        return found
    if is_long and not is_size:
        return decades(found[0], found[-1])
    return found[:: math.ceil(len(found) / (_USUAL + 1))]


def text(value: float, unit: str = "") -> str:
    """Writes a tick, in its best unit if it is a round number there; a unit that is the same for all is left out."""
    factor, name = cells.scale(unit, abs(value))
    if (factor, name) == (1.0, unit) and not cells.is_on_ladder(unit):
        return _short(value)
    if not math.isclose(value * factor, float(f"{value * factor:.2g}")):
        factor, name = 1.0, unit
    return f"{_short(value * factor)} {name}" if value else "0"


def _short(value: float) -> str:
    """Writes 2,000,000 as 2M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}" if letter else f"{value / 1000:g}k"
    return f"{round(value, 12):,.10g}"
