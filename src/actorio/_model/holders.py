"""Who keeps what: counts of handles or references, and those on their way from one process to another.

The node counts so who keeps its actors, and the owner of a value who keeps that. Pure: they tell it what processes say.
A process holds a thing for as many reasons as it has named; a handle that travels is lent with a token by the sender,
before its frame leaves, and held with the same token by the receiver, when the frame arrives. The two come on different
connections, so that either may come first: a thing is kept from the first of them to the last reason's end, and at no
moment between by nobody.
"""

from __future__ import annotations

from collections import Counter


class Holders:
    """The reasons to keep each thing, which has a key. Peers are processes."""

    def __init__(self) -> None:
        # Key: how many reasons each peer has.
        self._held: dict[str, Counter[str]] = {}
        # Token: the key, while the handle is on its way.
        self._lent: dict[int, str] = {}
        self._lenders: dict[int, str] = {}
        # How many handles on each thing are on their way.
        self._travelling: Counter[str] = Counter()
        # Tokens whose receiver was quicker than the news of the sender.
        self._early: dict[int, str] = {}
        # How many births need each thing.
        self._births: Counter[str] = Counter()

    def is_held(self, key: str) -> bool:
        """Has anybody a reason to keep this?"""
        return bool(self._held.get(key) or self._travelling[key] or self._births[key])

    def hold(self, key: str, peer: str, token: int = 0) -> None:
        """A peer has one more reason; the handle with this token has arrived, if it is not 0."""
        self._held.setdefault(key, Counter())[peer] += 1
        if token:
            self.arrive(key, token)

    def own(self, key: str, peer: str) -> None:
        """A peer has made the thing: a reason to keep it, unless it has named one before."""
        if peer not in self._held.get(key, ()):
            self.hold(key, peer)

    def arrive(self, key: str, token: int) -> None:
        """The handle with this token has arrived, whether or not it is a reason to keep the thing."""
        if self._end_travel(token) is None:
            self._early[token] = key

    def drop(self, key: str, peer: str, count: int) -> None:
        """So many of a peer's reasons are gone."""
        counts = self._held.get(key)
        if counts is None:
            return
        counts[peer] -= count
        if counts[peer] <= 0:
            del counts[peer]
        if not counts:
            del self._held[key]

    def lend(self, key: str, token: int, peer: str = "") -> None:
        """A handle is on its way from a peer, unless it has arrived."""
        if token in self._early:
            del self._early[token]
            return
        self._lent[token] = key
        self._lenders[token] = peer
        self._travelling[key] += 1

    def lent_by(self, peer: str) -> list[int]:
        """Returns the tokens of the handles that a peer has sent and that have not arrived."""
        return [token for token, lender in self._lenders.items() if lender == peer]

    def unlend(self, token: int) -> str | None:
        """The handle will not arrive; returns its key, None when it has arrived."""
        return self._end_travel(token)

    def _end_travel(self, token: int) -> str | None:
        key = self._lent.pop(token, None)
        self._lenders.pop(token, None)
        if key is not None:
            self._travelling[key] -= 1
            if not self._travelling[key]:
                del self._travelling[key]
        return key

    def need(self, keys: tuple[str, ...]) -> None:
        """An actor is made whose constructor needs these."""
        self._births.update(keys)

    def need_no_more(self, keys: tuple[str, ...]) -> None:
        """It will not be constructed again."""
        self._births.subtract(keys)
        for key in keys:
            if self._births[key] <= 0:
                del self._births[key]

    def gone(self, peer: str) -> list[str]:
        """A peer has ended; returns the keys of what it held."""
        held = [key for key, counts in self._held.items() if peer in counts]
        for key in held:
            self.drop(key, peer, self._held[key][peer])
        return held

    def forget(self, key: str) -> None:
        """The thing is gone."""
        self._held.pop(key, None)
        for token in [token for token, lent in self._lent.items() if lent == key]:
            self._end_travel(token)
        self._early = {token: early for token, early in self._early.items() if early != key}
