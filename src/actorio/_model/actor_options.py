"""The options of actor classes, of function tasks and of methods."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from actorio._model.concurrency import POLICIES, Rate
from actorio._model.options import (
    NONE,
    NUMBER,
    Option,
    Table,
    a_name,
    amounts,
    an_amount,
    at_least,
    gpus,
    table_of,
    validate,
    with_defaults,
)
from actorio._model.resources import amounts_of
from actorio._model.restarts import RestartPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actorio._model.concurrency import Policy
    from actorio._model.reference import ObjectRef
    from actorio._model.supervision import Membership

STREAMING: Final = "streaming"
DEFAULT_WINDOW: Final = 256
"""How many items a method may be ahead of who takes them."""

# What 64 bits hold.
_LARGEST: Final = 2**63 - 1
# Thirty years, in seconds.
_LONGEST_TIME: Final = 1e9

Retried = bool | tuple[type[Exception], ...]
"""Which exceptions of a method are retried: all, none, or those of these classes."""


def exceptions_of(value: Any) -> Retried:
    """Return what a user wrote as `retry_exceptions`, a list as a tuple."""
    return value if isinstance(value, bool) else tuple(value)


class Terms(NamedTuple):
    """What holds for all calls of an actor, wherever its handle is, unless they say otherwise.

    Attributes:
        retries: how often a call is made again when the actor has died in the midst of it; -1 is without end.
        retried: which exceptions of a method also make it be called again.
        timeout: how long a call may take, in seconds; 0: any time.
        max_pending: how many calls of one process may be unanswered; 0: any number.
        bound: how many calls its mailbox has room for, when callers are to wait for room; 0: any number.
        groups: its concurrency groups.
    """

    retries: int = 0
    retried: Retried = False
    timeout: float = 0.0
    max_pending: int = 0
    bound: int = 0
    groups: tuple[str, ...] = ()

    def is_limited(self) -> bool:
        """May a call be refused, or have to wait, before it is sent?"""
        return self.max_pending > 0 or self.bound > 0


class Manner(NamedTuple):
    """How a call is made: how many values it brings, how often and for which exceptions it is made again.

    Attributes:
        window: for a call whose values stream: how many the method may be ahead; 0 for other calls.
        timeout: how long it may take in all, in seconds; 0: any time.
        priority: calls of higher priority start first.
        group: the concurrency group, where it is not the method's own.
        is_limited: the actor's mailbox, or the number of calls that may be pending, has a bound.
    """

    returns: int = 1
    retries: int = 0
    retried: Retried = False
    window: int = 0
    timeout: float = 0.0
    priority: int = 0
    group: str = ""
    is_limited: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any], *, retries: int, retried: Any, is_generator: bool) -> Self:
        """Return it for options as a user wrote them; for those of retries see `retried`."""
        returns = options.get("num_returns")
        streams = returns == STREAMING or (returns is None and is_generator)
        return cls(
            returns if isinstance(returns, int) else 1,
            retries,
            exceptions_of(retried),
            options.get("window", DEFAULT_WINDOW) if streams else 0,
            options.get("timeout") or 0.0,
            options.get("priority", 0),
            options.get("concurrency_group") or "",
        )

    def is_single(self) -> bool:
        """Is it made once, for one value?"""
        return self.returns == 1 and not self.retries and not self.window

    def given(self, refs: list[ObjectRef[Any]]) -> Any:
        """Return what the caller gets of the references of a call: one, a list of them, or None."""
        return refs[0] if self.returns == 1 else refs or None


def check_stream(options: Mapping[str, Any], where: Callable[[], str]) -> None:
    """Check that options let values stream.

    Raises:
        ValueError: They ask for a number of references.
    """
    returns = options.get("num_returns")
    if returns not in {None, STREAMING}:
        raise ValueError(f"{where()}: num_returns={returns} is for .remote(), which returns so many references")


def _returns(value: int | str) -> str | None:
    if value == "dynamic":
        return "write 'streaming', which it has become in Ray"
    is_right = value == STREAMING if isinstance(value, str) else value >= 0
    return None if is_right else "it must be at least 0, or 'streaming'"


def _count(value: int) -> str | None:
    if value < -1:
        return "it must be at least -1 (any number)"
    return None if value <= _LARGEST else "it must fit into 64 bits"


def _lifetime(value: str) -> str | None:
    known = {"detached", "session", "non_detached"}
    return None if value in known else "it must be 'detached', 'session', 'non_detached' or None"


def _exceptions(value: Any) -> str | None:
    if not isinstance(value, bool):
        for each in value:
            if not (isinstance(each, type) and issubclass(each, Exception)):
                return f"{each!r} is not a class of exceptions"
    return None


def _pending(value: int) -> str | None:
    return None if value == -1 or value > 0 else "it must be at least 1, or -1 (any number)"


def _groups(value: Any) -> str | None:
    for name, size in value.items():
        if not isinstance(name, str) or not name:
            return f"the name {name!r} is not a string, or is empty"
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            return f"the size of {name!r} must be a whole number of at least 1, not {size!r}"
    return None


def _more_than_0(value: float) -> str | None:
    return None if 0 < value <= _LONGEST_TIME else f"it must be more than 0 and at most {_LONGEST_TIME:g} seconds"


def _rate(value: str) -> str | None:
    try:
        Rate.parse(value)
    except ValueError as error:
        return str(error)
    return None


_TIMEOUT: Final = Option("timeout", (*NUMBER, NONE), None, _more_than_0)

_RESOURCES: Final = (
    Option("num_cpus", (*NUMBER, NONE), None, an_amount),
    Option("num_gpus", (*NUMBER, NONE), None, gpus),
    Option("memory", (*NUMBER, NONE), None, an_amount),
    Option("resources", (dict, NONE), None, amounts),
)

_NUM_RETURNS: Final = (
    Option("num_returns", (int, str, NONE), None, _returns),
    Option("window", (int,), DEFAULT_WINDOW, at_least(1)),
)

ACTOR_OPTIONS: Final[Table] = table_of(
    Option("max_concurrency", (int, NONE), None, at_least(1)),
    Option("allow_blocking_get", (bool,), default=False),
    Option("name", (str, NONE), None, a_name),
    Option("namespace", (str, NONE), None, a_name),
    Option("lifetime", (str, NONE), None, _lifetime),
    Option("get_if_exists", (bool,), default=False),
    Option("max_restarts", (int,), 0, _count),
    Option("max_task_retries", (int,), 0, _count),
    Option("retry_exceptions", (bool, list, tuple), False, _exceptions),  # a default, not a switch
    Option("restart_policy", (RestartPolicy, NONE), None),
    _TIMEOUT,
    Option("cancel_grace", NUMBER, 5.0, _more_than_0),
    Option("max_pending_calls", (int,), -1, _pending),
    Option("mailbox_size", (int, NONE), None, at_least(1)),
    Option("mailbox_policy", (str,), "wait", lambda value: None if value in POLICIES else f"it is one of {POLICIES}"),
    Option("concurrency_groups", (dict, NONE), None, _groups),
    *_RESOURCES,
)
"""Options of an actor class: `@remote(...)` on a class and `Class.options(...)`."""

TASK_OPTIONS: Final[Table] = table_of(
    *_NUM_RETURNS,
    # As in Ray: a task that has brought its worker down is run again, as an actor's method is not.
    Option("max_retries", (int,), 3, _count),
    Option("retry_exceptions", (bool, list, tuple), False, _exceptions),  # a default, not a switch
    # As in Ray, where 0 is without end, too.
    Option("max_calls", (int, NONE), None, at_least(0)),
    _TIMEOUT,
    *_RESOURCES,
)
"""Options of a function task: `@remote(...)` on it and `function.options(...)`."""

CALL_OPTIONS: Final[Table] = table_of(
    *_NUM_RETURNS,
    Option("max_task_retries", (int,), 0, _count),
    Option("retry_exceptions", (bool, list, tuple), False, _exceptions),  # a default, not a switch
    _TIMEOUT,
    Option("priority", (int,), 0, lambda value: None if abs(value) <= _LARGEST else "it must fit into 64 bits"),
    Option("concurrency_group", (str, NONE), None, a_name),
)
"""Options of a call: `handle.method.options(...)`."""

METHOD_OPTIONS: Final[Table] = {
    **CALL_OPTIONS,
    **table_of(
        Option("max_concurrency", (int, NONE), None, at_least(1)),
        Option("rate", (str, NONE), None, _rate),
        Option("thread", (bool,), default=False),
        Option("interruptible", (bool,), default=False),
        Option("reentrant", (bool,), default=False),
    ),
}
"""Options of a method: `@method(...)`; those that are not of a call hold for all calls together."""

CONCURRENCY: Final[Table] = table_of(Option("limit", (int,), 1, at_least(1)))
"""What `set_concurrency()` takes."""

NAME_OPTIONS: Final[Table] = table_of(
    Option("name", (str,), "", a_name),
    Option("namespace", (str, NONE), None, a_name),
)
"""What `get_actor()` takes."""


@dataclass(frozen=True, slots=True)
class ActorOptions:
    """The options of an actor that have an effect. `max_concurrency` None means the default of the actor's kind."""

    max_concurrency: int | None = None
    allow_blocking_get: bool = False
    name: str | None = None
    namespace: str | None = None
    is_detached: bool = False
    get_if_exists: bool = False
    max_restarts: int = 0
    max_task_retries: int = 0
    retry_exceptions: Retried = False
    restart_policy: RestartPolicy | None = None
    # What was said of resources; what was not, the actor does not need.
    amounts: Mapping[str, int] = field(default_factory=dict)
    membership: Membership | None = None
    timeout: float = 0.0
    cancel_grace: float = 5.0
    max_pending_calls: int = 0
    mailbox_size: int = 0
    mailbox_policy: Policy = "wait"
    concurrency_groups: Mapping[str, int] = field(default_factory=dict)
    # Detached, but it does not keep its session: it ends with the last program there.
    ends_with_session: bool = False

    def terms(self) -> Terms:
        """Return what callers have to know."""
        return Terms(
            self.max_task_retries,
            self.retry_exceptions,
            self.timeout,
            self.max_pending_calls,
            self.mailbox_size if self.mailbox_policy == "wait" else 0,
            tuple(self.concurrency_groups),
        )

    @classmethod
    def of(cls, given: Mapping[str, Any], where: str = "@remote") -> Self:
        """Validate the options of an actor class and build the record. Raises what `validate` raises."""
        values = with_defaults(ACTOR_OPTIONS, validate(ACTOR_OPTIONS, given, where))
        for name in ("get_if_exists", "namespace"):
            if values[name] and not values["name"]:
                raise ValueError(f"{where}: {name}={values[name]!r} needs a name=")
        if "mailbox_policy" in given and not values["mailbox_size"]:
            raise ValueError(f"{where}: mailbox_policy={values['mailbox_policy']!r} needs a mailbox_size=")
        return cls(
            values["max_concurrency"],
            values["allow_blocking_get"],
            values["name"],
            values["namespace"],
            values["lifetime"] in {"detached", "session"},
            values["get_if_exists"],
            values["max_restarts"],
            values["max_task_retries"],
            exceptions_of(values["retry_exceptions"]),
            values["restart_policy"],
            amounts_of(values),
            timeout=values["timeout"] or 0.0,
            cancel_grace=values["cancel_grace"],
            max_pending_calls=max(0, values["max_pending_calls"]),
            mailbox_size=values["mailbox_size"] or 0,
            mailbox_policy=values["mailbox_policy"],
            concurrency_groups=values["concurrency_groups"] or {},
            ends_with_session=values["lifetime"] == "session",
        )
