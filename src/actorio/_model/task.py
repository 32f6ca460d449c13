"""A function as its tasks are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from actorio._model.actor_options import Manner
    from actorio._model.definition import MethodDefinition
    from actorio._model.resources import Needs


class Task(NamedTuple):
    """A function, and what its options say.

    Attributes:
        payload: the pickled function.
    """

    definition: MethodDefinition
    payload: bytes
    manner: Manner
    needs: Needs
