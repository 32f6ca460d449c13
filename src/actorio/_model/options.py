"""Every option a user can give, validated in one place.

One table for each place where options are written: `init()`, an actor class, a function task, a method. `validate` is
the only way from what a user wrote to what the rest of the package reads, so every mistake is reported in the same
words, where it was made, before a process is asked for anything.

Options of Ray's that have no meaning on one machine are accepted and checked, so that a program which says
`import actorio as ray` runs; they are marked `has_effect=False` and nothing reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from actorio._model.restarts import RestartPolicy

if TYPE_CHECKING:
    from actorio._model.supervision import Membership

_NONE: Final = type(None)
_NUMBER: Final = (int, float)
_LONGEST_NAME: Final = 1000
_LONGEST_SHOWN: Final = 100
# What 64 bits hold.
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Option:
    """One option: what it may be and what it is when not given.

    Args:
        name: The keyword a user writes.
        types: The types a value may have. `bool` counts as an `int` only where `bool` is listed.
        default: The value used when the option is not given.
        check: Says in words what is wrong with a value of the right type, or None when nothing is.
        has_effect: False for an option that is accepted for Ray's sake and read by nothing yet.
    """

    name: str
    types: tuple[type, ...]
    default: Any = None
    check: Callable[[Any], str | None] | None = None
    has_effect: bool = True

    def validate(self, value: Any, where: str) -> None:
        """Check one value.

        Raises:
            TypeError: The value has none of the option's types.
            ValueError: The value is out of range.
        """
        if not self._has_right_type(value):
            allowed = " or ".join("None" if each is _NONE else each.__name__ for each in self.types)
            raise TypeError(
                f"{where}: {self.name}={_shown(value)} is of type {type(value).__name__}; it must be {allowed}"
            )
        wrong = self.check(value) if self.check is not None and value is not None else None
        if wrong is not None:
            raise ValueError(f"{where}: {self.name}={_shown(value)} is not allowed: {wrong}")

    def _has_right_type(self, value: Any) -> bool:
        return isinstance(value, self.types) and (not isinstance(value, bool) or bool in self.types)


Table = Mapping[str, Option]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def _at_least(limit: int) -> Callable[[Any], str | None]:
    # Written as "not >=" so that nan is refused too.
    return lambda value: None if value >= limit else f"it must be at least {limit}"


def _count(value: int) -> str | None:
    if value < -1:
        return "it must be at least -1 (any number)"
    return None if value <= _LARGEST else "it must fit into 64 bits"


def _positive(value: float) -> str | None:
    return None if value > 0 else "it must be greater than 0 (seconds)"


def _not_empty(value: str) -> str | None:
    return None if value else "it must not be empty"


def _name(value: str) -> str | None:
    if not value:
        return "it must not be empty"
    if len(value) > _LONGEST_NAME:
        return f"it has {len(value)} characters, and may have {_LONGEST_NAME}"
    return None if value.isprintable() else "it must be printable, without line breaks"


def _lifetime(value: str) -> str | None:
    return None if value in {"detached", "non_detached"} else "it must be 'detached', 'non_detached' or None"


def _exceptions(value: Any) -> str | None:
    if not isinstance(value, bool):
        for each in value:
            if not (isinstance(each, type) and issubclass(each, Exception)):
                return f"{each!r} is not a class of exceptions"
    return None


def _module_names(value: list[Any] | tuple[Any, ...]) -> str | None:
    for name in value:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            return f"{name!r} is not the name of a module; it must hold names such as 'numpy' or 'scipy.sparse'"
    return None


def _amounts(value: dict[Any, Any]) -> str | None:
    for key, amount in value.items():
        if not isinstance(key, str):
            return f"the key {key!r} is not a string"
        if isinstance(amount, bool) or not isinstance(amount, _NUMBER) or not amount >= 0:
            return f"the amount of {key!r} must be a number of at least 0, not {amount!r}"
    return None


def _only_one(value: int) -> str | None:
    return None if value == 1 else "only num_returns=1 is supported yet; return one tuple and unpack it after get()"


def _table(*options: Option) -> Table:
    return {option.name: option for option in options}


def _ignored(name: str, *types: type, check: Callable[[Any], str | None] | None = None) -> Option:
    return Option(name, (*types, _NONE), None, check, has_effect=False)


_RESOURCES: Final = (
    _ignored("num_cpus", *_NUMBER, check=_at_least(0)),
    _ignored("num_gpus", *_NUMBER, check=_at_least(0)),
    _ignored("memory", *_NUMBER, check=_at_least(0)),
    _ignored("resources", dict, check=_amounts),
)

_NUM_RETURNS: Final = Option("num_returns", (int,), 1, _only_one)

INIT_OPTIONS: Final[Table] = _table(
    Option("log_to_driver", (bool,), default=True),
    Option("preload", (list, tuple), (), _module_names),
    Option("ignore_reinit_error", (bool,), default=False),
    Option("address", (str, _NONE), None, _not_empty),
    Option("namespace", (str, _NONE), None, _name),
    Option("loop_stall_limit", _NUMBER, 0.5, _positive),
    _ignored("num_cpus", *_NUMBER, check=_at_least(0)),
    _ignored("num_gpus", *_NUMBER, check=_at_least(0)),
    _ignored("resources", dict, check=_amounts),
    _ignored("object_store_memory", int, check=_at_least(0)),
    _ignored("include_dashboard", bool),
    _ignored("dashboard_host", str),
    _ignored("dashboard_port", int),
    _ignored("configure_logging", bool),
    _ignored("logging_level", int, str),
)
"""Options of `init()`."""

ACTOR_OPTIONS: Final[Table] = _table(
    Option("max_concurrency", (int, _NONE), None, _at_least(1)),
    Option("allow_blocking_get", (bool,), default=False),
    Option("name", (str, _NONE), None, _name),
    Option("namespace", (str, _NONE), None, _name),
    Option("lifetime", (str, _NONE), None, _lifetime),
    Option("get_if_exists", (bool,), default=False),
    Option("max_restarts", (int,), 0, _count),
    Option("max_task_retries", (int,), 0, _count),
    Option("retry_exceptions", (bool, list, tuple), False, _exceptions),  # a default, not a switch
    Option("restart_policy", (RestartPolicy, _NONE), None),
    *_RESOURCES,
)
"""Options of an actor class: `@remote(...)` on a class and `Class.options(...)`. The resources have no effect yet."""

TASK_OPTIONS: Final[Table] = _table(_NUM_RETURNS, *_RESOURCES)
"""Options of a function task: `@remote(...)` on it and `function.options(...)`. The resources have no effect yet."""

METHOD_OPTIONS: Final[Table] = _table(
    _NUM_RETURNS,
    Option("max_task_retries", (int,), 0, _count),
    Option("retry_exceptions", (bool, list, tuple), False, _exceptions),  # a default, not a switch
)
"""Options of a method: `@method(...)` and `handle.method.options(...)`."""

NAME_OPTIONS: Final[Table] = _table(
    Option("name", (str,), "", _name),
    Option("namespace", (str, _NONE), None, _name),
)
"""What `get_actor()` takes."""

# Ray's options that do not exist here. They are told apart from a typing mistake: whoever writes one knows what it
# means in Ray, and must not believe that it is in force.
_NOT_YET: Final = frozenset(
    [
        "max_retries",
        "max_pending_calls",
        "concurrency_groups",
        "concurrency_group",
        "allow_out_of_order_execution",
        "num_returns",
        "runtime_env",
        "scheduling_strategy",
        "placement_group",
        "placement_group_bundle_index",
        "placement_group_capture_child_tasks",
        "accelerator_type",
        "label_selector",
        "fallback_strategy",
        "max_calls",
        "enable_task_events",
        "tensor_transport",
        "enable_tensor_transport",
        "_generator_backpressure_num_objects",
        "_metadata",
        "_labels",
        "engine",
        "local_mode",
        "job_config",
        "labels",
        "log_style",
        "logging_config",
        "logging_format",
        "_temp_dir",
        "_system_config",
        "_node_ip_address",
        "_node_name",
    ]
)


def validate(table: Table, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check what a user wrote against a table.

    Args:
        table: One of the tables of this module.
        given: The options as written.
        where: What the user called, for the text of an error: `"init()"`, `"Account.options()"`.

    Returns:
        A new dict of exactly what was given, so that the options of a class and of a call can be merged with `|`.

    Raises:
        ValueError: An option is unknown, not supported yet, or out of range.
        TypeError: An option's value has the wrong type.
    """
    for name, value in given.items():
        option = table.get(name)
        if option is None:
            raise ValueError(_unknown(table, name, value, where))
        option.validate(value, where)
    return dict(given)


def with_defaults(table: Table, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every option of a table, given or not. `given` has been through `validate`."""
    return {name: given.get(name, option.default) for name, option in table.items()}


def _unknown(table: Table, name: str, value: Any, where: str) -> str:
    if name in _NOT_YET:
        return f"{where}: {name}={value!r}: the option {name} of Ray is not supported here yet"
    import difflib  # only needed to word an error

    near = difflib.get_close_matches(name, table, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the options are {', '.join(sorted(table))}"
    return f"{where}: there is no option {name} (given as {name}={value!r}); {hint}"


@dataclass(frozen=True, slots=True)
class InitOptions:
    """The options of `init()` that have an effect. `loop_stall_limit` is in seconds."""

    log_to_driver: bool = True
    preload: tuple[str, ...] = ()
    ignore_reinit_error: bool = False
    loop_stall_limit: float = 0.5
    address: str | None = None
    namespace: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any], where: str = "init()") -> Self:
        """Validate what was given to `init()` and build the record. Raises what `validate` raises."""
        values = with_defaults(INIT_OPTIONS, validate(INIT_OPTIONS, given, where))
        return cls(
            values["log_to_driver"],
            tuple(values["preload"]),
            values["ignore_reinit_error"],
            float(values["loop_stall_limit"]),
            values["address"],
            values["namespace"],
        )


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
    membership: Membership | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any], where: str = "@remote") -> Self:
        """Validate the options of an actor class and build the record. Raises what `validate` raises."""
        values = with_defaults(ACTOR_OPTIONS, validate(ACTOR_OPTIONS, given, where))
        for name in ("get_if_exists", "namespace"):
            if values[name] and not values["name"]:
                raise ValueError(f"{where}: {name}={values[name]!r} needs a name=")
        return cls(
            values["max_concurrency"],
            values["allow_blocking_get"],
            values["name"],
            values["namespace"],
            values["lifetime"] == "detached",
            values["get_if_exists"],
            values["max_restarts"],
            values["max_task_retries"],
            retried(values["retry_exceptions"]),
            values["restart_policy"],
        )


Retried = bool | tuple[type[Exception], ...]
"""Which exceptions of a method are retried: all, none, or those of these classes."""


def retried(value: Any) -> Retried:
    """Return what a user wrote as `retry_exceptions`, a list as a tuple."""
    return value if isinstance(value, bool) else tuple(value)
