"""The options of `init()`."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from actorio._model.options import (
    NONE,
    NUMBER,
    Option,
    Table,
    a_name,
    amounts_of_a_session,
    an_amount,
    at_least,
    ignored,
    table_of,
    validate,
    with_defaults,
)
from actorio._model.resources import amounts_of

if TYPE_CHECKING:
    from collections.abc import Mapping


# Less than a few large values need makes no sense, and is a number of megabytes that was meant.
_LEAST_MEMORY = 1 << 20
# What an address may be besides a name.
_NOT_NAMES = {"auto", "local"}


def _positive(value: float) -> str | None:
    return None if value > 0 else "it must be greater than 0 (seconds)"


def _some_memory(value: int) -> str | None:
    return None if value >= _LEAST_MEMORY else f"it must be at least {_LEAST_MEMORY} (bytes)"


def _not_empty(value: str) -> str | None:
    return None if value else "it must not be empty"


def _a_session(value: str) -> str | None:
    if value in _NOT_NAMES or "/" in value:
        return "it must be a name, and neither 'auto' nor 'local' nor a path, which mean something else as an address"
    return a_name(value)


def _module_names(value: list[Any] | tuple[Any, ...]) -> str | None:
    for name in value:
        if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
            return f"{name!r} is not the name of a module; it must hold names such as 'numpy' or 'scipy.sparse'"
    return None


INIT_OPTIONS: Final[Table] = table_of(
    Option("log_to_driver", (bool,), default=True),
    Option("preload", (list, tuple), (), _module_names),
    Option("ignore_reinit_error", (bool,), default=False),
    Option("address", (str, NONE), None, _not_empty),
    Option("session", (str, NONE), None, _a_session),
    Option("namespace", (str, NONE), None, a_name),
    Option("loop_stall_limit", NUMBER, 0.5, _positive),
    Option("object_store_memory", (int, NONE), None, _some_memory),
    Option("object_store_timeout", NUMBER, 10.0, at_least(0)),
    Option("num_cpus", (*NUMBER, NONE), None, an_amount),
    Option("num_gpus", (int, NONE), None, at_least(0)),
    Option("resources", (dict, NONE), None, amounts_of_a_session),
    Option("idle_worker_timeout", NUMBER, 60.0, at_least(0)),
    ignored("include_dashboard", bool),
    ignored("dashboard_host", str),
    ignored("dashboard_port", int),
    ignored("configure_logging", bool),
    ignored("logging_level", int, str),
)
"""Options of `init()`."""


class InitOptions(NamedTuple):
    """The options of `init()` that have an effect. Times are in seconds, memory is in bytes."""

    log_to_driver: bool = True
    preload: tuple[str, ...] = ()
    ignore_reinit_error: bool = False
    loop_stall_limit: float = 0.5
    address: str | None = None
    namespace: str | None = None
    object_store_memory: int | None = None
    object_store_timeout: float = 10.0
    # What was said of resources; what was not, is as the machine has it.
    amounts: Mapping[str, int] = MappingProxyType({})
    idle_worker_timeout: float = 60.0
    session: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any], where: str = "init()") -> Self:
        """Validate what was given to `init()` and build the record. Raises what `validate` raises."""
        values = with_defaults(INIT_OPTIONS, validate(INIT_OPTIONS, given, where))
        if values["session"] and values["address"]:
            raise ValueError(
                f"{where}: address={values['address']!r} and session={values['session']!r} both say which session: "
                "write address= for one that runs, session= for one that is started when it does not"
            )
        return cls(
            values["log_to_driver"],
            tuple(values["preload"]),
            values["ignore_reinit_error"],
            float(values["loop_stall_limit"]),
            values["address"],
            values["namespace"],
            values["object_store_memory"],
            float(values["object_store_timeout"]),
            amounts_of(values),
            float(values["idle_worker_timeout"]),
            values["session"],
        )
