"""Leases: which process may run tasks in which worker, as long as the resources that they need are its.

A process asks for a lease on what a task needs, runs tasks of that kind in the leased worker, one after the other, and
gives the lease back when it has no more of them, or when others wait. No task passes here. Pure, as the registry is.

Workers belong to a family of processes, and end with its head, a driver or a detached actor. Each lease has a worker
for itself, so that a task which crashes takes no other along, up to a number of workers; beyond that they run several
tasks each, in threads. Private ones serve one lease and end with it. Where tasks wait for others, their worker says how
many, and the CPUs of so many are free meanwhile: recursion to any depth goes on. They take them again unasked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorio._model.resources import CPU, GPU
from actorio._node.instructions import CheckLater, Instruction, Retire, Send
from actorio._wire.messages import Leased, Wanted

if TYPE_CHECKING:
    from actorio._model.resources import Amounts
    from actorio._node.admission import Admission, Key
    from actorio._node.spec import Spec
    from actorio._wire.messages import Lease


class _Lease:
    """One lease, asked for or granted.

    Attributes:
        asker: the connection that asked.
        worker: who runs its tasks, when that is known.
        is_placed: the asker has been told of a worker, or to make one.
        is_coming: it is making one, for others to use as well.
        is_wanted: others wait for what it has.
    """

    __slots__ = (
        "amounts",
        "asker",
        "family",
        "is_coming",
        "is_placed",
        "is_private",
        "is_wanted",
        "key",
        "label",
        "line",
        "worker",
    )

    def __init__(self, key: tuple[str, int], asker: Any, family: str, message: Lease) -> None:
        self.key = key
        self.asker = asker
        self.family = family
        self.amounts: Amounts = {name: amount for name, amount in message.amounts.items() if amount}
        self.label = message.label
        self.line = message.line
        self.is_private = message.is_private
        self.is_placed = self.is_coming = self.is_wanted = False
        self.worker: _Worker | None = None


class _Worker:
    """One worker, from its creation until it is to end."""

    __slots__ = ("idle_since", "is_watched", "leases", "resting", "spec")

    def __init__(self, spec: Spec, now: float) -> None:
        self.spec = spec
        self.leases: list[_Lease] = []
        # How many of its tasks wait for others.
        self.resting = 0
        self.idle_since = now
        # Somebody will look whether it is idle.
        self.is_watched = False

    def may_serve(self, lease: _Lease) -> bool:
        """May this lease, which is for no private worker, have this one?"""
        return self.spec.owner == lease.family and not self.spec.is_private

    def load(self) -> tuple[int, int]:
        """How many tasks may run in it now, and how many are there?"""
        return len(self.leases) - self.resting, len(self.leases)


class Leases:
    """The leases and the workers of one session.

    Args:
        admission: what there is of resources.
        idle_timeout: how long a worker without a lease lives, in seconds.
        most_workers: how many there may be in each family, but for private ones.
    """

    def __init__(self, admission: Admission, idle_timeout: float, most_workers: int) -> None:
        self._admission = admission
        self._idle_timeout = idle_timeout
        self._most_workers = most_workers
        self._leases: dict[tuple[str, int], _Lease] = {}
        self._workers: dict[str, _Worker] = {}

    # --- leases -------------------------------------------------------------------------------------------------

    def ask(self, asker: Any, family: str, message: Lease) -> list[Instruction]:
        """A process wants a lease, or tells a new node that it has it."""
        key = (asker.peer, message.id)
        if key in self._leases:
            # Said twice, since the node has been replaced meanwhile.
            return []
        lease = self._leases[key] = _Lease(key, asker, family, message)
        if message.is_held:
            made = (each for each in self._workers.values() if each.spec.lease == key)
            worker = self._workers.get(message.worker_id) or next(made, None)
            self._admission.insist(key, lease.amounts, () if worker is None else worker.spec.gpus or ())
            lease.is_placed = True
            self._put(lease, worker)
            return []
        if self._admission.ask(key, lease.amounts):
            return self._place(lease)
        return self.want(key)

    def granted(self, key: tuple[str, int]) -> list[Instruction]:
        """A process has the resources that it has waited for."""
        lease = self._leases.get(key)
        return [] if lease is None or lease.is_placed else self._place(lease)

    def want(self, key: Key) -> list[Instruction]:
        """Somebody waits: those whose tasks are in his way and of another kind give way after the next one."""
        mine = self._leases.get(key) if isinstance(key, tuple) else None
        others = [self._leases[each] for each in self._admission.in_the_way_of(key) if isinstance(each, tuple)]
        found = [other for other in others if not other.is_wanted and (mine is None or not _is_alike(mine, other))]
        for other in found:
            other.is_wanted = True
        return [Send(other.asker, Wanted(other.key[1])) for other in found if other.is_placed]

    def release(self, peer: str, number: int, now: float) -> list[Instruction]:
        """A process gives a lease back, or does not want it any more."""
        lease = self._leases.pop((peer, number), None)
        if lease is None:
            return []
        worker = lease.worker
        done: list[Instruction] = []
        if worker is not None:
            worker.leases.remove(lease)
            done = self._on_release(worker, now)
        self._admission.give_back(lease.key)
        # Nobody may be making the worker any more that others wait for.
        return done + self._place_others(lease.family) if lease.is_coming else done

    def peer_gone(self, peer: str, now: float) -> list[Instruction]:
        """A process has ended."""
        gone = [key for key in self._leases if key[0] == peer]
        for key in gone:
            # None of them is to be placed for another that is given back.
            self._leases[key].is_placed = True
        return [each for key in gone for each in self.release(*key, now)]

    def label(self, key: tuple[str, int]) -> str:
        """Returns what the tasks of a lease are called."""
        return f"tasks of {self._leases[key].label}" if key in self._leases else "tasks"

    # --- which worker -------------------------------------------------------------------------------------------

    def _place(self, lease: _Lease) -> list[Instruction]:
        """Chooses a worker; when all who might be chosen are still to be made, later."""
        if lease.is_private:
            return self._tell(lease, None)
        workers = [each for each in self._workers.values() if each.may_serve(lease)]
        idle = next((each for each in workers if not each.leases), None)
        if idle is not None:
            return self._tell(lease, idle)
        coming = sum(each.is_coming and each.family == lease.family for each in self._leases.values())
        if len(workers) + coming < self._most_workers:
            return self._tell(lease, None)
        return self._tell(lease, min(workers, key=_Worker.load)) if workers else []

    def _tell(self, lease: _Lease, worker: _Worker | None) -> list[Instruction]:
        lease.is_placed = True
        lease.is_coming = worker is None and not lease.is_private
        lease.is_wanted = lease.is_wanted or self._is_wanted(lease)
        self._put(lease, worker)
        identity = b"" if worker is None else worker.spec.identity
        return [Send(lease.asker, Leased(lease.key[1], is_wanted=lease.is_wanted), identity)]

    def _put(self, lease: _Lease, worker: _Worker | None) -> None:
        lease.worker = worker
        if worker is not None:
            lease.is_coming = False
            worker.leases.append(lease)
            self._share_cpus(worker)

    def _is_wanted(self, lease: _Lease) -> bool:
        """Does anybody else wait for something that this lease has?"""
        for key in self._admission.waiting:
            other = self._leases.get(key) if isinstance(key, tuple) else None
            is_alike = other is not None and _is_alike(other, lease)
            if not is_alike and lease.key in self._admission.in_the_way_of(key):
                return True
        return False

    # --- workers ------------------------------------------------------------------------------------------------

    def worker_made(self, spec: Spec, now: float) -> list[Instruction]:
        """There is a worker: a process has made it, or a node before this one knew of it."""
        worker = self._workers.setdefault(spec.actor_id, _Worker(spec, now))
        lease = None if spec.lease is None else self._leases.get(spec.lease)
        if lease is not None and lease.worker is None:
            self._put(lease, worker)
        return [*self._place_others(spec.owner), *([] if worker.leases else self._see_to(worker))]

    def _place_others(self, family: str) -> list[Instruction]:
        """Chooses workers for those for whom there was none to be chosen."""
        granted = [each for each in self._leases.values() if not each.is_placed and each.key in self._admission.claims]
        return [each for lease in granted if lease.family == family for each in self._place(lease)]

    def gpus_of(self, key: tuple[str, int]) -> list[str] | None:
        """Returns the GPUs of a lease; None when it has nothing to do with any."""
        lease = self._leases.get(key)
        return self._admission.gpus_of(key) if lease is not None and GPU in lease.amounts else None

    def worker_died(self, actor_id: str) -> list[Instruction]:
        """A worker is no more, or is to end. Its leases stay with those who have them until they give them back."""
        worker = self._workers.pop(actor_id, None)
        if worker is None:
            return []
        for lease in worker.leases:
            lease.worker, lease.is_wanted = None, True
        return [Send(lease.asker, Wanted(lease.key[1])) for lease in worker.leases]

    def rest(self, actor_id: str, count: int) -> None:
        """So many of the tasks of a worker wait for others."""
        worker = self._workers.get(actor_id)
        if worker is not None:
            worker.resting = count
            self._share_cpus(worker)

    def _share_cpus(self, worker: _Worker) -> None:
        """Frees the CPUs of those that wait: the smallest, since nobody says which tasks these are."""
        running = max(0, worker.load()[0])
        largest = sorted(worker.leases, key=lambda lease: lease.amounts.get(CPU, 0), reverse=True)
        for place, lease in enumerate(largest):
            self._admission.change_cpus(lease.key, lease.amounts.get(CPU, 0) if place < running else 0)

    def _on_release(self, worker: _Worker, now: float) -> list[Instruction]:
        self._share_cpus(worker)
        if worker.leases:
            return []
        worker.idle_since = now
        if worker.spec.is_private:
            self.worker_died(worker.spec.actor_id)
            return [Retire(worker.spec.actor_id)]
        return self._see_to(worker)

    def _see_to(self, worker: _Worker) -> list[Instruction]:
        """Sees to it that an idle worker is looked at when its time is up."""
        if worker.is_watched:
            return []
        worker.is_watched = True
        return [CheckLater(worker.spec.actor_id, self._idle_timeout)]

    def check(self, actor_id: str, now: float, *, is_needed: bool) -> list[Instruction]:
        """Looks whether a worker has had no tasks for long; ``is_needed``: it has actors that live."""
        worker = self._workers.get(actor_id)
        if worker is None:
            return []
        worker.is_watched = False
        if worker.leases:
            return []
        left = worker.idle_since + self._idle_timeout - now
        if left > 0 or is_needed:
            worker.is_watched = True
            return [CheckLater(actor_id, max(left, self._idle_timeout) if is_needed else left)]
        self.worker_died(actor_id)
        return [Retire(actor_id)]


def _is_alike(one: _Lease, other: _Lease) -> bool:
    """Are these for the same tasks of the same process, which would gain nothing by giving way?"""
    return one.key[0] == other.key[0] and one.line == other.line
