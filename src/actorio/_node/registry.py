"""The registry: which actors there are, who keeps them, how those that are gone died, and what follows from it.

Pure: the node tells it what happened, and does what it returns (`instructions`). It knows no sockets, processes or
clocks; time is an argument, in seconds of one monotonic clock.

An actor is *queued* until it has the resources that it needs, *starting* until its process exists, *alive* until that
has ended, then *waiting* for its restart and starting again, or dead for ever after, and its resources are free. A
question about a death is answered when there was one, and not before; see `give_up` for an actor that lives on. A name
belongs to one actor until that is dead: who asks for the name of one that is about to die waits until it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from actorio._model.certificate import DeathCause, DeathCertificate
from actorio._model.holders import Holders
from actorio._model.resources import GPU
from actorio._node.admission import Admission
from actorio._node.groups import Groups
from actorio._node.instructions import Answer, Bury, End, Fork, ForkLater, Happened, Instruction, Kill, Made, Queue
from actorio._node.names import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from actorio._model.supervision import Membership
    from actorio._node.spec import Spec
    from actorio._node.supervision import Plan

# Certificates of the longest dead are forgotten beyond this number.
MAX_DEAD = 100_000
_SIGKILL = 9
# Causes of which an actor dies by SIGTERM, and how it ends then.
_SOFT = frozenset({"out_of_scope", "owner_died", "shutdown", "stopped", "supervised"})
_AS_ASKED = (0, -15)

State = Literal["queued", "starting", "alive", "waiting"]


class Actor:
    """One actor that is not dead."""

    __slots__ = (
        "asker",
        "cause",
        "detail",
        "died_at",
        "heirs",
        "is_overdue",
        "is_unwanted",
        "last_death",
        "order",
        "pid",
        "questions",
        "spec",
        "state",
    )

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.state: State = "starting"
        # Whom to answer that it has been created, when it is queued no more.
        self.asker: tuple[Any, int] | None = None
        self.pid = 0
        # What will have been the cause when the process ends, where that is not for its exit status to say.
        self.cause: DeathCause | None = None
        self.detail = ""
        # It is to end for good.
        self.is_unwanted = False
        # What to do when its process exists: it was asked to end before.
        self.order: Literal["", "end", "kill"] = ""
        self.last_death: DeathCertificate | None = None
        self.died_at = 0.0
        self.questions: list[tuple[Any, int, float]] = []
        # It was asked to end, did not in time, and is being killed.
        self.is_overdue = False
        # Who waits for its name.
        self.heirs: list[tuple[Any, int, Spec, bool]] = []


class Registry:
    """The actors of one session.

    Args:
        random: a number in [0, 1), for what restarts wait.
        is_memory_short: has the kernel's out-of-memory killer run since the last question? Asked at a SIGKILL.
        admission: what there is of resources; none unless given.
    """

    def __init__(
        self,
        random: Callable[[], float],
        is_memory_short: Callable[[], bool] = bool,
        admission: Admission | None = None,
    ) -> None:
        self.living: dict[str, Actor] = {}
        # Not everybody has said yet whom he keeps: nobody ends for want of that. Whoever ends it releases all.
        self.is_settling = False
        # There was a node before this one, which knew more.
        self.is_successor = False
        self.names = Names()
        self._admission = admission or Admission({})
        self._random = random
        self._is_memory_short = is_memory_short
        self._holders = Holders()
        self._groups = Groups()
        self._by_pid: dict[int, Actor] = {}
        self._dead: dict[str, DeathCertificate] = {}

    # --- births -------------------------------------------------------------------------------------------------

    def create(self, asker: Any, number: int, spec: Spec, *, gets_existing: bool = False) -> list[Instruction]:
        """An actor is asked for; ``number`` is that of the answer."""
        if self.knows(spec.actor_id):
            # Of the node before this one, which was killed before it had answered.
            if spec.actor_id in self.living:
                self._holders.own(spec.actor_id, spec.owner)
            return [Made(asker, number, spec.actor_id, b"", "")]
        if spec.name:
            holder = self.names.get(spec.namespace, spec.name)
            if holder is not None:
                return self._name_is_taken(self.living[holder], asker, number, spec, gets_existing=gets_existing)
            self.names.take(spec.namespace, spec.name, spec.actor_id)
        actor = self.living[spec.actor_id] = Actor(spec)
        self._groups.add(spec)
        self._holders.need(spec.held)
        self._holders.own(spec.actor_id, spec.owner)
        actor.asker = asker, number
        return self._start(actor) or [Queue(asker, number, spec.actor_id)]

    def admitted(self, actor_id: str) -> list[Instruction]:
        """An actor has the resources that it needs."""
        actor = self.living.get(actor_id)
        return self._fork(actor) if actor is not None and actor.state == "queued" else []

    def _start(self, actor: Actor) -> list[Instruction]:
        """Starts an actor, or has it wait for the resources that it needs and does not have yet."""
        actor_id, amounts = actor.spec.actor_id, actor.spec.amounts
        if not amounts or actor_id in self._admission.claims:
            return self._fork(actor)
        if actor_id not in self._admission.waiting and self._admission.ask(actor_id, amounts):
            return self._fork(actor)
        actor.state = "queued"
        return []

    def _fork(self, actor: Actor) -> list[Instruction]:
        actor.state = "starting"
        if GPU in actor.spec.amounts:
            actor.spec.gpus = self._admission.gpus_of(actor.spec.actor_id)
        return [Fork(actor.spec.actor_id), *_answered(actor)]

    def knows(self, actor_id: str) -> bool:
        """Has there been such an actor?"""
        return actor_id in self.living or actor_id in self._dead

    def _name_is_taken(
        self, holder: Actor, asker: Any, number: int, spec: Spec, *, gets_existing: bool
    ) -> list[Instruction]:
        if holder.is_unwanted:
            holder.heirs.append((asker, number, spec, gets_existing))
            return []
        if gets_existing:
            return [Made(asker, number, spec.actor_id, holder.spec.identity, "")]
        pid = f", pid {holder.pid}" if holder.pid else ""
        error = (
            f"the name {spec.name!r} is taken in namespace {spec.namespace!r} by {holder.spec.label} "
            f"({holder.spec.actor_id}{pid}): use another name, get_if_exists=True, or get_actor()"
        )
        return [Made(asker, number, spec.actor_id, b"", error)]

    def adopt(self, spec: Spec, pid: int, now: float) -> list[Instruction]:
        """An actor of the node before this one: it lives in process ``pid``, or has died unseen (0)."""
        actor = self.living[spec.actor_id] = Actor(spec)
        if spec.name:
            self.names.take(spec.namespace, spec.name, spec.actor_id)
        self._holders.need(spec.held)
        self._groups.add(spec)
        if spec.lease is not None:
            self._holders.own(spec.actor_id, spec.owner)
        if spec.amounts:
            self._admission.insist(spec.actor_id, spec.amounts, spec.gpus or ())
        actor.state, actor.pid = "alive", pid
        if pid:
            self._by_pid[pid] = actor
            spec.budget.started(now)
            return []
        # The spec is as it was when the process was forked, so that this death has not been paid for.
        actor.cause, actor.detail = "unknown", "the node was being replaced at that time"
        done = self._died(actor, 0, [], now)
        # Perhaps the last node has seen it, and has told all who had to know.
        return [each._replace(was_answered=True) if isinstance(each, Happened) else each for each in done]

    def forked(self, actor_id: str, pid: int, now: float) -> list[Instruction]:
        """Its process exists."""
        actor = self.living[actor_id]
        actor.state, actor.pid = "alive", pid
        self._by_pid[pid] = actor
        actor.spec.budget.started(now)
        order, actor.order = actor.order, ""
        follow: list[Instruction] = [Kill(pid)] if order == "kill" else [End(actor_id, pid)] if order else []
        return [Happened(actor_id, "started", pid), *follow]

    def fork_failed(self, actor_id: str, reason: str, now: float) -> list[Instruction]:
        """Its process could not be made."""
        actor = self.living[actor_id]
        if actor.cause is None:
            actor.cause, actor.detail = "not_started", reason
        return self._died(actor, 0, [], now)

    def due(self, actor_id: str) -> list[Instruction]:
        """The time of its restart has come."""
        actor = self.living.get(actor_id)
        if actor is None or actor.state != "waiting":
            return []
        return self._start(actor)

    # --- deaths -------------------------------------------------------------------------------------------------

    def said_farewell(self, certificate: DeathCertificate) -> None:
        """It has said itself why it ends soon: its constructor has raised, or it has asked to exit."""
        actor = self.living.get(certificate.actor_id)
        if actor is not None and not _is_of_this_process(actor, certificate.pid):
            # The words of a process that is known to be dead are not those of the next one.
            return
        if actor is not None and (actor.cause is None or certificate.cause == "constructor"):
            # A constructor that raised is worth telling though nobody wants the actor any more.
            actor.cause, actor.detail = certificate.cause, certificate.detail
            # Whether a member that wants to end is let go is for its group to say.
            actor.is_unwanted = actor.is_unwanted or actor.spec.membership is None or not _is_own_wish(actor)

    def kill(self, actor_id: str, by: str, now: float, *, may_restart: bool = False) -> list[Instruction]:
        """Somebody wants it to end at once."""
        actor = self.living.get(actor_id)
        if actor is None:
            return []
        if may_restart and actor.state == "waiting":
            # It is dead, and on its way back.
            return []
        actor.is_unwanted = actor.is_unwanted or not may_restart
        actor.is_overdue = True
        if actor.cause is None:
            actor.cause, actor.detail = "killed", by
        return self._order(actor, "kill", now)

    def end(self, actor_id: str, cause: DeathCause, detail: str, now: float) -> list[Instruction]:
        """It is to end gracefully, for good."""
        actor = self.living.get(actor_id)
        if actor is None or actor.is_unwanted:
            return []
        actor.is_unwanted = True
        if actor.cause is None:
            actor.cause, actor.detail = cause, detail
        return self._order(actor, "end", now)

    def overdue(self, pid: int) -> bool:
        """The process has not ended in time, and is to be killed: returns whether it is not being killed already."""
        actor = self._by_pid.get(pid)
        if actor is None or actor.is_overdue:
            return False
        actor.is_overdue = True
        return True

    def _order(self, actor: Actor, order: Literal["end", "kill"], now: float) -> list[Instruction]:
        if actor.state == "alive":
            return [Kill(actor.pid)] if order == "kill" else [End(actor.spec.actor_id, actor.pid)]
        if actor.state == "starting":
            actor.order = "kill" if actor.order == "kill" else order
            return []
        return self._died(actor, 0, [], now) if actor.is_unwanted or actor.state == "queued" else []

    def exited(self, pid: int, code: int, stderr_tail: list[str], now: float) -> list[Instruction]:
        """Its process has ended, with an exit code or the negative number of a signal."""
        actor = self._by_pid.pop(pid, None)
        return [] if actor is None else self._died(actor, code, stderr_tail, now)

    def _died(self, actor: Actor, code: int, stderr_tail: list[str], now: float) -> list[Instruction]:
        if actor.spec.membership is not None:
            is_wanted = not actor.is_unwanted
            delay, plan = self._groups.member_died(
                actor.spec, now, is_wanted=is_wanted, is_normal_end=_is_own_wish(actor)
            )
            group_id = actor.spec.membership.group_id
            if plan.gives_up:
                actor.detail = actor.detail or _words_of_giving_up(actor.spec.membership)
            following = self._groups.has_ended(group_id, actor.spec.actor_id)
            done = self._end_process(actor, code, stderr_tail, delay, now)
            return [*done, *self._carry_out(group_id, plan, now), *self._end_members(following, now)]
        delay = None if actor.is_unwanted else actor.spec.budget.died(now, self._random)
        return self._end_process(actor, code, stderr_tail, delay, now)

    def _carry_out(self, group_id: str, plan: Plan, now: float) -> list[Instruction]:
        """Does what a group wants: its members are ended, one after the other, and then started again together."""
        for actor_id in plan.stop:
            actor = self.living[actor_id]
            actor.cause = actor.cause or "supervised"
            actor.is_unwanted = actor.is_unwanted or plan.gives_up
            if plan.gives_up and actor.spec.membership is not None:
                actor.detail = actor.detail or _words_of_giving_up(actor.spec.membership)
        done = self._end_members(self._groups.to_end(group_id, plan.stop), now)
        for actor_id in plan.start:
            done += self._start(self.living[actor_id])
        return done

    def _end_members(self, actor_ids: list[str], now: float) -> list[Instruction]:
        return [each for actor_id in actor_ids for each in self._order(self.living[actor_id], "end", now)]

    def _end_process(
        self, actor: Actor, code: int, stderr_tail: list[str], delay: float | None, now: float
    ) -> list[Instruction]:
        certificate = self._certify(actor, code, stderr_tail, now, will_restart=delay is not None)
        answers: list[Instruction] = [Answer(asker, number, certificate) for asker, number, _ in actor.questions]
        actor.questions.clear()
        pid, actor.pid = actor.pid, 0
        kind = "died" if delay is None else "restarting"
        news = Happened(
            actor.spec.actor_id, kind, pid, certificate, actor.spec.driver, was_answered=bool(answers), spec=actor.spec
        )
        if delay is None:
            # Whoever hears of the death finds nothing of the actor any more.
            return self._bury(actor, certificate, [*answers, news], now)
        actor.state, actor.cause, actor.detail, actor.order, actor.is_overdue = "waiting", None, "", "", False
        actor.last_death, actor.died_at = certificate, now
        actor_id = actor.spec.actor_id
        if actor.spec.membership is not None:
            # Its group says when.
            return [*answers, news]
        return [*answers, news, ForkLater(actor_id, delay)]

    def _certify(
        self, actor: Actor, code: int, stderr_tail: list[str], now: float, *, will_restart: bool
    ) -> DeathCertificate:
        budget, place = actor.spec.budget, actor.spec.membership
        if actor.cause in _SOFT and code not in _AS_ASKED and not actor.is_overdue:
            # It was asked to end, and has died of something else before.
            actor.cause, actor.detail = None, ""
        return DeathCertificate(
            actor.spec.actor_id,
            actor.spec.label,
            pid=actor.pid,
            cause=actor.cause or ("signal" if code < 0 else "exit"),
            code=abs(code) if actor.cause is None else 0,
            detail=actor.detail,
            stderr_tail=stderr_tail,
            name=actor.spec.name,
            restarts=budget.used,
            max_restarts=budget.max_restarts if place is None else place.intensity,
            will_restart=will_restart,
            restarts_left=budget.left(now) if place is None else self._groups.left(place.group_id, now),
            was_queued=actor.state == "queued",
            is_memory_short=code == -_SIGKILL and actor.cause is None and self._is_memory_short(),
        )

    def _bury(
        self, actor: Actor, certificate: DeathCertificate, told: list[Instruction], now: float
    ) -> list[Instruction]:
        spec = actor.spec
        del self.living[spec.actor_id]
        self._admission.give_back(spec.actor_id)
        self._dead[spec.actor_id] = certificate
        if len(self._dead) > MAX_DEAD:
            del self._dead[next(iter(self._dead))]
        if spec.name:
            self.names.free(spec.namespace, spec.name)
        self._holders.forget(spec.actor_id)
        self._holders.need_no_more(spec.held)
        done: list[Instruction] = [*_answered(actor), Bury(spec.actor_id, spec.address), *told]
        for asker, number, heir, gets_existing in actor.heirs:
            done += self.create(asker, number, heir, gets_existing=gets_existing)
        return done + self.release(spec.held, now)

    def end_all(self, cause: DeathCause, detail: str, now: float, driver: str = "") -> list[Instruction]:
        """Whoever lives is to end; with ``driver``, only that driver's actors, but for detached ones and their own."""
        chosen = [actor_id for actor_id, actor in self.living.items() if not driver or actor.spec.ends_with(driver)]
        done = self._disinherit(lambda heir: not driver or heir.driver == driver, "the session is ending")
        for actor_id in chosen:
            if actor_id in self.living:
                done += self.end(actor_id, cause, detail, now)
        return done

    def all_died(self, cause: DeathCause, detail: str, now: float) -> list[Instruction]:
        """Every process has died with the zygote, and nobody is left to tell how: some may be restarted."""
        done: list[Instruction] = []
        self._by_pid.clear()
        for actor in list(self.living.values()):
            if actor.state not in {"queued", "waiting"}:
                actor.cause = actor.cause or cause
                actor.detail = actor.detail or detail
                done += self._died(actor, 0, [], now)
        return done

    # --- who keeps whom -----------------------------------------------------------------------------------------

    def hold(self, actor_id: str, peer: str, token: int) -> None:
        """A process has one more reason to keep an actor."""
        if actor_id not in self._dead:
            self._holders.hold(actor_id, peer, token)

    def drop(self, actor_id: str, peer: str, count: int, now: float) -> list[Instruction]:
        """So many of a process's reasons are gone."""
        self._holders.drop(actor_id, peer, count)
        if self.knows(actor_id):
            return self.release((actor_id,), now)
        return self._disinherit(lambda heir: heir.actor_id == actor_id, "its maker has been interrupted")

    def _disinherit(self, is_chosen: Callable[[Spec], bool], reason: str) -> list[Instruction]:
        """Those who wait for a name are not born any more."""
        done: list[Instruction] = []
        for actor in self.living.values():
            gone = [heir for heir in actor.heirs if is_chosen(heir[2])]
            if gone:
                actor.heirs = [heir for heir in actor.heirs if heir not in gone]
                done += [Made(asker, number, spec.actor_id, b"", reason) for asker, number, spec, _ in gone]
        return done

    def lend(self, actor_id: str, token: int, peer: str = "") -> None:
        """A handle is on its way from a process."""
        if actor_id not in self._dead:
            self._holders.lend(actor_id, token, peer)

    def arrive(self, actor_id: str, token: int, now: float) -> list[Instruction]:
        """A handle on itself has reached an actor: no reason to keep it."""
        if actor_id not in self._dead:
            self._holders.arrive(actor_id, token)
        return self.release((actor_id,), now)

    def lent_by(self, peer: str) -> list[int]:
        """Returns the tokens of handles that a process has sent and that have not arrived."""
        return self._holders.lent_by(peer)

    def unlend(self, token: int, now: float) -> list[Instruction]:
        """A handle will not arrive."""
        actor_id = self._holders.unlend(token)
        return [] if actor_id is None else self.release((actor_id,), now)

    def release(self, actor_ids: Iterable[str], now: float) -> list[Instruction]:
        """Ends those of the actors that nobody keeps any more."""
        done: list[Instruction] = []
        if self.is_settling:
            return done
        for actor_id in actor_ids:
            actor = self.living.get(actor_id)
            if actor is not None and not actor.spec.is_detached and not self._holders.is_held(actor_id):
                done += self.end(actor_id, "out_of_scope", "", now)
        return done

    def peer_gone(self, peer: str, detail: str, now: float) -> list[Instruction]:
        """A process has ended: its own actors end with it, and it keeps nobody any more."""
        owned = [
            actor_id
            for actor_id, actor in self.living.items()
            if actor.spec.owner == peer and not actor.spec.is_detached
        ]
        done = self._disinherit(lambda heir: heir.owner == peer, detail)
        done += [each for actor_id in owned for each in self.end(actor_id, "owner_died", detail, now)]
        for actor in self.living.values():
            actor.questions = [question for question in actor.questions if question[0].peer != peer]
        return done + self.release(self._holders.gone(peer), now)

    def strangers(self, peers: Iterable[str]) -> set[str]:
        """Returns the families of workers that are none of these processes."""
        return {actor.spec.owner for actor in self.living.values() if actor.spec.lease is not None}.difference(peers)

    def has_children(self, peer: str) -> bool:
        """Has a process made actors that live, and would end with it?"""
        return any(actor.spec.owner == peer and not actor.spec.is_detached for actor in self.living.values())

    def label(self, actor_id: str) -> str:
        """Returns who an actor is, for a person."""
        actor = self.living[actor_id]
        return f"{actor.spec.label}{f' (pid {actor.pid})' if actor.pid else ''}"

    # --- questions ----------------------------------------------------------------------------------------------

    def ask(self, actor_id: str, asker: Any, number: int, since: float) -> Answer | None:
        """Somebody wants to know how it died, after ``since``. Returns the answer, or None when it comes later."""
        actor = self.living.get(actor_id)
        if actor is None:
            return Answer(asker, number, self._dead.get(actor_id) or self._unknown(actor_id))
        if actor.last_death is not None and actor.died_at >= since:
            # The last one: processes that died in their constructor have let the asker's connection be.
            return Answer(asker, number, actor.last_death)
        actor.questions.append((asker, number, since))
        return None

    def _unknown(self, actor_id: str) -> DeathCertificate:
        detail = "before the node of its session was replaced" if self.is_successor else ""
        return DeathCertificate(actor_id, "", detail=detail)

    def give_up(self, actor_id: str, asker: Any, number: int) -> Answer | None:
        """The asker has waited long enough: returns that the actor lives, or None when it was answered."""
        actor = self.living.get(actor_id)
        left = [each for each in actor.questions if each[0] is not asker or each[1] != number] if actor else []
        if actor is None or len(left) == len(actor.questions):
            return None
        actor.questions = left
        return Answer(asker, number, None)

    def find(self, namespace: str, name: str) -> tuple[bytes, str]:
        """Returns the identity of the actor of this name, or b"" and why there is none."""
        actor_id = self.names.get(namespace, name)
        if actor_id is not None and not self.living[actor_id].is_unwanted:
            return self.living[actor_id].spec.identity, ""
        shown = name if len(name) <= 80 else name[:77] + "..."  # noqa: PLR2004  # a line
        if actor_id is not None:
            return b"", f"the actor {shown!r} of namespace {namespace!r} is ending"
        return b"", f"there is no actor {shown!r} in namespace {namespace!r}; {self.names.near(namespace, name)}"

    def certificate(self, actor_id: str) -> DeathCertificate | None:
        """Returns how an actor died, None when it lives or is forgotten."""
        return self._dead.get(actor_id)

    def pids(self) -> list[int]:
        """Returns the processes that have not ended."""
        return list(self._by_pid)

    def is_empty(self, driver: str = "") -> bool:
        """Does no actor live or start? With ``driver``, none of that driver's, but for detached ones."""
        return not any(not driver or actor.spec.ends_with(driver) for actor in self.living.values())

    def has_detached(self) -> bool:
        """Does a detached actor live for which the session stays, and that nobody has asked to end?"""
        return any(actor.spec.keeps_session and not actor.is_unwanted for actor in self.living.values())


def _answered(actor: Actor) -> list[Instruction]:
    """Returns the answer to who has created it, unless he has it."""
    asker, actor.asker = actor.asker, None
    return [] if asker is None else [Made(*asker, actor.spec.actor_id, b"", "")]


def _words_of_giving_up(place: Membership) -> str:
    failures = "failure" if place.intensity == 1 else "failures"
    return f"its supervisor gives up: more than {place.intensity} {failures} within {place.window:g} s"


def _is_own_wish(actor: Actor) -> bool:
    """Does its process end because its own code has asked for that, and not for a failure?"""
    return actor.cause in {"exit", "exit_actor"}


def _is_of_this_process(actor: Actor, pid: int) -> bool:
    """May this be the process that the actor has now? Which one that is may not be known yet while it starts."""
    if actor.state == "starting":
        return actor.last_death is None or actor.last_death.pid != pid
    return actor.pid == pid
