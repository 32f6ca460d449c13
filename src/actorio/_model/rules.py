"""What the mailbox of an actor goes by, from the options of its class and the marks of its methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorio._model.concurrency import MethodRule, Rate, Rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actorio._model.actor_options import ActorOptions
    from actorio._model.definition import ClassDefinition


def rules_of(definition: ClassDefinition, options: ActorOptions, limit: int) -> Rules | None:
    """Returns the rules of a new actor; None where there is nothing but the limit of how many calls run at once.

    Raises:
        ValueError: a method belongs to a concurrency group that the class does not have, or is marked as it cannot be.
    """
    for name, method in definition.methods.items():
        if method.is_async and (method.options.get("thread") or method.options.get("interruptible")):
            raise ValueError(
                f"{definition.name}.{name} is async: it runs on the loop, where it can be cancelled; thread= and "
                "interruptible= are for plain methods"
            )
    found = {name: _rule_of(method.options) for name, method in definition.methods.items()}
    methods = {name: rule for name, rule in found.items() if rule != _NONE}
    if not (methods or options.concurrency_groups or options.mailbox_size):
        return None
    try:
        return Rules(limit, options.concurrency_groups, methods, options.mailbox_size, options.mailbox_policy)
    except ValueError as error:
        raise ValueError(f"{definition.name}: {error}") from None


def _rule_of(options: Mapping[str, Any]) -> MethodRule:
    rate = options.get("rate")
    return MethodRule(
        options.get("concurrency_group") or "",
        options.get("max_concurrency") or 0,
        None if rate is None else Rate.parse(rate),
    )


_NONE = MethodRule()
