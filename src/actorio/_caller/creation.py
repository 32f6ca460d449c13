"""Making actors: a listening socket, a birth in memory, and a word to the node, which starts the process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from actorio._caller import surroundings
from actorio._caller.ledger import is_value
from actorio._model.birth import Birth
from actorio._model.errors import RaySystemError
from actorio._model.handle import ActorIdentity
from actorio._model.resources import lack
from actorio._model.restarts import RestartPolicy, encode_policy
from actorio._model.rules import rules_of
from actorio._model.travel import take_notes
from actorio._transport.descriptors import memory_file
from actorio._transport.sockets import listen, unlink
from actorio._wire.messages import Create
from actorio._wire.payload import dumps, loads

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from actorio._caller.node import NodeClient
    from actorio._model.actor_options import ActorOptions
    from actorio._model.definition import ClassDefinition

# How many calls an actor runs at once where its options do not say: async, and otherwise. As in Ray.
_ASYNC_LIMIT, _PLAIN_LIMIT = 1000, 1
# Where detached actors have their names whose makers have not chosen a namespace.
SHARED_NAMESPACE = "default"


class Home(NamedTuple):
    """Where the actors of one process live.

    Attributes:
        directory: the session's directory.
        session: the session's name.
        namespace: where their names are unique.
        is_anonymous: nobody has chosen the namespace: it is that of one driver and its actors.
        stall_limit: what they are told, see ``init(loop_stall_limit=)``.
    """

    directory: str
    session: str
    namespace: str
    is_anonymous: bool
    stall_limit: float

    def namespace_of(self, options: ActorOptions) -> str:
        """Returns the namespace that an actor's name is in."""
        if options.namespace is None and options.is_detached and self.is_anonymous:
            return SHARED_NAMESPACE
        return options.namespace or self.namespace


class ActorMaker:
    """Makes the actors of one process.

    Args:
        node: returns the connection to the node.
    """

    def __init__(self, home: Home, node: Callable[[], NodeClient]) -> None:
        self.home = home
        self._node = node
        # What was pickled last: mostly there are several actors of a class.
        self._pickled: tuple[ClassDefinition | None, bytes] = (None, b"")

    def make(
        self,
        definition: ClassDefinition,
        class_payload: bytes,
        arguments: bytes,
        options: ActorOptions,
        *,
        held: tuple[str, ...] = (),
        lease: tuple[int, bool] = (0, False),
    ) -> tuple[ActorIdentity, bool]:
        """Starts an actor: its socket listens when this returns, its process is on its way.

        Returns its identity, and whether it is new: with ``get_if_exists`` it may be the one that has the name. A
        worker is made for a ``lease``: its number, and whether it is for that one alone.

        Raises:
            ValueError: another actor has the name, or it needs what the session does not have.
            RaySystemError: the session has ended.
            OSError: descriptors have run out.
        """
        if options.amounts:
            self.check(definition.name, options.amounts)
        birth = self._birth(definition, class_payload, arguments, options, held)
        identity = ActorIdentity(
            birth.actor_id,
            birth.address,
            birth.session,
            definition,
            is_ordered=birth.max_concurrency == 1 and not definition.is_async and not options.concurrency_groups,
            terms=options.terms(),
        )
        create = Create(
            birth.actor_id,
            definition.name,
            name=options.name or "",
            namespace=self.home.namespace_of(options) if options.name else "",
            is_detached=options.is_detached,
            gets_existing=options.get_if_exists,
            max_restarts=options.max_restarts,
            policy=encode_policy(options.restart_policy or RestartPolicy()),
            # The owners of values hear of references themselves.
            held=tuple(key for key in held if not is_value(key)),
            membership=b"" if options.membership is None else options.membership.encode(),
            amounts=dict(options.amounts),
            lease=lease[0],
            is_private=lease[1],
            ends_with_session=options.ends_with_session,
        )
        existing = self._start(birth, create, identity)
        return (loads(existing), False) if existing else (identity, True)

    def check(self, name: str, amounts: Mapping[str, int]) -> None:
        """Checks that what somebody needs can be had, now or later.

        Raises:
            ValueError: it cannot.
        """
        why = lack(amounts, self._node().resources)
        if why:
            raise ValueError(f"{name} can never run: {why}")

    def _birth(
        self,
        definition: ClassDefinition,
        class_payload: bytes,
        arguments: bytes,
        options: ActorOptions,
        held: tuple[str, ...],
    ) -> Birth:
        actor_id = os.urandom(16).hex()
        limit = options.max_concurrency or (_ASYNC_LIMIT if definition.is_async else _PLAIN_LIMIT)
        rules = rules_of(definition, options, limit)
        return Birth(
            actor_id=actor_id,
            name=definition.name,
            address=f"{self.home.directory}/{actor_id[:16]}",
            session=self.home.session,
            class_payload=bytes(memoryview(class_payload)),
            definition=self._pickle(definition),
            arguments=bytes(memoryview(arguments)),
            is_async=definition.is_async,
            max_concurrency=limit,
            allow_blocking_get=options.allow_blocking_get,
            stall_limit=self.home.stall_limit,
            surroundings=surroundings.capture().encode(),
            namespace=self.home.namespace,
            is_anonymous=self.home.is_anonymous,
            held=held,
            rules=rules,
            cancel_grace=options.cancel_grace,
        )

    def _pickle(self, definition: ClassDefinition) -> bytes:
        last, data = self._pickled
        if definition is not last:
            data = dumps(definition)
            self._pickled = definition, data
        return data

    def _start(self, birth: Birth, create: Create, identity: ActorIdentity) -> bytes:
        node = self._node()
        node.check()
        # Only who asks by name needs the identity, and who gets a worker.
        data = dumps(identity) if create.name or create.lease else b""
        # The node hands out weak handles: nothing travels.
        take_notes()
        descriptors = self._lay(birth)
        try:
            start = node.create_named if create.name else node.create
            existing = start(create, descriptors, data)
        except BaseException as error:
            unlink(birth.address)
            if not isinstance(error, ValueError):
                # Interrupted, or too late: the actor may be on its way, and nobody will ever have a handle on it.
                node.let_go(birth.actor_id, 1)
            raise
        if existing:
            unlink(birth.address)
        return existing

    def _lay(self, birth: Birth) -> tuple[int, int]:
        """Returns the descriptors that an actor begins with: its listening socket, and its birth in memory."""
        with self._listen(birth.address) as listener:
            try:
                memory = memory_file(birth.encode())
            except OSError:
                unlink(birth.address)
                raise
            return listener.detach(), memory

    def _listen(self, address: str) -> socket.socket:
        try:
            return listen(address)
        except FileNotFoundError as error:
            raise RaySystemError("this session has ended: its directory is gone") from error
