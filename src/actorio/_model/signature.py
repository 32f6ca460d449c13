"""Whether the arguments of a call fit a signature, in Python's own words.

Python raises these errors itself, but only where the function is. Here there is no function, only its parameters, and
a call has to be refused before it is sent. The order of the checks and the texts are those of the interpreter, so that
the same mistake reads the same whether a method is called in its own process or through a handle; a test holds the two
against each other.
"""

import functools
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

Parameter = tuple[str, int, bool]
"""Name, kind (`int` of an `inspect.Parameter` kind), whether it has a default."""

Parameters = tuple[Parameter, ...]

_POSITIONAL_ONLY: Final = int(inspect.Parameter.POSITIONAL_ONLY)
_POSITIONAL_OR_KEYWORD: Final = int(inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VAR_POSITIONAL: Final = int(inspect.Parameter.VAR_POSITIONAL)
_KEYWORD_ONLY: Final = int(inspect.Parameter.KEYWORD_ONLY)
_VAR_KEYWORD: Final = int(inspect.Parameter.VAR_KEYWORD)

ANYTHING: Final[Parameters] = (("args", _VAR_POSITIONAL, False), ("kwargs", _VAR_KEYWORD, False))
"""The parameters of something whose signature is unknown."""


class _Shape(NamedTuple):
    """What the checks ask of a signature, worked out once."""

    positional: tuple[Parameter, ...]
    places: dict[str, int]
    keyword_only: dict[str, bool]
    takes_any_position: bool
    takes_any_keyword: bool


def check_call(name: str, parameters: Parameters, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Check that a call fits.

    Args:
        name: What is called, for the text: `"Account.deposit"`.
        parameters: What it takes, without `self` or `cls`.
        args: The positional arguments.
        kwargs: The keyword arguments.

    Raises:
        TypeError: The call does not fit.
    """
    shape = _shape(parameters)
    given = len(args)
    wrong = (
        _wrong_keyword(shape, given, kwargs)
        or _too_many(shape, given, kwargs)
        or _missing_positional(shape, given, kwargs)
        or _missing_keyword(shape, kwargs)
    )
    if wrong is not None:
        raise TypeError(f"{name}() {wrong}")


@functools.lru_cache(maxsize=1024)
def _shape(parameters: Parameters) -> _Shape:
    kinds = {kind for _, kind, _ in parameters}
    positional = tuple(each for each in parameters if each[1] in (_POSITIONAL_ONLY, _POSITIONAL_OR_KEYWORD))
    return _Shape(
        positional,
        {name: i for i, (name, kind, _) in enumerate(positional) if kind == _POSITIONAL_OR_KEYWORD},
        {name: has_default for name, kind, has_default in parameters if kind == _KEYWORD_ONLY},
        _VAR_POSITIONAL in kinds,
        _VAR_KEYWORD in kinds,
    )


def _wrong_keyword(shape: _Shape, given: int, kwargs: Mapping[str, Any]) -> str | None:
    for name in kwargs:
        if name in shape.places:
            if shape.places[name] < given:
                return f"got multiple values for argument '{name}'"
        elif name not in shape.keyword_only and not shape.takes_any_keyword:
            return _positional_only_by_name(shape, kwargs) or f"got an unexpected keyword argument '{name}'"
    return None


def _positional_only_by_name(shape: _Shape, kwargs: Mapping[str, Any]) -> str | None:
    names = [name for name, kind, _ in shape.positional if kind == _POSITIONAL_ONLY and name in kwargs]
    if not names:
        return None
    return f"got some positional-only arguments passed as keyword arguments: '{', '.join(names)}'"


def _too_many(shape: _Shape, given: int, kwargs: Mapping[str, Any]) -> str | None:
    most = len(shape.positional)
    if given <= most or shape.takes_any_position:
        return None
    least = sum(not has_default for _, _, has_default in shape.positional)
    takes = f"from {least} to {most}" if least < most else f"{most}"
    plural = "s" if least < most or most != 1 else ""
    by_keyword = sum(name in kwargs for name in shape.keyword_only)
    also = ""
    if by_keyword:
        arguments = f"argument{'s' if given != 1 else ''}"
        also = f" positional {arguments} (and {by_keyword} keyword-only argument{'s' if by_keyword != 1 else ''})"
    verb = "was" if given == 1 and not by_keyword else "were"
    return f"takes {takes} positional argument{plural} but {given}{also} {verb} given"


def _missing_positional(shape: _Shape, given: int, kwargs: Mapping[str, Any]) -> str | None:
    # A keyword of the same name belongs to **kwargs when the parameter is positional-only.
    return _missing(
        [
            name
            for name, kind, has_default in shape.positional[given:]
            if not has_default and (kind == _POSITIONAL_ONLY or name not in kwargs)
        ],
        "positional",
    )


def _missing_keyword(shape: _Shape, kwargs: Mapping[str, Any]) -> str | None:
    missing = [name for name, has_default in shape.keyword_only.items() if not has_default and name not in kwargs]
    return _missing(missing, "keyword-only")


def _missing(names: list[str], kind: str) -> str | None:
    if not names:
        return None
    plural = "s" if len(names) != 1 else ""
    return f"missing {len(names)} required {kind} argument{plural}: {_listed(repr(name) for name in names)}"


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    if not first:
        return last
    return f"{first[0]} and {last}" if len(first) == 1 else f"{', '.join(first)}, and {last}"
