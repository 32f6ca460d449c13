"""What clients are told without asking: actors' output and logging records, deaths that nobody asks about, events."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING

from actorio._model.status import ActorStatus, Inventory
from actorio._node.logs import Logs
from actorio._wire.messages import Event, Output, Record

if TYPE_CHECKING:
    import asyncio

    from actorio._model.certificate import DeathCertificate
    from actorio._node.admission import Admission
    from actorio._node.client import Client
    from actorio._node.instructions import CutOff, Happened
    from actorio._node.outputs import Outputs
    from actorio._node.registry import Actor, Registry
    from actorio._node.spec import Spec

# How long a death that nobody expected waits for a caller to ask about it before it is reported, in seconds.
_UNHEARD_TIMEOUT = 1.0
# The logging levels of reports.
_WARNING, _ERROR = 30, 40
# Beyond this many bytes that a driver has not taken, actors' output waits in their pipes.
_MAX_BACKLOG = 1 << 22
# So many of the dead are remembered.
_MOST_DEAD = 100


class News:
    """Tells clients what happens. Output goes to the driver at the root of an actor's family, and to its log file."""

    outputs: Outputs

    def __init__(
        self, loop: asyncio.AbstractEventLoop, directory: str, registry: Registry, admission: Admission
    ) -> None:
        self.clients: set[Client] = set()
        self._loop = loop
        self._directory = directory
        self._registry = registry
        self._admission = admission
        self._logs = Logs(f"{directory}/logs")
        self._watchers: dict[tuple[Client, int], str] = {}
        # Deaths that nobody asked for, in both senses; reported unless a caller asks soon.
        self._unheard: dict[str, tuple[DeathCertificate, str]] = {}
        # The last ones, for whoever looks into the session.
        self._dead: deque[ActorStatus] = deque(maxlen=_MOST_DEAD)
        self._is_paused = False

    # --- output -------------------------------------------------------------------------------------------------

    def on_output(self, actor_id: str, stream: int, lines: list[bytes]) -> None:
        """An actor has written whole lines."""
        actor = self._registry.living.get(actor_id)
        if actor is None:
            return
        if not self._logs.write(actor_id, lines):
            text = f"the log files of this session cannot be written, and miss lines from now on: {self._logs.error}"
            self._report(self._shown_by(actor.spec), "actorio", 0, _WARNING, text)
        self._send(self._shown_by(actor.spec), Output(actor.spec.label, actor.pid, stream, lines))

    def tell_of_record(self, record: Record) -> None:
        """An actor has logged something."""
        actor = next((actor for actor in self._registry.living.values() if actor.pid == record.pid), None)
        self._send("" if actor is None else self._shown_by(actor.spec), record)

    def _shown_by(self, spec: Spec) -> str:
        """Returns the driver that shows what an actor prints: its own; when that has gone, another, if all share it."""
        if not spec.ends_with_session:
            return spec.driver
        drivers = {client.pid: client.peer for client in self.clients if client.is_driver}
        return spec.driver if spec.driver in drivers.values() or not drivers else drivers[min(drivers)]

    def _send(self, driver: str, message: Output | Record) -> None:
        for client in self.clients:
            if client.is_driver and (not driver or client.peer == driver):
                client.send(message)
                if client.backlog() > _MAX_BACKLOG and not self._is_paused:
                    self._is_paused = True
                    self.outputs.pause()

    def on_drained(self) -> None:
        """A client has taken all that was sent."""
        if self._is_paused and all(client.backlog() < _MAX_BACKLOG // 2 for client in self.clients):
            self._is_paused = False
            self.outputs.resume()

    # --- lives --------------------------------------------------------------------------------------------------

    def tell_of(self, happened: Happened) -> None:
        """Something has happened to an actor."""
        certificate = happened.certificate
        restarts = certificate.restarts if certificate is not None else self._restarts(happened.actor_id)
        for (client, number), actor_id in self._watchers.items():
            if actor_id == happened.actor_id:
                payload = b"" if certificate is None else certificate.encode()
                client.send(Event(number, happened.kind, happened.pid, restarts), payload)
        if happened.kind == "died":
            self._logs.close(happened.actor_id)
            if happened.spec is not None and certificate is not None:
                self._dead.append(self._status(happened.spec, "dead", happened.pid, certificate.reason()))
        if certificate is not None and not happened.was_answered and certificate.is_unexpected():
            self._unheard[happened.actor_id] = (certificate, happened.driver)
            self._loop.call_later(_UNHEARD_TIMEOUT, self._report_death, happened.actor_id)

    def tell_of_cut_off(self, cut: CutOff) -> None:
        """An actor has not ended in time, and is being killed."""
        actor = self._registry.living.get(cut.actor_id)
        if actor is not None:
            text = f"had not ended {cut.seconds:g} s after it was asked to, and is killed: its clean-up may not be done"
            self._report(actor.spec.driver, actor.spec.label, actor.pid, _WARNING, text)

    def _restarts(self, actor_id: str) -> int:
        actor = self._registry.living.get(actor_id)
        return 0 if actor is None else actor.spec.budget.used

    def hear_of(self, actor_id: str) -> None:
        """A caller asks how an actor died: it will tell its program."""
        self._unheard.pop(actor_id, None)

    def report_all(self) -> None:
        """Reports at once what nobody has asked about."""
        for actor_id in list(self._unheard):
            self._report_death(actor_id)

    def _report_death(self, actor_id: str) -> None:
        certificate, driver = self._unheard.pop(actor_id, (None, ""))
        if certificate is not None:
            text = f"{certificate.who()} {certificate.verdict()}: {certificate.describe()}"
            self._report(driver, certificate.class_name, certificate.pid, _ERROR, text)

    def warn(self, driver: str, label: str, pid: int, text: str) -> None:
        """Tells a driver of what is not as it should be."""
        self._report(driver, label, pid, _WARNING, text)

    def _report(self, driver: str, label: str, pid: int, level: int, text: str) -> None:
        self._send(driver, Record(label, pid, "actorio", level, text, time.time(), "", 0))

    def watch(self, client: Client, number: int, actor_id: str) -> None:
        """A client wants to hear of all that happens to an actor; it is told the present state first."""
        self._watchers[client, number] = actor_id
        actor = self._registry.living.get(actor_id)
        certificate = self._registry.certificate(actor_id)
        if actor is not None and actor.state == "alive":
            client.send(Event(number, "started", actor.pid, actor.spec.budget.used))
        elif actor is None:
            payload = b"" if certificate is None else certificate.encode()
            client.send(Event(number, "died", 0, 0 if certificate is None else certificate.restarts), payload)

    def unwatch(self, client: Client, number: int) -> None:
        """A client wants to hear no more."""
        self._watchers.pop((client, number), None)

    def forget(self, client: Client) -> None:
        """A client has gone."""
        for key in [key for key in self._watchers if key[0] is client]:
            del self._watchers[key]

    # --- what there is ------------------------------------------------------------------------------------------

    def inventory(self, zygote_pid: int, drivers: list[int]) -> Inventory:
        """Returns what there is."""
        actors = [self._status(actor.spec, _state(actor), actor.pid) for actor in self._registry.living.values()]
        admission = self._admission
        return Inventory(
            self._directory,
            os.getpid(),
            zygote_pid,
            drivers,
            actors,
            list(self._dead),
            admission.totals,
            {name: max(0, admission.free.get(name, 0)) for name in admission.totals},
        )

    def _status(self, spec: Spec, state: str, pid: int, end: str = "") -> ActorStatus:
        return ActorStatus(
            spec.actor_id,
            spec.label,
            spec.name,
            spec.namespace,
            state,
            pid,
            spec.budget.used,
            spec.budget.max_restarts,
            spec.is_detached,
            spec.owner_pid,
            spec.created,
            spec.address,
            self._logs.path(spec.actor_id),
            end,
            spec.lease is not None,
        )


def _state(actor: Actor) -> str:
    return "ending" if actor.is_unwanted else "restarting" if actor.state == "waiting" else actor.state
