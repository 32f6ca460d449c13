"""The node's shell: connects clients, zygote and pipes with the registry. The control plane: no call passes here.

Ends when no driver is connected.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING

from actorio._model.certificate import DeathCertificate
from actorio._node.client import Client
from actorio._node.nursery import Nursery
from actorio._node.outputs import Outputs
from actorio._node.registry import Registry
from actorio._transport.descriptors import explain_exhaustion
from actorio._transport.directories import remove_session
from actorio._transport.loops import new_loop
from actorio._transport.sockets import accept, unlink
from actorio._wire.messages import (
    AskDeath,
    Create,
    Death,
    Exited,
    Failed,
    Forked,
    ForkFailed,
    Hello,
    Kill,
    Noted,
    Output,
    Ready,
    Record,
    Stop,
    Stopped,
    Welcome,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from actorio._model.certificate import DeathCause
    from actorio._node.boot import Boot
    from actorio._node.registry import Answer
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Control, Zygote

# All in seconds. How long actors may take to end after SIGTERM, and the kernel after SIGKILL.
_GRACE, _LAST_GRACE = 1.0, 0.5
# How long a caller whose connection broke waits for the news of a death before it hears that the actor lives.
_DEATH_TIMEOUT = 2.0
_UNHEARD_TIMEOUT = 1.0
# A driver that has started a node connects at once, or has died.
_FIRST_DRIVER_TIMEOUT = 30.0
# The logging level of a report.
_ERROR = 40
# Beyond this many bytes that a driver has not taken, actors' output waits in their pipes.
_MAX_BACKLOG = 1 << 22


class Node:
    """One session's control plane. Everything runs in the thread of its loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, boot: Boot, zygote: socket.socket, zygote_pid: int) -> None:
        self._loop = loop
        self._boot = boot
        self._listener = socket.socket(fileno=boot.listener)
        self._registry: Registry[Client] = Registry()
        self._outputs = Outputs(loop, self._on_output)
        self._nursery = Nursery(loop, zygote, zygote_pid, self._on_news, self._on_zygote_lost)
        self._clients: set[Client] = set()
        # Of each actor that has not been buried: what its output is labelled with, where it listens, its process.
        self._labels: dict[str, tuple[str, str]] = {}
        self._pids: dict[str, int] = {}
        self._actors_by_pid: dict[int, str] = {}
        # Deaths that nobody asked for, in both senses; reported unless a caller asks soon.
        self._unheard: dict[str, DeathCertificate] = {}
        self._is_paused = False
        self._is_ending = False
        self._killed = 0
        # Set by the zygote's first message: "" when all is well.
        self._start_error: str | None = None
        self.ended: asyncio.Future[None] = loop.create_future()
        self._listener.setblocking(False)
        loop.add_reader(self._listener.fileno(), self._accept)
        loop.call_later(_FIRST_DRIVER_TIMEOUT, self._end_if_alone)

    # --- clients ------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            sock = accept(self._listener)
        except OSError:
            # No descriptors left: the client stays in the queue, and is accepted when an actor has ended.
            return
        if sock is not None:
            self._clients.add(Client(self._loop, sock, self._on_message, self._on_client_end, self._on_drained))

    def _on_message(self, client: Client, message: Control, payload: Payload) -> None:
        if isinstance(message, Create):
            self._create(client, message)
        elif isinstance(message, AskDeath):
            self._ask(client, message)
        elif isinstance(message, Kill):
            self._kill(client, message)
        elif isinstance(message, Record):
            self._tell_drivers(message)
        elif isinstance(message, Failed):
            self._registry.constructor_failed(message.actor_id, DeathCertificate.decode(bytes(payload)).detail)
            client.send(Noted())
        elif isinstance(message, Hello):
            self._greet(client)
        elif isinstance(message, Stop):
            self._end("shutdown", "")

    def _greet(self, client: Client) -> None:
        if client.is_driver:
            client.watch_process()
        if self._start_error is not None:
            client.send(Welcome(os.getpid(), self._nursery.pid, self._start_error))

    def _on_client_end(self, client: Client) -> None:
        self._clients.discard(client)
        self._registry.forget(client)
        if client.is_driver:
            self._end_if_alone()

    def _end_if_alone(self) -> None:
        if not any(client.is_driver for client in self._clients):
            self._end("shutdown", "its driver has ended")

    def _tell_drivers(self, message: Output | Record) -> None:
        for client in self._clients:
            if client.is_driver:
                client.send(message)
                if client.backlog() > _MAX_BACKLOG and not self._is_paused and not self._is_ending:
                    self._is_paused = True
                    self._outputs.pause()

    def _on_drained(self) -> None:
        if self._is_paused and all(client.backlog() < _MAX_BACKLOG // 2 for client in self._clients):
            self._is_paused = False
            self._outputs.resume()

    # --- actors -------------------------------------------------------------------------------------------------

    def _create(self, client: Client, message: Create) -> None:
        listener, birth = client.take_descriptors(2)
        self._registry.create(message.actor_id, message.label)
        self._labels[message.actor_id] = (message.label, f"{self._boot.directory}/{message.actor_id[:16]}")
        try:
            pipes = self._outputs.open(message.actor_id)
        except OSError as error:
            os.close(listener)
            os.close(birth)
            self._bury(message.actor_id, self._registry.fork_failed(message.actor_id, str(explain_exhaustion(error))))
            return
        self._nursery.fork(message.actor_id, [listener, birth, *pipes])
        if self._nursery.is_lost:
            self._on_zygote_lost()

    def _kill(self, client: Client, message: Kill) -> None:
        who = "the driver" if client.is_driver else "an actor"
        pid = self._registry.kill(message.actor_id, f"actorio.kill() in {who} (pid {client.pid})")
        if pid:
            self._nursery.signal([pid], signal.SIGKILL)

    def _ask(self, client: Client, message: AskDeath) -> None:
        self._unheard.pop(message.actor_id, None)
        answer = self._registry.ask(message.actor_id, client, message.id)
        if answer is not None:
            self._answer([answer])
        else:
            self._loop.call_later(_DEATH_TIMEOUT, self._give_up, message.actor_id, client, message.id)

    def _give_up(self, actor_id: str, client: Client, number: int) -> None:
        answer = self._registry.give_up(actor_id, client, number)
        if answer is not None:
            self._answer([answer])

    def _answer(self, answers: Iterable[Answer[Client]]) -> None:
        for asker, number, certificate in answers:
            asker.send(Death(number), b"" if certificate is None else certificate.encode())

    # --- the zygote ---------------------------------------------------------------------------------------------

    def _on_news(self, message: Zygote) -> None:
        if isinstance(message, Forked):
            self._actors_by_pid[message.pid] = message.actor_id
            self._pids[message.actor_id] = message.pid
            if self._registry.forked(message.actor_id, message.pid):
                self._nursery.signal([message.pid], signal.SIGKILL)
            elif self._is_ending:
                self._nursery.signal([message.pid], signal.SIGTERM)
        elif isinstance(message, Exited):
            self._on_exit(message)
        elif isinstance(message, ForkFailed):
            self._outputs.finish(message.actor_id)
            self._bury(message.actor_id, self._registry.fork_failed(message.actor_id, message.reason))
        elif isinstance(message, Ready):
            self._start_error = message.error
            for client in self._clients:
                self._greet(client)

    def _on_exit(self, message: Exited) -> None:
        actor_id = self._actors_by_pid.pop(message.pid, "")
        tail = self._outputs.finish(actor_id)
        self._bury(actor_id, self._registry.exited(message.pid, message.code, tail))

    def _bury(self, actor_id: str, answers: list[Answer[Client]]) -> None:
        self._pids.pop(actor_id, None)
        _, address = self._labels.pop(actor_id, ("", ""))
        if address:
            unlink(address)
        self._answer(answers)
        certificate = self._registry.certificate(actor_id)
        if certificate is not None and not answers and certificate.is_unexpected():
            self._unheard[actor_id] = certificate
            self._loop.call_later(_UNHEARD_TIMEOUT, self._report, actor_id)
        if self._is_ending and self._registry.is_empty():
            self._finish()

    def _report(self, actor_id: str) -> None:
        """Tells the drivers of a death that no caller has asked about."""
        certificate = self._unheard.pop(actor_id, None)
        if certificate is not None:
            text = f"{certificate.who()} is dead: {certificate.describe()}"
            record = Record(certificate.class_name, certificate.pid, "actorio", _ERROR, text, time.time(), "", 0)
            self._tell_drivers(record)

    def _on_zygote_lost(self) -> None:
        """Without the zygote nobody is left to start actors or to tell how they ended; the kernel has killed them."""
        if self._start_error is None:
            self._start_error = "the process that actors are forked from ended while it imported what they need"
            for client in self._clients:
                self._greet(client)
        pids = self._registry.end_all("zygote_lost", f"pid {self._nursery.pid}")
        self._nursery.signal(pids, signal.SIGKILL)
        self._outputs.finish_all()
        self._answer(self._registry.bury_all())
        if self._is_ending:
            self._finish()

    def _on_output(self, actor_id: str, stream: int, lines: list[bytes]) -> None:
        label, _ = self._labels.get(actor_id, ("", ""))
        self._tell_drivers(Output(label, self._pids.get(actor_id, 0), stream, lines))

    # --- the end ------------------------------------------------------------------------------------------------

    def _end(self, cause: DeathCause, detail: str) -> None:
        if self._is_ending:
            return
        self._is_ending = True
        pids = self._registry.end_all(cause, detail)
        if self._registry.is_empty():
            self._finish()
            return
        self._nursery.signal(pids, signal.SIGTERM)
        self._loop.call_later(_GRACE, self._kill_rest)
        self._loop.call_later(_GRACE + _LAST_GRACE, self._finish)

    def _kill_rest(self) -> None:
        pids = self._registry.pids()
        self._killed = len(pids)
        self._nursery.signal(pids, signal.SIGKILL)

    def _finish(self) -> None:
        if self.ended.done():
            return
        self._outputs.finish_all()
        for actor_id in list(self._unheard):
            self._report(actor_id)
        self._nursery.close()
        self._nursery.wait(_LAST_GRACE)
        remove_session(self._boot.directory)
        for client in list(self._clients):
            client.send(Stopped(self._killed))
            client.flush_blocking(_LAST_GRACE)
        self.ended.set_result(None)


def serve(boot: Boot, zygote: socket.socket, zygote_pid: int) -> None:
    """Runs the node until its session has ended."""
    loop = new_loop()
    node = Node(loop, boot, zygote, zygote_pid)
    loop.run_until_complete(node.ended)
    os._exit(0)
