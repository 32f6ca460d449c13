"""When a lane is lost: every result that waited on it ends with an error that says why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from actorio._caller.recent import Recent
from actorio._caller.unread import UnreadError
from actorio._model.certificate import DeathCertificate
from actorio._model.errors import (
    ActorDiedError,
    ActorUnavailableError,
    OwnerDiedError,
    RaySystemError,
    WorkerCrashedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorio._caller.lane import Explain
    from actorio._caller.node import NodeClient
    from actorio._caller.pending import PendingResult
    from actorio._model.handle import ActorIdentity


# The module of the class that runs function tasks: to its callers such an actor is a worker process.
_TASKS = "actorio._caller.task_worker"
_MAX_CERTIFICATES = 1000
_ENDS_OF_SESSION = frozenset({"shutdown", "node_lost"})


class Losses:
    """Explains lost lanes, by asking the node how the actor died.

    Args:
        node: returns the connection to the node, or raises `RaySystemError` when it has gone.
    """

    def __init__(self, node: Callable[[], NodeClient]) -> None:
        self._node = node
        # How actors died for good: should the node be killed, nobody else knows.
        self._certificates: Recent[str, DeathCertificate] = Recent(_MAX_CERTIFICATES)
        # Of which actors the node is being asked, and for which results: they end, or are sent again, when it answers.
        self._asked: list[tuple[str, list[PendingResult]]] = []

    def explainer(self, identity: ActorIdentity) -> Explain:
        """Returns what a lane to this actor calls when it is lost."""
        # The lane lives as long as this process: it must not keep the actor.
        identity = identity.weak()

        def explain(results: list[PendingResult], complaint: str, since: float, *, may_have_run: bool) -> None:
            self._ask(identity, results, complaint, since, may_have_run=may_have_run)

        return explain

    def never_connected(self, identity: ActorIdentity, result: PendingResult) -> None:
        """Ends a call that could not even be sent: nobody listens at the actor's address."""
        # A death from now on: an earlier one, after which it was restarted, does not explain this.
        self._ask(identity, [result], "", time.monotonic(), may_have_run=False)

    def unexplained(self, actor_id: str) -> list[PendingResult]:
        """Returns the results that were lost with an actor, and of which it is not known yet what becomes of them."""
        return [result for asked_id, results in list(self._asked) if asked_id == actor_id for result in results]

    def _ask(
        self,
        identity: ActorIdentity,
        results: list[PendingResult],
        complaint: str,
        since: float,
        *,
        may_have_run: bool,
    ) -> None:
        def tell(certificate: DeathCertificate | None) -> None:
            is_over = certificate is not None and not certificate.will_restart
            if certificate is not None and is_over and certificate.class_name:
                self._certificates.note(identity.actor_id, certificate)
            has_ended = certificate is not None and certificate.cause in _ENDS_OF_SESSION
            lost = [
                result
                for result in results
                if has_ended or (is_over and not result.outlives_actor) or not result.try_again()
            ]
            unread = _report_of(identity, certificate) if lost else None
            for result in lost:
                make_error = _error_maker(
                    identity,
                    result.call,
                    certificate,
                    complaint,
                    may_have_run=may_have_run,
                    attempts=result.attempts,
                )
                result.fail(make_error, unread)

        known = self._certificates.get(identity.actor_id)
        if known is not None:
            tell(known)
            return
        try:
            node = self._node()
        except RaySystemError as error:
            tell(DeathCertificate(identity.actor_id, identity.definition.name, cause="node_lost", detail=str(error)))
        else:
            asked = identity.actor_id, results
            self._asked.append(asked)

            def hear(certificate: DeathCertificate | None) -> None:
                try:
                    tell(certificate)
                finally:
                    self._asked.remove(asked)

            node.ask_death(identity.actor_id, since, hear)

    def of_owner(self, results: list[PendingResult], complaint: str, _since: float, *, may_have_run: bool) -> None:  # noqa: ARG002  # a value is no call
        """Ends borrowed results whose owner has gone."""
        for result in results:
            name = result.identity.hex()
            reason = f"the process that owns the result of {result.call}() has ended" + (complaint and f": {complaint}")
            result.fail(lambda name=name, reason=reason: OwnerDiedError(name, reason))  # type: ignore[misc]


def _report_of(identity: ActorIdentity, certificate: DeathCertificate | None) -> UnreadError | None:
    """Returns the report of a death that nobody has asked for; one for all calls that end with it."""
    if certificate is None or not certificate.is_unexpected():
        return None
    return UnreadError(
        lambda: f"the actor {identity.definition.name} {certificate.verdict()}: {certificate.describe()}"
    )


def _error_maker(
    identity: ActorIdentity,
    call: str,
    certificate: DeathCertificate | None,
    complaint: str,
    *,
    may_have_run: bool,
    attempts: int,
) -> Callable[[], BaseException]:
    name = identity.definition.name
    if certificate is None:
        text = (
            f"the connection to {name} ({identity.actor_id}) was lost, though the actor lives"
            f"{complaint and ': ' + complaint}; {call}() may or may not have run"
        )
        return lambda: ActorUnavailableError(text, identity.actor_id)
    if not certificate.class_name:
        certificate = msgspec.structs.replace(certificate, class_name=name)
    if identity.definition.module == _TASKS:
        fate = "may have run, or part of it" if may_have_run else "was not run"
        if attempts > 1:
            fate = f"may have run {attempts} times; options(max_retries=...) says how often"
        return lambda: WorkerCrashedError(
            f"the process (pid {certificate.pid}) that ran the task {call}() is gone: {certificate.describe()}\n"
            f"The task {fate}."
        )
    # No method of an actor runs before its constructor has.
    has_begun = certificate.cause != "constructor" and not certificate.was_queued
    may_have_run = attempts > 1 or (may_have_run and has_begun)
    kind = ActorUnavailableError if certificate.will_restart else ActorDiedError
    return lambda: kind.from_certificate(certificate, call, may_have_run)
