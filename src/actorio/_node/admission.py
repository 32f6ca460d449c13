"""What a session has of each resource, who has it now, and who waits for it. Pure.

Whoever asks gets it at once, or waits; who has waited longest is looked at first. As in Ray a small wish may be granted
before a large one that came earlier: nobody knows when what that waits for will be free, if ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from actorio._model.resources import CPU, GPU, UNIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actorio._model.resources import Amounts

Key = str | tuple[str, int]
"""Who asks: an actor by its id, or a process for tasks, by its name and a number of its own."""


class Claim(NamedTuple):
    """What somebody has.

    Attributes:
        gpus: how much of which GPU, by its id.
    """

    amounts: Amounts
    gpus: dict[str, int]


class Admission:
    """The resources of one session.

    Args:
        totals: what there is.
        gpu_ids: one for each GPU.
    """

    def __init__(self, totals: Mapping[str, int], gpu_ids: Iterable[str] = ()) -> None:
        self.totals: Amounts = dict(totals)
        self.free: Amounts = dict(totals)
        self.claims: dict[Key, Claim] = {}
        # In the order of asking.
        self.waiting: dict[Key, Amounts] = {}
        self._free_gpus = dict.fromkeys(gpu_ids, UNIT)
        self._granted: list[Key] = []

    # --- asking and giving back ---------------------------------------------------------------------------------

    def ask(self, key: Key, amounts: Mapping[str, int]) -> bool:
        """Somebody wants this; returns whether he has it. If not, `take_granted` will tell."""
        self.waiting[key] = dict(amounts)
        self._grant()
        if key in self.waiting:
            return False
        self._granted.remove(key)
        return True

    def insist(self, key: Key, amounts: Mapping[str, int], gpus: Iterable[str] = ()) -> None:
        """Somebody has this already, whatever there is: a node before this one has granted it.

        Without ``gpus`` he has not used any yet.
        """
        shared = {gpu: _share(amounts) for gpu in gpus} or self._choose_gpus(dict(amounts)) or {}
        self._take(key, Claim(dict(amounts), shared))

    def give_back(self, key: Key) -> None:
        """Whoever had this, or waited for it, does so no more."""
        self.waiting.pop(key, None)
        if key in self._granted:
            self._granted.remove(key)
        claim = self.claims.pop(key, None)
        if claim is not None:
            self._add(claim.amounts, 1)
            for gpu, amount in claim.gpus.items():
                self._free_gpus[gpu] = self._free_gpus.get(gpu, 0) + amount
        self._grant()

    def change_cpus(self, key: Key, amount: int) -> None:
        """He has so much of the CPUs from now on: tasks that wait give theirs back, and take them again unasked."""
        claim = self.claims.get(key)
        if claim is None or claim.amounts.get(CPU, 0) == amount:
            return
        self.free[CPU] = self.free.get(CPU, 0) + claim.amounts.get(CPU, 0) - amount
        claim.amounts[CPU] = amount
        self._grant()

    def take_granted(self) -> list[Key]:
        """Returns those who waited and have now what they wanted, since the last question."""
        granted, self._granted = self._granted, []
        return granted

    # --- deciding -----------------------------------------------------------------------------------------------

    def _grant(self) -> None:
        for key, amounts in list(self.waiting.items()):
            gpus = self._choose_gpus(amounts)
            if gpus is not None and self._fits(amounts):
                del self.waiting[key]
                self._take(key, Claim(amounts, gpus))
                self._granted.append(key)

    def _fits(self, amounts: Amounts) -> bool:
        return all(not amount or self.free.get(name, 0) >= amount for name, amount in amounts.items())

    def _choose_gpus(self, amounts: Amounts) -> dict[str, int] | None:
        """Returns how much of which GPU; None when that is not to be had."""
        wanted = amounts.get(GPU, 0)
        if not wanted:
            return {}
        share, count = _share(amounts), max(1, wanted // UNIT)
        # Those of which least is left first, so that whole ones stay for those who need them.
        fitting = sorted((free, gpu) for gpu, free in self._free_gpus.items() if free >= share)
        return {gpu: share for _, gpu in fitting[:count]} if len(fitting) >= count else None

    def _take(self, key: Key, claim: Claim) -> None:
        self.claims[key] = claim
        self._add(claim.amounts, -1)
        for gpu, amount in claim.gpus.items():
            self._free_gpus[gpu] = self._free_gpus.get(gpu, 0) - amount

    def _add(self, amounts: Amounts, sign: int) -> None:
        for name, amount in amounts.items():
            self.free[name] = self.free.get(name, 0) + sign * amount

    # --- questions ----------------------------------------------------------------------------------------------

    def in_the_way_of(self, key: Key) -> list[Key]:
        """Returns who has something of what this one waits for and cannot have."""
        wanted = {name for name, amount in self.waiting.get(key, {}).items() if amount > self.free.get(name, 0)}
        return [other for other, claim in self.claims.items() if any(claim.amounts.get(name) for name in wanted)]

    def gpus_of(self, key: Key) -> list[str]:
        """Returns the ids of the GPUs that he has."""
        return list(self.claims[key].gpus) if key in self.claims else []


def _share(amounts: Mapping[str, int]) -> int:
    """Returns how much of each GPU is taken: one is shared, of several each is taken whole."""
    return min(UNIT, amounts.get(GPU, 0))
