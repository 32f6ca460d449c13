"""Making actors: a listening socket, a birth in memory, and a word to the node, which starts the process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from actorio._caller import surroundings
from actorio._model.birth import Birth
from actorio._model.errors import RaySystemError
from actorio._model.handle import ActorIdentity
from actorio._transport.descriptors import memory_file
from actorio._transport.sockets import listen, unlink
from actorio._wire.payload import dumps

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from actorio._caller.node import NodeClient
    from actorio._model.definition import ClassDefinition
    from actorio._model.options import ActorOptions

# How many calls an actor runs at once where its options do not say: async, and otherwise. As in Ray.
_ASYNC_LIMIT, _PLAIN_LIMIT = 1000, 1


class ActorMaker:
    """Makes the actors of one process.

    Args:
        directory: the session's directory.
        node: returns the connection to the node.
    """

    def __init__(self, directory: str, session: str, stall_limit: float, node: Callable[[], NodeClient]) -> None:
        self._directory = directory
        self._session = session
        self._stall_limit = stall_limit
        self._node = node

    def make(
        self, definition: ClassDefinition, class_payload: bytes, arguments: bytes, options: ActorOptions
    ) -> ActorIdentity:
        """Starts an actor: its socket listens when this returns, its process is on its way.

        Raises:
            RaySystemError: the session has ended.
            OSError: descriptors have run out.
        """
        actor_id = os.urandom(16).hex()
        address = f"{self._directory}/{actor_id[:16]}"
        limit = options.max_concurrency or (_ASYNC_LIMIT if definition.is_async else _PLAIN_LIMIT)
        birth = Birth(
            actor_id=actor_id,
            name=definition.name,
            address=address,
            session=self._session,
            class_payload=class_payload,
            definition=dumps(definition),
            arguments=arguments,
            is_async=definition.is_async,
            max_concurrency=limit,
            allow_blocking_get=options.allow_blocking_get,
            stall_limit=self._stall_limit,
            surroundings=surroundings.capture().encode(),
        )
        node = self._node()
        node.check()
        with self._listen(address) as listener:
            memory = memory_file(birth.encode())
            try:
                node.create(actor_id, definition.name, (listener.fileno(), memory))
            except BaseException:
                unlink(address)
                raise
            finally:
                os.close(memory)
        is_ordered = limit == 1 and not definition.is_async
        return ActorIdentity(actor_id, address, self._session, definition, is_ordered=is_ordered)

    def _listen(self, address: str) -> socket.socket:
        try:
            return listen(address)
        except FileNotFoundError as error:
            raise RaySystemError("this session has ended: its directory is gone") from error
