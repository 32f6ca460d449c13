"""The options of `actor_options` once more, as keywords that type checkers know.

Only type checkers read this, and a test that holds both together: an option that is added there is added here.
`num_returns` has a place of its own in `typed`, because it says what a call returns.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from actorio._model.concurrency import Policy  # noqa: TC001  # whoever reads the hints needs it
from actorio._model.restarts import RestartPolicy  # noqa: TC001  # as above

_Retried = bool | list[type[Exception]] | tuple[type[Exception], ...]


class _Resources(TypedDict, total=False):
    num_cpus: float | None
    num_gpus: float | None
    memory: float | None
    resources: dict[str, float] | None


class ActorKeywords(_Resources, total=False):
    """Options of an actor class: see `actor_options.ACTOR_OPTIONS`."""

    max_concurrency: int | None
    allow_blocking_get: bool
    name: str | None
    namespace: str | None
    lifetime: Literal["detached", "non_detached"] | None
    get_if_exists: bool
    max_restarts: int
    max_task_retries: int
    retry_exceptions: _Retried
    restart_policy: RestartPolicy | None
    timeout: float | None
    cancel_grace: float
    max_pending_calls: int
    mailbox_size: int | None
    mailbox_policy: Policy
    concurrency_groups: dict[str, int] | None


class TaskKeywords(_Resources, total=False):
    """Options of a function: see `actor_options.TASK_OPTIONS`."""

    window: int
    max_retries: int
    retry_exceptions: _Retried
    max_calls: int | None
    timeout: float | None


class CallKeywords(TypedDict, total=False):
    """Options of a call: see `actor_options.CALL_OPTIONS`."""

    window: int
    max_task_retries: int
    retry_exceptions: _Retried
    timeout: float | None
    priority: int
    concurrency_group: str | None


class MethodKeywords(CallKeywords, total=False):
    """Options of a method: see `actor_options.METHOD_OPTIONS`."""

    max_concurrency: int | None
    rate: str | None
    thread: bool
    interruptible: bool
    reentrant: bool


class EveryKeyword(ActorKeywords, TaskKeywords, total=False):
    """What ``@actorio.remote(...)`` takes before it is known whether a class or a function follows."""
