"""Names of actors: unique in their namespace, near ones suggested where one is not found. Pure."""

from __future__ import annotations

import difflib


class Names:
    """Which actor has which name."""

    def __init__(self) -> None:
        self._actors: dict[tuple[str, str], str] = {}

    def get(self, namespace: str, name: str) -> str | None:
        """Returns the id of the actor of this name, None when there is none."""
        return self._actors.get((namespace, name))

    def take(self, namespace: str, name: str, actor_id: str) -> None:
        """Gives a free name to an actor."""
        if self._actors.setdefault((namespace, name), actor_id) != actor_id:
            raise ValueError(f"the name {name!r} is taken in namespace {namespace!r}")

    def free(self, namespace: str, name: str) -> None:
        """Takes a name away from its dead actor."""
        self._actors.pop((namespace, name), None)

    def near(self, namespace: str, name: str) -> str:
        """Returns in words which names are like this one, "" when none is."""
        here = [taken for space, taken in self._actors if space == namespace]
        elsewhere = sorted(space for space, taken in self._actors if taken == name)
        if elsewhere:
            return f"there is one in namespace {elsewhere[0]!r}: pass namespace={elsewhere[0]!r}"
        near = difflib.get_close_matches(name, here, 3)
        if near:
            return f"did you mean {' or '.join(map(repr, near))}?"
        if here:
            shown = ", ".join(map(repr, sorted(here)[:5]))
            return f"the names in this namespace are {shown}{', ...' if len(here) > 5 else ''}"  # noqa: PLR2004  # a line
        return "no actor of this namespace has a name"
