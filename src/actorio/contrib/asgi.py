"""Actors in web applications, for Starlette, FastAPI and whatever else speaks ASGI, on asyncio or trio.

`lifespan` gives all worker processes of a server one session, `CancelOnDisconnect` ends the work of a request whose
client has gone. Nothing starts when a module is imported, so an application may be loaded before its server forks.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import anyio

from actorio._caller.wakers import running_loop
from actorio._model.init_options import InitOptions
from actorio._model.remote import ActorClass
from actorio.engines import local

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, MutableMapping

    from actorio._model.handle import ActorHandle

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
    Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]
    InnerLifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]

__all__ = ["CancelOnDisconnect", "Shared", "lifespan", "pending_calls"]

# So many bytes of a body are read before the application asks for them, to see whether the client is still there.
_AHEAD = 1 << 16


# --- one session for all workers -------------------------------------------------------------------------------------


class Shared:
    """An actor class and the arguments of its constructor, for ``lifespan(actors=...)``.

    Args:
        actor_class: what ``@actorio.remote`` or ``.options(...)`` has made of a class.
        *args: for its constructor.
        **kwargs: for its constructor.

    Raises:
        TypeError: ``actor_class`` is something else.
    """

    def __init__(self, actor_class: Any, /, *args: Any, **kwargs: Any) -> None:
        if not isinstance(actor_class, ActorClass):
            kind = actor_class.__name__ if isinstance(actor_class, type) else type(actor_class).__name__
            raise TypeError(f"a shared actor is made of a class with @actorio.remote, not of {kind}")
        self.actor_class = actor_class
        self._args = args
        self._kwargs = kwargs

    def named(self, name: str, namespace: str) -> Shared:
        """Returns the same for a name: whoever comes first makes the actor, the others get it."""
        chosen = self.actor_class.options(name=name, namespace=namespace, lifetime="session", get_if_exists=True)
        return Shared(chosen, *self._args, **self._kwargs)

    def get(self) -> ActorHandle:
        """Returns the handle of the actor, which is made if there is none."""
        return self.actor_class.remote(*self._args, **self._kwargs)


def lifespan(
    session: str,
    inner: InnerLifespan | None = None,
    *,
    actors: Mapping[str, ActorClass | type[Any] | Shared] | None = None,
    **options: Any,
) -> Lifespan:
    """Makes a lifespan for ``FastAPI(lifespan=...)`` and ``Starlette(lifespan=...)`` that has actors run beside it.

    Each worker process takes part in the session of this name from its startup to its shutdown. The first one starts
    it, and it ends with the last one, however that ends. When the server replaces a worker, the new one finds the
    session and the shared actors as they are. The environment variable ``ACTORIO_ADDRESS``, where it is set, says
    otherwise which session; a process that is in one already, such as a test, stays in it and does not leave it.

    Startup blocks the event loop for the fraction of a second that a session takes to start, and waits for the
    constructors of the shared actors; shutdown blocks it for two seconds at most.

    Args:
        session: the session's name; also the namespace of its actors, unless ``namespace=`` is among the options.
        inner: the application's own lifespan, which is entered when the actors are there. What it yields is added to
            the state.
        actors: actors that all workers share, by name: an actor class, or `Shared` with constructor arguments. Their
            handles are in the state, ``request.state.<name>``. They belong to no worker and end with the session.
        **options: of ``actorio.init``. Those of the session itself are the first worker's.

    Returns:
        A function that takes the application and returns an asynchronous context manager; its value is the state.
        Entering it raises what ``init`` raises, and `ActorDiedError` if a constructor does.

    Raises:
        TypeError, ValueError: an option, a name or an actor is none.
    """
    InitOptions.of({**options, "session": session}, "lifespan()")
    namespace = options.setdefault("namespace", session)
    shared = {
        name: (each if isinstance(each, Shared) else Shared(each)).named(name, namespace)
        for name, each in (actors or {}).items()
    }

    @asynccontextmanager
    async def live(app: Any) -> AsyncIterator[Mapping[str, Any]]:
        with _taking_part(session, options):
            state: dict[str, Any] = {name: each.get() for name, each in shared.items()}
            for ready in [handle.__ray_ready__.remote() for handle in state.values()]:
                await ready
            async with AsyncExitStack() as stack:
                if inner is not None:
                    own = await stack.enter_async_context(inner(app))
                    state.update(own or {})
                yield state

    return live


@contextmanager
def _taking_part(session: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Is in the session meanwhile, in which this process may be already."""
    if local.is_initialized():
        yield
        return
    is_said_elsewhere = bool(os.environ.get(local.ADDRESS_VARIABLE))
    with local.init(**options, session=None if is_said_elsewhere else session):
        yield


def pending_calls() -> int:
    """Returns how many calls this process has made that have not been answered yet: for health checks and tests.

    Streams that flow are among them. Asks nobody and waits for nothing; in any thread.
    """
    return local.pending_calls()


# --- clients that go -------------------------------------------------------------------------------------------------


class CancelOnDisconnect:
    """Middleware that cancels the handling of a request whose client has disconnected.

    Servers let a handler run on then, and with it the actors' calls that it waits for. Here its task is cancelled as
    ``task.cancel()`` does: ``await handle.method.remote()`` raises `asyncio.CancelledError` and takes the call back,
    ``finally`` blocks run and may await. A handler that must not be interrupted awaits ``asyncio.shield(...)``, or
    stands outside: the middleware may be that of a single route. ``def`` handlers run in threads, which nobody can
    interrupt: their response is dropped when they are done. What runs after the whole response has been sent, such as
    background tasks, is left alone. WebSockets hear of their clients by themselves and pass through untouched.

    To notice a client's end, up to 64 KiB of a request's body are read before the application asks for them, and
    nothing of a body that is announced with ``Expect: 100-continue``. While a longer one waits to be read, or such a
    one to be asked for, a disconnect is not noticed. Under trio, what ``finally`` blocks await is cancelled, too.

    Args:
        app: the application: ``app.add_middleware(CancelOnDisconnect)``, or ``CancelOnDisconnect(app)`` around any.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one connection or request; see the ASGI specification."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = _Request(receive, send, is_patient=_waits_to_be_asked(scope))
        serving = self.app(scope, request.receive, request.send)
        if running_loop() is None:
            await _serve_under_trio(serving, request)
        else:
            await _serve(serving, request)


async def _serve(serving: Awaitable[None], request: _Request) -> None:
    task = asyncio.current_task()
    if task is None:
        raise AssertionError("a coroutine runs in a task")
    others = task.cancelling()
    # Not a cancel scope of anyio, which would go on to cancel whatever the handler awaits in its `finally`.
    request.cancel = task.cancel
    watcher = asyncio.create_task(request.watch(), name="actorio-disconnect")
    try:
        await serving
    except asyncio.CancelledError:
        if not request.has_cancelled or task.cancelling() > others + 1:
            raise
    finally:
        watcher.cancel()
        if request.has_cancelled:
            task.uncancel()


async def _serve_under_trio(serving: Awaitable[None], request: _Request) -> None:
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        request.cancel = group.cancel_scope.cancel
        group.start_soon(request.watch)
        try:
            await serving
        except Exception as error:
            # Raised outside, so that it comes alone and in no group.
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


class _Request:
    """One request: hands on what comes from the client and goes to it, and notices when it leaves.

    Args:
        is_patient: nothing is to be received before the application asks for it.

    Attributes:
        cancel: is called when the client disconnects before it has the whole response.
        has_cancelled: that was so.
    """

    def __init__(self, receive: Receive, send: Send, *, is_patient: bool) -> None:
        self._receive = receive
        self._send = send
        self._messages: deque[Message | Exception] = deque()
        self._ahead = 0
        self._may_read = not is_patient
        # Set when there is another message, and when the watcher may have something to do.
        self._arrived, self._taken = anyio.Event(), anyio.Event()
        self._is_complete = self._is_over = False
        self.cancel: Callable[[], object] = bool
        self.has_cancelled = False

    async def watch(self) -> None:
        """Receives until the client has gone; in a task of its own."""
        while not self._is_over:
            while self._ahead >= _AHEAD or not self._may_read:
                self._taken = anyio.Event()
                await self._taken.wait()
            try:
                message = await self._receive()
            except Exception as error:
                # For the application, which would have met it.
                self._is_over = True
                self._put(error)
                return
            self._ahead += len(message.get("body", b""))
            self._is_over = message["type"] == "http.disconnect"
            self._put(message)
        if not self._is_complete:
            self.has_cancelled = True
            self.cancel()

    def _put(self, message: Message | Exception) -> None:
        self._messages.append(message)
        self._arrived.set()

    async def receive(self) -> Message:
        """Is the application's ``receive``."""
        self._may_read = True
        self._taken.set()
        while not self._messages:
            if self._is_over:
                # As the server has it: mostly that the client has gone, again.
                return await self._receive()
            if self._arrived.is_set():
                self._arrived = anyio.Event()
            await self._arrived.wait()
        message = self._messages.popleft()
        if isinstance(message, Exception):
            raise message
        self._ahead -= len(message.get("body", b""))
        self._taken.set()
        return message

    async def send(self, message: Message) -> None:
        """Is the application's ``send``."""
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_complete = True
        await self._send(message)


def _waits_to_be_asked(scope: Mapping[str, Any]) -> bool:
    """Does the client send the body only when the application wants it?"""
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in scope["headers"])
