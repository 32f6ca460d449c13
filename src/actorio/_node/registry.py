"""The registry: which actors there are, and how those that are gone died.

Pure: the node tells it what happened, and does what it returns. It knows no sockets, processes or clocks.

An actor is *starting* until its process exists, *alive* until that has ended, *dead* for ever after. A question
about a death is answered when the actor is dead, and not before; see `give_up` for one whose actor lives on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from actorio._model.certificate import DeathCause, DeathCertificate

A = TypeVar("A")

# Certificates of the longest dead are forgotten beyond this number.
MAX_DEAD = 100_000


class Answer(NamedTuple, Generic[A]):
    """Tell ``asker`` about its question ``number``; no certificate: the actor lives."""

    asker: A
    number: int
    certificate: DeathCertificate | None


@dataclass(slots=True)
class _Actor(Generic[A]):
    actor_id: str
    label: str
    pid: int = 0
    # What will have been the cause when the process ends, where that is not for its exit status to say.
    cause: DeathCause | None = None
    detail: str = ""
    # Somebody has killed it, perhaps before its process existed.
    is_unwanted: bool = False
    questions: list[tuple[A, int]] = field(default_factory=list)


class Registry(Generic[A]):
    """The actors of one session. ``A`` is whoever asks."""

    def __init__(self) -> None:
        self._living: dict[str, _Actor[A]] = {}
        self._by_pid: dict[int, _Actor[A]] = {}
        self._dead: dict[str, DeathCertificate] = {}

    # --- what happens -------------------------------------------------------------------------------------------

    def create(self, actor_id: str, label: str) -> None:
        """An actor was asked for."""
        self._living[actor_id] = _Actor(actor_id, label)

    def forked(self, actor_id: str, pid: int) -> int:
        """Its process exists. Returns the pid if it is to be killed at once, as was asked before, or 0."""
        actor = self._living[actor_id]
        actor.pid = pid
        self._by_pid[pid] = actor
        return pid if actor.is_unwanted else 0

    def fork_failed(self, actor_id: str, reason: str) -> list[Answer[A]]:
        """Its process could not be made."""
        actor = self._living[actor_id]
        actor.cause, actor.detail = "unknown", f"its process could not be started: {reason}"
        return self._bury(actor, 0, [])

    def constructor_failed(self, actor_id: str, detail: str) -> None:
        """Its constructor has raised; its process ends soon."""
        actor = self._living.get(actor_id)
        if actor is not None and actor.cause is None:
            actor.cause, actor.detail = "constructor", detail

    def kill(self, actor_id: str, by: str) -> int:
        """Somebody wants it to end. Returns the pid to kill, or 0 when there is none (yet)."""
        actor = self._living.get(actor_id)
        if actor is None:
            return 0
        actor.is_unwanted = True
        if actor.cause is None:
            actor.cause, actor.detail = "killed", by
        return actor.pid

    def exited(self, pid: int, code: int, stderr_tail: list[str]) -> list[Answer[A]]:
        """Its process has ended, with an exit code or the negative number of a signal."""
        actor = self._by_pid.pop(pid, None)
        return [] if actor is None else self._bury(actor, code, stderr_tail)

    def end_all(self, cause: DeathCause, detail: str) -> list[int]:
        """The session ends: whoever lives dies of that. Returns the pids to end."""
        for actor in self._living.values():
            if actor.cause is None:
                actor.cause, actor.detail = cause, detail
        return self.pids()

    def bury_all(self) -> list[Answer[A]]:
        """Whoever lives is dead: nobody is left to tell how each one ended."""
        self._by_pid.clear()
        for actor in self._living.values():
            actor.cause = actor.cause or "unknown"
        return [answer for actor in list(self._living.values()) for answer in self._bury(actor, 0, [])]

    # --- questions ----------------------------------------------------------------------------------------------

    def ask(self, actor_id: str, asker: A, number: int) -> Answer[A] | None:
        """Somebody wants to know how it died. Returns the answer, or None when it comes later."""
        actor = self._living.get(actor_id)
        if actor is not None:
            actor.questions.append((asker, number))
            return None
        return Answer(asker, number, self._dead.get(actor_id) or DeathCertificate(actor_id, ""))

    def certificate(self, actor_id: str) -> DeathCertificate | None:
        """Returns how an actor died, None when it lives or is forgotten."""
        return self._dead.get(actor_id)

    def give_up(self, actor_id: str, asker: A, number: int) -> Answer[A] | None:
        """The asker has waited long enough: returns that the actor lives, or None when it was answered."""
        actor = self._living.get(actor_id)
        if actor is None or (asker, number) not in actor.questions:
            return None
        actor.questions.remove((asker, number))
        return Answer(asker, number, None)

    def forget(self, asker: A) -> None:
        """The asker has gone."""
        for actor in self._living.values():
            actor.questions = [question for question in actor.questions if question[0] is not asker]

    # --- what there is ------------------------------------------------------------------------------------------

    def pids(self) -> list[int]:
        """Returns the processes that have not ended."""
        return list(self._by_pid)

    def is_empty(self) -> bool:
        """Does no actor live or start?"""
        return not self._living

    def _bury(self, actor: _Actor[A], code: int, stderr_tail: list[str]) -> list[Answer[A]]:
        del self._living[actor.actor_id]
        cause = actor.cause or ("signal" if code < 0 else "exit")
        certificate = DeathCertificate(
            actor.actor_id,
            actor.label,
            pid=actor.pid,
            cause=cause,
            code=abs(code) if actor.cause is None else 0,
            detail=actor.detail,
            stderr_tail=stderr_tail,
        )
        self._dead[actor.actor_id] = certificate
        if len(self._dead) > MAX_DEAD:
            del self._dead[next(iter(self._dead))]
        return [Answer(asker, number, certificate) for asker, number in actor.questions]
