"""`Generic` and its variables, as type checkers see them. At runtime a base class that takes any subscript.

``ActorHandle[Counter]`` is written in annotations; handles themselves carry nothing of it. `typing.Generic` would check
and remember each subscript, and defaults of type variables are not in the standard library before Python 3.13.
"""

from __future__ import annotations

from types import GenericAlias
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Generic as Generic  # noqa: PLC0414  # exported

    from typing_extensions import ParamSpec, TypeVar

    P = ParamSpec("P", default=...)
    A_co = TypeVar("A_co", covariant=True, default=Any)
    R_co = TypeVar("R_co", covariant=True, default=Any)
    T_co = TypeVar("T_co", covariant=True, default=Any)
else:
    P = A_co = R_co = T_co = None

    class Generic:
        """Takes any subscript and does nothing with it."""

        __slots__ = ()
        __class_getitem__ = classmethod(GenericAlias)
