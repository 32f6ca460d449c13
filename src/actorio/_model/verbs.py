"""`get`, `wait`, `put`, `kill`: the public functions that check their arguments and ask the runtime."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar, overload

from actorio._model import runtime
from actorio._model.actor_options import NAME_OPTIONS as _NAME_OPTIONS
from actorio._model.context import get_runtime_context
from actorio._model.handle import ActorHandle, identity_of
from actorio._model.options import validate
from actorio._model.reference import ObjectRef, pending_of
from actorio._model.resources import numbers
from actorio._model.streams import ObjectRefGenerator, Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")
Waited = TypeVar("Waited", bound="ObjectRef[Any] | ObjectRefGenerator[Any]")
# A month, in seconds: epoll counts milliseconds in 31 bits.
_LONGEST = 2_000_000.0


@overload
def get(refs: ObjectRef[T], *, timeout: float | None = None, copy: bool = False, cancel: bool = False) -> T: ...
@overload
def get(
    refs: Sequence[ObjectRef[T]], *, timeout: float | None = None, copy: bool = False, cancel: bool = False
) -> list[T]: ...
def get(
    refs: ObjectRef[Any] | Sequence[ObjectRef[Any]],
    *,
    timeout: float | None = None,
    copy: bool = False,
    cancel: bool = False,
) -> Any:
    """Blocks until the value of a reference, or of each of a list of them, is there; returns it or them.

    The first error of a list is raised as soon as it is known. Ctrl-C interrupts at once and loses nothing. In a
    notebook it may be called inside the running loop. In asynchronous code write ``await ref``.

    Args:
        refs: a reference or a list of references.
        timeout: seconds to wait at most; 0 only looks; None waits as long as it takes.
        copy: large arrays (from 256 KiB on) are views of memory that all their readers share, and cannot be written
            to. With True they can: the pages that are written to become this reader's own.
        cancel: when the time is up, cancel what is not done, as `cancel` does. Otherwise it goes on.

    Raises:
        ValueError: neither a reference nor a list of references, or a negative timeout.
        TypeError: ``copy`` or ``cancel`` is not a bool.
        GetTimeoutError: the time was up; the call goes on and the reference can be asked again, unless it was
            cancelled. Or the deadline of the call itself has passed (``options(timeout=)``).
        RayTaskError: the method raised; it is also an instance of the method's exception class.
        ActorDiedError: the actor died, with the reason.
        RuntimeError: called on the event loop of an async actor.
    """
    if timeout is None and copy is cancel is False and isinstance(refs, ObjectRef) and runtime.SLOT.runtime is not None:
        return runtime.SLOT.runtime.get_one(refs)
    timeout = _seconds(timeout)
    for name, flag in (("copy", copy), ("cancel", cancel)):
        if not isinstance(flag, bool):
            raise TypeError(f"get(): {name} is a bool, not {_kind_of(flag)}")
    if isinstance(refs, ObjectRef):
        return _values([refs], timeout, copy=copy, cancels=cancel)[0]
    if not _is_list_of_references(refs):
        raise ValueError(f"get() takes an ObjectRef or a list of them, not {_kind_of(refs)}")
    return _values(refs, timeout, copy=copy, cancels=cancel) if refs else []


@overload
def wait(
    refs: list[ObjectRef[T]], *, num_returns: int = 1, timeout: float | None = None, fetch_local: bool = True
) -> tuple[list[ObjectRef[T]], list[ObjectRef[T]]]: ...
@overload
def wait(
    refs: list[Waited], *, num_returns: int = 1, timeout: float | None = None, fetch_local: bool = True
) -> tuple[list[Waited], list[Waited]]: ...
def wait(
    refs: list[Any],
    *,
    num_returns: int = 1,
    timeout: float | None = None,
    fetch_local: bool = True,  # noqa: ARG001  # as in Ray; on one machine every value is local
) -> tuple[list[Any], list[Any]]:
    """Blocks until some of the references are done; a call that failed is done. Returns the done and the others.

    Both lists keep the order given. At most ``num_returns`` are returned as done. In asynchronous code write
    ``await asyncio.wait(refs)``.

    Args:
        refs: a list of different references. An `ObjectRefGenerator` among them is done when its next item is there.
        num_returns: how many to wait for.
        timeout: seconds to wait at most, after which what is done is returned; None waits as long as it takes.
        fetch_local: accepted for Ray's sake.

    Raises:
        TypeError: not a list of references.
        ValueError: the same reference twice, or a number out of range.
        RuntimeError: called on the event loop of an async actor.
    """
    if not _is_list_of_references(refs):
        if _has_generators(refs):
            return _wait_for_items(refs, num_returns, timeout)
        raise TypeError(f"wait() takes a list of ObjectRefs, not {_kind_of(refs)}")
    timeout = _seconds(timeout)
    if not refs:
        return [], []
    if len(set(refs)) != len(refs):
        raise ValueError("wait() takes each reference once")
    if not isinstance(num_returns, int):
        raise TypeError(f"wait(): num_returns is an int, not {_kind_of(num_returns)}")
    if not 1 <= num_returns <= len(refs):
        raise ValueError(
            f"wait(): num_returns is between 1 and the number of references ({len(refs)}), not {num_returns}"
        )
    current = runtime.installed()
    if current is None:
        # The session ends or has ended, and with it every call.
        ready = [ref for ref in refs if pending_of(ref).outlast(timeout)][:num_returns]
        return ready, [ref for ref in refs if ref not in ready]
    return current.wait(refs, num_returns, timeout)


def _has_generators(refs: object) -> bool:
    return isinstance(refs, list) and any(isinstance(ref, ObjectRefGenerator) for ref in refs)


def _wait_for_items(refs: list[Any], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
    given = {ref.upcoming() if isinstance(ref, ObjectRefGenerator) else ref: ref for ref in refs}
    if len(given) != len(refs):
        raise ValueError("wait() takes each reference once")
    ready, others = wait(list(given), num_returns=num_returns, timeout=timeout)
    return [given[ref] for ref in ready], [given[ref] for ref in others]


def put(value: T) -> ObjectRef[T]:
    """Keeps a copy of a value; returns a reference to it.

    Raises:
        TypeError: the value is itself a reference, or cannot be pickled.
    """
    if isinstance(value, ObjectRef):
        raise TypeError("put() takes a value, not an ObjectRef: pass the reference itself on")
    return runtime.current().put(value)


def cancel(
    ref: ObjectRef[Any] | ObjectRefGenerator | Stream[Any], *, force: bool = False, recursive: bool = True
) -> None:
    """Has a call end. Returns at once; the reference ends with `TaskCancelledError` when the call has ended.

    A call that waits is removed and never runs. A coroutine gets `asyncio.CancelledError` where it awaits, and its
    ``finally`` runs. A method in a thread is not interrupted: it can look at ``get_runtime_context().is_cancelled()``,
    and with ``@method(interruptible=True)`` it gets `KeyboardInterrupt`, as function tasks do. A stream stops. When
    the call has not ended within ``cancel_grace`` seconds (an option of the actor's class, 5 by default), that is
    logged and the reference ends all the same. A call that has ended already is left alone. Cancelled calls are not
    made again.

    Cancelling an ``await`` does the same, where nobody else has the reference. May be called in any thread and loop.

    Args:
        ref: what the call returned. That of a value from `put` has nothing to cancel.
        force: for function tasks only: end the process that runs it.
        recursive: cancel the calls and tasks that the call has made, too.

    Raises:
        TypeError: not a reference, or a flag that is no bool.
        ValueError: ``force`` for an actor's method.
    """
    if not isinstance(ref, ObjectRef | ObjectRefGenerator | Stream):
        raise TypeError(f"cancel() takes the ObjectRef of a call, not {_kind_of(ref)}")
    for name, flag in (("force", force), ("recursive", recursive)):
        if not isinstance(flag, bool):
            raise TypeError(f"cancel(): {name} is a bool, not {_kind_of(flag)}")
    pending = pending_of(ref) if isinstance(ref, ObjectRef) else ref.behind()
    current = runtime.installed()
    # Without a runtime the session has ended, and with it every call.
    if current is not None:
        current.cancel(pending, is_forced=force, is_recursive=recursive)


def kill(actor: ActorHandle, *, no_restart: bool = True) -> None:
    """Ends an actor at once with SIGKILL, and what it has started. Running and waiting calls fail.

    Returns before the actor has ended. An actor that has ended already is left in peace. No clean-up hook runs; for
    that, call ``handle.__ray_terminate__.remote()``. Its name is free for the next actor of that name.

    Args:
        actor: its handle.
        no_restart: False lets it be restarted, if it has restarts left.

    Raises:
        ValueError: not a handle.
        TypeError: ``no_restart`` is not a bool.
        RaySystemError: the handle belongs to another session.
    """
    if not isinstance(actor, ActorHandle):
        raise ValueError(f"kill() takes an actor's handle, not {_kind_of(actor)}")  # noqa: TRY004  # as Ray has it
    if not isinstance(no_restart, bool):
        raise TypeError(f"kill(): no_restart is a bool, not {_kind_of(no_restart)}")
    runtime.of_handles().kill(identity_of(actor), may_restart=not no_restart)


def cluster_resources() -> dict[str, float]:
    """Returns what the session has of each resource: ``{"CPU": 8.0, "memory": ..., ...}``. Memory is in bytes."""
    return numbers(runtime.current().list_actors().resources)


def available_resources() -> dict[str, float]:
    """Returns what of each resource no actor and no task has now. Asks the node: about 0.2 ms."""
    return numbers(runtime.current().list_actors().free)


def get_gpu_ids() -> list[str]:
    """Returns the ids of the GPUs that this actor or task has been given; [] without any, and in a driver."""
    return get_runtime_context().get_accelerator_ids()["GPU"]


def get_actor(name: str, namespace: str | None = None) -> ActorHandle:
    """Returns a handle on the actor of this name. Blocks for a moment; safe to call from any thread and loop.

    The handle is a weak one, as in Ray: it does not keep the actor alive. Pass it on, and who gets it does.

    Args:
        name: as given to ``options(name=)``.
        namespace: where the name is unique; None for the namespace of this process (see ``init(namespace=)``), and
            after that for the one of detached actors whose maker has not chosen any.

    Raises:
        ValueError: there is no such actor; the text shows near names.
        TypeError: not a string.
        RaySystemError: the session has ended.
    """
    validate(_NAME_OPTIONS, {"name": name, "namespace": namespace}, "get_actor()")
    return runtime.current().get_actor(name, namespace)


def _values(refs: Sequence[ObjectRef[Any]], timeout: float | None, *, copy: bool, cancels: bool) -> list[Any]:
    current = runtime.installed()
    if current is not None:
        return current.get(refs, timeout, copy=copy, cancels=cancels)
    # The session ends or has ended, and with it every call.
    for ref in refs:
        if not pending_of(ref).outlast(timeout):
            from actorio._model.errors import GetTimeoutError  # `import actorio` loads this module, and little else

            raise GetTimeoutError(f"{ref!r} was not done within {timeout} seconds; its session is just ending")
    return [pending_of(ref).value(copy=copy) for ref in refs]


def _is_list_of_references(refs: object) -> bool:
    # Not a generator: this runs for each of thousands.
    return isinstance(refs, list) and False not in [isinstance(ref, ObjectRef) for ref in refs]


def _seconds(timeout: float | None) -> float | None:
    """Checks a timeout; returns None for one that is longer than the system can count."""
    if timeout is None:
        return None
    if not isinstance(timeout, int | float):
        raise TypeError(f"a timeout is a number of seconds or None, not {_kind_of(timeout)}")
    if not timeout >= 0:
        raise ValueError(f"a timeout is seconds, at least 0, not {timeout}")
    return None if timeout > _LONGEST else timeout


def _kind_of(value: object) -> str:
    what, hint = _described(value)
    return f"{what}{hint and ': '}{hint}"


def _described(value: object) -> tuple[str, str]:
    """Returns what a value is, and what to do with it instead."""
    name = type(value).__name__
    what = f"{'an' if name[0] in 'aeiouAEIO' else 'a'} {name}"
    if isinstance(value, list):
        other = next((item for item in value if not isinstance(item, ObjectRef)), None)
        if other is None:
            return "a list of references", "take them out of it"
        inner, hint = _described(other)
        return f"a list with {inner} in it", hint
    if isinstance(value, ObjectRefGenerator | Stream):
        return what, "take its items in a `for` or an `async for`"
    if isinstance(value, tuple | set | dict | Iterator):
        return what, "make it a list"
    hint = f"call it with .remote(...), as in {value!r}.remote()" if hasattr(value, "remote") else ""
    return what, hint
