"""The node's shell: connects clients with the registry. The control plane: no call passes here.

Ends when no driver is connected and no detached actor lives.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from actorio._model.certificate import DeathCertificate
from actorio._model.restarts import RestartBudget, RestartPolicy, decode_policy
from actorio._model.supervision import Membership
from actorio._node import boot as boots
from actorio._node import instructions as do
from actorio._node.admission import Admission
from actorio._node.client import Client
from actorio._node.cradles import is_alive
from actorio._node.desk import Desk
from actorio._node.lifecycle import GRACE, Lifecycle
from actorio._node.memory import OutOfMemoryCounter
from actorio._node.news import News
from actorio._node.nursery import Nursery
from actorio._node.registry import Registry
from actorio._node.spec import Spec
from actorio._transport.descriptors import close_all
from actorio._transport.directories import note_processes, remove_session
from actorio._transport.loops import new_loop
from actorio._transport.sockets import accept
from actorio._wire import messages as m

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from actorio._node.boot import Boot
    from actorio._node.instructions import Instruction
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Control, Zygote

    # What a new node hears from the zygote: a message, its payload, its descriptors.
    Kept = tuple[Zygote, bytes, list[int]]

# All in seconds. How long the kernel may take to end actors after SIGKILL.
_LAST_GRACE = 0.5
# How long a caller whose connection broke waits for the news of a death before it hears that the actor lives.
_DEATH_TIMEOUT = 2.0
# How many zygotes may follow the first one within a minute.
_ZYGOTES = 20
# When a zygote that has closed its connection has surely ended.
_REAP_AFTER = 1.0
# How long a handle may be on its way whose sender has ended.
_TRAVEL_TIMEOUT = 60.0
# A driver that has started a node connects at once, or has died.
_FIRST_DRIVER_TIMEOUT = 30.0
# A new node hears from everybody who held an actor within this time; then it ends those that nobody holds.
_REJOIN_TIMEOUT = 5.0


class Node:
    """One session's control plane. Everything runs in the thread of its loop.

    Args:
        zygote: the connection to the zygote, whose process is ``zygote_pid``.
        entry: the module that is an actor's life, for a new zygote.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, boot: Boot, zygote: socket.socket, zygote_pid: int, entry: str
    ) -> None:
        self._loop = loop
        self._boot = boot
        self._entry = entry
        self._listener = socket.socket(fileno=boot.listener)
        admission = Admission(boot.resources, boot.gpu_ids)
        self._registry = Registry(random.random, OutOfMemoryCounter().has_run, admission)
        self._news = News(loop, boot.directory, self._registry, admission)
        self._life = Lifecycle(loop, self._registry, self._tell, self._admit, self._news.on_output)
        self._desk = Desk(
            loop,
            admission,
            self._registry,
            self._life.perform,
            self._news.warn,
            self._client_of,
            boot.idle_worker_timeout,
        )
        self._news.outputs = self._life.outputs
        self._life.nursery = Nursery(loop, zygote, zygote_pid, self._on_zygote_news, self._on_zygote_lost)
        self._clients: set[Client] = set()
        self._is_ending = self._is_finishing = False
        # The drivers of the node before this one that have not come yet.
        self._absent: set[int] = set()
        # How often another zygote is worth a try.
        self._zygotes = RestartBudget(_ZYGOTES, RestartPolicy(window=60.0))
        # Set by the zygote's first message: "" when all is well.
        self._start_error: str | None = None
        self.ended: asyncio.Future[None] = loop.create_future()
        self._handlers: dict[type[Any], Callable[[Client, Any, Payload], None]] = {
            m.Hello: lambda client, _message, _payload: self._greet(client),
            m.Create: self._create,
            m.Kill: self._kill,
            m.End: self._end_actor,
            m.AskDeath: self._ask,
            m.Failed: self._hear_farewell,
            m.Record: lambda _client, message, _payload: self._news.tell_of_record(message),
            m.Find: self._find,
            m.Hold: self._hold,
            m.Drop: self._drop,
            m.Lend: lambda client, message, _payload: self._registry.lend(message.actor_id, message.token, client.peer),
            m.Unlend: lambda _client, message, _payload: self._unlend(message.token),
            m.Watch: lambda client, message, _payload: self._news.watch(client, message.id, message.actor_id),
            m.Unwatch: lambda client, message, _payload: self._news.unwatch(client, message.id),
            m.List: self._list,
            m.Stop: self._stop,
            m.Lease: self._lease,
            m.Release: self._desk.release,
            m.Rest: self._desk.rest,
        }
        note_processes(boot.directory, os.getpid(), zygote_pid)
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
            client = Client(self._loop, sock, self._on_message, self._on_client_end, self._news.on_drained)
            self._clients.add(client)
            self._news.clients = self._clients

    def _on_message(self, client: Client, message: Control, payload: Payload) -> None:
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(client, message, payload)

    def _greet(self, client: Client) -> None:
        if client.is_driver and self._is_ending:
            # It finds another session, or begins one.
            self._clients.discard(client)
            client.send(m.Welcome(os.getpid(), self._life.nursery.pid, "it is just ending"))
            client.close_when_sent()
            return
        if client.is_driver:
            client.watch_process()
            self._absent.discard(client.pid)
            self._tell_of_drivers()
        if self._start_error is not None:
            resources = self._boot.resources
            client.send(m.Welcome(os.getpid(), self._life.nursery.pid, self._start_error, resources))

    def _tell_of_drivers(self) -> None:
        self._life.nursery.tell_drivers([client.pid for client in self._clients if client.is_driver])

    def _greet_all(self) -> None:
        for client in list(self._clients):
            if client.role:
                self._greet(client)

    def _on_client_end(self, client: Client) -> None:
        self._clients.discard(client)
        self._news.forget(client)
        if client.peer and not any(other.peer == client.peer for other in self._clients):
            detail = f"{client.who()} has ended"
            for token in self._registry.lent_by(client.peer):
                # The handle may be waiting in the socket of its receiver, who reads when he comes to it.
                self._loop.call_later(_TRAVEL_TIMEOUT, self._unlend, token)
            self._life.perform(self._registry.peer_gone(client.peer, detail, time.monotonic()))
            self._desk.peer_gone(client.peer)
        if client.is_driver:
            self._tell_of_drivers()
            self._end_if_alone()

    def _end_if_alone(self) -> None:
        if not self._registry.is_settling and not self._has_company():
            self._end("its driver has ended")

    def _has_company(self) -> bool:
        """Does anybody need the session?"""
        has_driver = any(client.is_driver and not client.is_leaving for client in self._clients)
        has_driver = has_driver or any(map(is_alive, self._absent))
        return has_driver or self._boot.is_kept or self._registry.has_detached()

    # --- actors -------------------------------------------------------------------------------------------------

    def _create(self, client: Client, message: m.Create, payload: Payload) -> None:
        descriptors = client.take_descriptors(2)
        membership = Membership.decode(message.membership) if message.membership else None
        lease = (client.peer, message.lease) if message.lease else None
        # Workers outlive the process that has made them: they are for the whole family, and end with its head.
        owner = client if lease is None else self._head_of(client)
        driver = self._driver_of(client) if lease is None else owner.peer
        spec = Spec(
            message.actor_id,
            message.label,
            f"{self._boot.directory}/{message.actor_id[:16]}",
            owner.peer,
            owner.pid,
            driver,
            # A group's rules take the place of the actor's own.
            RestartBudget(-1) if membership else RestartBudget(message.max_restarts, decode_policy(message.policy)),
            time.time(),
            message.name,
            message.namespace,
            message.is_detached,
            bytes(payload),
            message.held,
            membership,
            message.amounts,
            None if lease is None else self._desk.leases.gpus_of(lease),
            lease,
            message.is_private,
            message.ends_with_session,
            self._head_of(client).peer,
        )
        if self._registry.knows(spec.actor_id):
            close_all(descriptors)
        else:
            self._life.lay(spec.actor_id, tuple(descriptors))
        self._life.perform(self._registry.create(client, message.id, spec, gets_existing=message.gets_existing))
        if lease is not None and spec.actor_id in self._registry.living:
            self._desk.worker_made(spec)

    def _head_of(self, client: Client) -> Client:
        """Returns with whom the tasks of a process end: with its driver, or with a detached actor of its family."""
        actor = self._registry.living.get(client.actor_id)
        if actor is None or actor.spec.is_detached:
            return client
        owner = next((other for other in self._clients if other.peer == actor.spec.owner), None)
        return client if owner is None else self._head_of(owner)

    def _lease(self, client: Client, message: m.Lease, _payload: Payload) -> None:
        self._desk.lease(client, self._head_of(client).peer, self._driver_of(client), message)

    def _client_of(self, actor_id: str) -> Client | None:
        return next((client for client in self._clients if client.actor_id == actor_id), None)

    def _driver_of(self, client: Client) -> str:
        """Returns the driver at the root of a process's family."""
        actor = self._registry.living.get(client.actor_id)
        return client.peer if actor is None else actor.spec.driver

    def _kill(self, client: Client, message: m.Kill, _payload: Payload) -> None:
        self._news.hear_of(message.actor_id)
        by = f"actorio.kill() in {client.who()}" if client.role != "tool" else client.who()
        now = time.monotonic()
        self._life.perform(self._registry.kill(message.actor_id, by, now, may_restart=message.may_restart))

    def _end_actor(self, client: Client, message: m.End, _payload: Payload) -> None:
        actor = self._registry.living.get(message.actor_id)
        is_worker = actor is not None and actor.spec.lease is not None
        who = "it had no tasks any more" if is_worker else client.who()
        self._life.perform(self._registry.end(message.actor_id, "stopped", who, time.monotonic()))

    def _hear_farewell(self, client: Client, _message: m.Failed, payload: Payload) -> None:
        self._registry.said_farewell(DeathCertificate.decode(bytes(payload)))
        client.send(m.Noted())

    def _hold(self, client: Client, message: m.Hold, _payload: Payload) -> None:
        if client.actor_id != message.actor_id:
            self._registry.hold(message.actor_id, client.peer, message.token)
        elif message.token:
            # An actor's handle on itself keeps nobody alive.
            self._life.perform(self._registry.arrive(message.actor_id, message.token, time.monotonic()))

    def _unlend(self, token: int) -> None:
        self._life.perform(self._registry.unlend(token, time.monotonic()))

    def _drop(self, client: Client, message: m.Drop, _payload: Payload) -> None:
        if client.actor_id != message.actor_id:
            now = time.monotonic()
            self._life.perform(self._registry.drop(message.actor_id, client.peer, message.count, now))

    # --- questions ----------------------------------------------------------------------------------------------

    def _ask(self, client: Client, message: m.AskDeath, _payload: Payload) -> None:
        self._news.hear_of(message.actor_id)
        answer = self._registry.ask(message.actor_id, client, message.id, message.since)
        if answer is not None:
            self._tell(answer)
        else:
            self._loop.call_later(_DEATH_TIMEOUT, self._give_up, message.actor_id, client, message.id)

    def _give_up(self, actor_id: str, client: Client, number: int) -> None:
        answer = self._registry.give_up(actor_id, client, number)
        if answer is not None:
            self._tell(answer)

    def _find(self, client: Client, message: m.Find, _payload: Payload) -> None:
        identity, error = self._registry.find(message.namespace, message.name)
        client.send(m.Found(message.id, error), identity)

    def _list(self, client: Client, message: m.List, _payload: Payload) -> None:
        drivers = [other.pid for other in self._clients if other.is_driver]
        inventory = self._news.inventory(self._life.nursery.pid, drivers)
        client.send(m.Listing(message.id), inventory.encode())

    def _admit(self) -> list[Instruction]:
        return self._desk.admit()

    def _tell(self, each: Instruction) -> None:
        if isinstance(each, do.Answer):
            payload = b"" if each.certificate is None else each.certificate.encode()
            each.asker.send(m.Death(each.number), payload)
        elif isinstance(each, do.Made):
            if each.identity or each.error:
                self._life.discard(each.actor_id)
            each.asker.send(m.Created(each.number, each.error), each.identity)
        elif isinstance(each, do.Send):
            each.asker.send(each.message, each.payload)
        elif isinstance(each, do.Queue | do.CheckLater | do.Retire):
            self._desk.do(each)
        elif isinstance(each, do.CutOff):
            self._news.tell_of_cut_off(each)
        elif isinstance(each, do.Happened):
            self._news.tell_of(each)
            if each.kind == "died":
                self._life.perform(self._desk.leases.worker_died(each.actor_id))
                self._after_death()

    # --- the zygote ---------------------------------------------------------------------------------------------

    def _on_zygote_news(self, message: Zygote) -> None:
        if isinstance(message, m.Ready):
            self._start_error = message.error
            self._greet_all()
        else:
            self._life.on_news(message)

    def _on_zygote_lost(self) -> None:
        """All actors have died with it; those that may be restarted are, from another one."""
        pid = self._life.nursery.pid
        # By this nursery, which knows that its zygote is no more, and not by the next one.
        self._life.kill_groups()
        if self.ended.done() or self._is_finishing:
            return
        if self._start_error is None:
            self._start_error = "the process that actors are forked from ended while it imported what they need"
            self._greet_all()
        elif not self._is_ending:
            self._loop.call_later(_REAP_AFTER, _reap, pid)
            if self._zygotes.died(time.monotonic(), random.random) is None:
                self._end("the process that starts actors was lost too often")
            else:
                self._replace_zygote()
        self._life.lose_all(f"pid {pid}")

    def _replace_zygote(self) -> None:
        ours, theirs = socket.socketpair()
        process = _start_zygote(self._entry, self._boot, theirs)
        theirs.close()
        self._life.nursery = Nursery(self._loop, ours, process, self._on_zygote_news, self._on_zygote_lost)
        note_processes(self._boot.directory, os.getpid(), process)
        self._tell_of_drivers()

    def adopt(self, kept: list[Kept]) -> None:
        """Begins as the successor of a node that was killed: with the actors that the zygote has kept."""
        self._start_error = ""
        # Whoever was connected to the node before comes in a moment.
        self._registry.is_settling = self._registry.is_successor = True
        for message, payload, descriptors in kept:
            if isinstance(message, m.Kept):
                spec = Spec.decode(payload)
                self._life.adopt(message, spec, descriptors)
                if spec.lease is not None and message.pid:
                    self._desk.worker_made(spec)
            elif isinstance(message, m.Ready):
                self._absent = set(message.drivers)
            else:
                self._life.on_news(message)
        self._loop.call_later(_REJOIN_TIMEOUT, self._release_the_unheld)

    def _release_the_unheld(self) -> None:
        self._registry.is_settling = False
        self._absent.clear()
        for peer in self._registry.strangers(client.peer for client in self._clients):
            self._life.perform(self._registry.peer_gone(peer, "its program has ended", time.monotonic()))
        self._life.perform(self._registry.release(list(self._registry.living), time.monotonic()))
        self._end_if_alone()

    # --- the end ------------------------------------------------------------------------------------------------

    def _stop(self, client: Client, message: m.Stop, _payload: Payload) -> None:
        if message.is_all:
            self._end(f"stopped by {client.who()}")
            return
        client.is_leaving = True
        if not self._has_company():
            self._end("")
            return
        self._life.perform(self._registry.end_all("shutdown", "", time.monotonic(), client.peer))
        self._loop.call_later(GRACE, self._kill_rest, client.peer)
        self._let_go()

    def _after_death(self) -> None:
        if self._is_ending:
            if self._registry.is_empty():
                self._finish()
            return
        self._let_go()
        if not self._registry.living:
            # The last detached actor may have died after the last driver had gone.
            self._loop.call_soon(self._end_if_alone)

    def _let_go(self) -> None:
        """Tells those who leave that nothing of theirs is left."""
        for client in [client for client in self._clients if client.is_leaving]:
            if self._registry.is_empty(client.peer):
                self._clients.discard(client)
                client.send(m.Stopped(self._life.killed, is_over=False))
                client.close_when_sent()
                self._life.perform(self._registry.peer_gone(client.peer, "", time.monotonic()))
                self._desk.peer_gone(client.peer)

    def _end(self, detail: str) -> None:
        if self._is_ending:
            return
        self._is_ending = True
        self._life.perform(self._registry.end_all("shutdown", detail, time.monotonic()))
        if self._registry.is_empty():
            self._finish()
            return
        self._loop.call_later(GRACE, self._kill_rest, "")
        self._loop.call_later(GRACE + _LAST_GRACE, self._finish)

    def _kill_rest(self, driver: str) -> None:
        doomed = [actor for actor in self._registry.living.values() if actor.is_unwanted]
        self._life.cut_off([actor.pid for actor in doomed if not driver or actor.spec.driver == driver], GRACE)

    def _finish(self) -> None:
        if self.ended.done():
            return
        self._is_finishing = True
        self._life.outputs.finish_all()
        self._news.report_all()
        self._life.nursery.finish()
        self._life.nursery.wait(_LAST_GRACE)
        remove_session(self._boot.directory)
        for client in list(self._clients):
            client.send(m.Stopped(self._life.killed))
            client.flush_blocking(_LAST_GRACE)
        self.ended.set_result(None)


def _reap(pid: int) -> None:
    """Waits for a zygote that has ended, unless it was the child of a node before this one."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _start_zygote(entry: str, boot: Boot, sock: socket.socket) -> int:
    process = subprocess.Popen(  # noqa: S603  # our own module
        [sys.executable, "-m", "actorio._node", entry, "--zygote", str(sock.fileno())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=(sock.fileno(), boot.lock),
    )
    if process.stdin is None:
        raise AssertionError("asked for a pipe")
    with process.stdin as stdin:
        stdin.write(boots.encode(boot))
    # Waited for with the session's other processes, not by Popen.
    process.returncode = 0
    return process.pid


def serve(boot: Boot, zygote: socket.socket, zygote_pid: int, entry: str) -> NoReturn:
    """Runs the node until its session has ended."""
    loop = new_loop()
    node = Node(loop, boot, zygote, zygote_pid, entry)
    loop.run_until_complete(node.ended)
    os._exit(0)
