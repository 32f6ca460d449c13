"""How options are validated: all of them in one place, by tables.

One table for each place where options are written: `init_options.py` has that of `init()`, `actor_options.py` those of
classes, tasks and methods. `validate` is the only way from what a user wrote to what the rest of the package reads, so
every mistake is reported in the same words, where it was made, before a process is asked for anything.

Options of Ray's that have no meaning on one machine are accepted and checked, so that a program which says
`import actorio as ray` runs; they are marked `has_effect=False` and nothing reads them.

`init()` reads this before it starts the node, so that little is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

NONE: Final = type(None)
NUMBER: Final = (int, float)
_LONGEST_NAME: Final = 1000
_LARGEST_AMOUNT: Final = 10**14
_LONGEST_SHOWN: Final = 100


class Option(NamedTuple):
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
            allowed = " or ".join("None" if each is NONE else each.__name__ for each in self.types)
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


def at_least(limit: int) -> Callable[[Any], str | None]:
    """Return a check for numbers."""
    # Written as "not >=" so that nan is refused too.
    return lambda value: None if value >= limit else f"it must be at least {limit}"


def an_amount(value: float) -> str | None:
    """Check an amount of a resource."""
    if not value >= 0:
        return "it must be at least 0"
    return None if value <= _LARGEST_AMOUNT else f"it must be at most {_LARGEST_AMOUNT}"


def gpus(value: float) -> str | None:
    """Check a number of GPUs, one of which can be shared, and several cannot."""
    return "it must be a whole number, or less than 1" if value > 1 and value % 1 else an_amount(value)


def a_name(value: str) -> str | None:
    """Check what is to be a name."""
    if not value:
        return "it must not be empty"
    if len(value) > _LONGEST_NAME:
        return f"it has {len(value)} characters, and may have {_LONGEST_NAME}"
    return None if value.isprintable() else "it must be printable, without line breaks"


# Resources that have options of their own.
_WRITTEN_OTHERWISE: Final = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}


def amounts_of_a_session(value: dict[Any, Any]) -> str | None:
    """Check what `init` is told of resources."""
    return "'memory' is what the machine has" if "memory" in value else amounts(value)


def amounts(value: dict[Any, Any]) -> str | None:
    """Check amounts of resources by their names."""
    for key, amount in value.items():
        if not isinstance(key, str):
            return f"the key {key!r} is not a string"
        if key in _WRITTEN_OTHERWISE:
            return f"{key!r} has an option of its own: write {_WRITTEN_OTHERWISE[key]}="
        if isinstance(amount, bool) or not isinstance(amount, NUMBER) or not _LARGEST_AMOUNT >= amount >= 0:
            return f"the amount of {key!r} must be a number of at least 0, not {amount!r}"
    return None


def table_of(*options: Option) -> Table:
    """Return the table of these options."""
    return {option.name: option for option in options}


def ignored(name: str, *types: type, check: Callable[[Any], str | None] | None = None) -> Option:
    """Return an option that has no effect."""
    return Option(name, (*types, NONE), None, check, has_effect=False)


# Ray's options that do not exist here. They are told apart from a typing mistake: whoever writes one knows what it
# means in Ray, and must not believe that it is in force.
_NOT_YET: Final = frozenset(
    [
        "allow_out_of_order_execution",
        "runtime_env",
        "scheduling_strategy",
        "placement_group",
        "placement_group_bundle_index",
        "placement_group_capture_child_tasks",
        "accelerator_type",
        "label_selector",
        "fallback_strategy",
        "enable_task_events",
        "tensor_transport",
        "enable_tensor_transport",
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
        table: One of the tables.
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
    if name == "_generator_backpressure_num_objects":
        return f"{where}: {name}={value!r}: write window={value!r}"
    if name in _NOT_YET:
        return f"{where}: {name}={value!r}: the option {name} of Ray is not supported here yet"
    import difflib  # only needed to word an error

    near = difflib.get_close_matches(name, table, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the options are {', '.join(sorted(table))}"
    return f"{where}: there is no option {name} (given as {name}={value!r}); {hint}"
