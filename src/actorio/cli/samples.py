"""Samples of a session: what each actor and each process of its own does at the moment, and since the last sample."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from actorio._model.status import ActorStatistics
from actorio._worker.inspection import STATISTICS
from actorio.cli import processes
from actorio.cli.questions import Asker

if TYPE_CHECKING:
    from actorio._model.status import ActorStatus
    from actorio.cli.connection import Session

# An actor that has not answered for so long is called stuck, in seconds.
STUCK_AFTER = 0.5
# How long a sample waits for answers, in seconds; later ones are for the next sample.
_ANSWER_TIMEOUT = 0.25
_decode = msgspec.msgpack.Decoder(ActorStatistics).decode


@dataclass(frozen=True)
class ProcessSample:
    """A process: how much of one core it takes, in percent (None without an earlier sample), and bytes of its own."""

    pid: int
    cpu: float | None
    memory: int


@dataclass(frozen=True)
class ActorSample:
    """An actor.

    Attributes:
        state: as the node has it, or ``"stuck"``, or ``"stopped"`` by a signal.
        stuck_for: for how long it has owed an answer, in seconds; 0.0 when it owes none.
        calls: how many calls have ended since its process began.
        rate: how many a second since the last sample; None without one.
        median: half of the calls of the last seconds took no longer, in seconds.
        slow: 99 of 100 took no longer.
        lag: how long its loop took to answer, in seconds.
    """

    actor_id: str
    class_name: str
    name: str
    pid: int
    state: str
    stuck_for: float
    calls: int | None
    rate: float | None
    running: int | None
    queued: int | None
    median: float | None
    slow: float | None
    cpu: float | None
    memory: int
    lag: float | None


@dataclass(frozen=True)
class Sample:
    """A session at one moment; ``time`` in seconds since the epoch."""

    time: float
    session: str
    node: ProcessSample
    zygote: ProcessSample
    drivers: list[ProcessSample]
    actors: list[ActorSample]

    def as_dict(self) -> dict[str, Any]:
        """Returns the sample as what JSON can hold."""
        return asdict(self)


class Sampler:
    """Takes samples of a session. Its connections to the actors stay open between them."""

    def __init__(self, session: Session) -> None:
        self.asker = Asker()
        self._session = session
        # When something was read and what it was: CPU seconds by process id, calls by actor and process id.
        self._cpu: dict[int, tuple[float, float]] = {}
        self._calls: dict[object, tuple[float, int]] = {}

    def take(self) -> Sample:
        """Takes a sample; waits for actors' answers for a quarter of a second at most."""
        inventory = self._session.inventory()
        alive = [actor for actor in inventory.actors if actor.pid]
        self.asker.keep({_key(actor) for actor in alive})
        for actor in alive:
            self.asker.ask(_key(actor), actor.address, STATISTICS)
        deadline = time.monotonic() + _ANSWER_TIMEOUT
        while self.asker.wait(deadline - time.monotonic()) and time.monotonic() < deadline:
            # A key was pressed, which waits for the end of the sample.
            time.sleep(_ANSWER_TIMEOUT / 10)
        return Sample(
            time.time(),
            self._session.directory.name,
            self._process(inventory.node_pid),
            self._process(inventory.zygote_pid),
            [self._process(pid) for pid in sorted(inventory.drivers)],
            [self._actor(actor) for actor in inventory.actors],
        )

    def _process(self, pid: int) -> ProcessSample:
        found = processes.usage(pid)
        if found is None:
            return ProcessSample(pid, None, 0)
        return ProcessSample(pid, self._share(pid, found.cpu), found.memory)

    def _share(self, pid: int, cpu: float) -> float | None:
        now = time.monotonic()
        before, self._cpu[pid] = self._cpu.get(pid), (now, cpu)
        if before is None or now <= before[0]:
            return None
        return 100 * max(0.0, cpu - before[1]) / (now - before[0])

    def _actor(self, actor: ActorStatus) -> ActorSample:
        usage = processes.usage(actor.pid)
        line = self.asker.line(_key(actor))
        told = _decode(line.answer) if line is not None and line.answer else None
        stuck_for = time.monotonic() - line.asked if line is not None and line.asked else 0.0
        state = actor.state
        if usage is not None and usage.state.startswith("stopped"):
            state = "stopped"
        elif state == "alive" and stuck_for > STUCK_AFTER:
            state = "stuck"
        return ActorSample(
            actor_id=actor.actor_id,
            class_name=actor.class_name,
            name=actor.name,
            pid=actor.pid,
            state=state,
            stuck_for=stuck_for,
            calls=None if told is None else told.calls,
            rate=None if told is None or line is None else self._rate(_key(actor), line.came, told.calls),
            running=None if told is None else told.running,
            queued=None if told is None else told.queued,
            median=None if told is None else told.median,
            slow=None if told is None else told.slow,
            cpu=None if usage is None else self._share(actor.pid, usage.cpu),
            memory=0 if usage is None else usage.memory,
            lag=None if told is None or line is None else line.took,
        )

    def _rate(self, key: object, now: float, calls: int) -> float | None:
        before, self._calls[key] = self._calls.get(key), (now, calls)
        if before is None or now <= before[0]:
            return None
        return max(0, calls - before[1]) / (now - before[0])

    def close(self) -> None:
        """Closes the connections."""
        self.asker.close()


def _key(actor: ActorStatus) -> tuple[str, int]:
    # Another process of the same actor listens at the same address.
    return actor.actor_id, actor.pid
