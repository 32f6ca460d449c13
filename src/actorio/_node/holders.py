"""Who keeps which actor: counts of handles, and handles on their way from one process to another.

Pure: the node tells it what processes say. A process holds an actor for as many reasons as it has named; a handle that
travels is lent with a token by the sender, before its frame leaves, and held with the same token by the receiver, when
the frame arrives. The two come on different connections, so that either may come first: an actor is kept from the
first of them to the last reason's end, and at no moment between by nobody.
"""

from __future__ import annotations

from collections import Counter


class Holders:
    """The reasons to keep each actor of a session. Peers are processes."""

    def __init__(self) -> None:
        # Actor: how many reasons each peer has.
        self._held: dict[str, Counter[str]] = {}
        # Token: the actor, while the handle is on its way.
        self._lent: dict[int, str] = {}
        self._lenders: dict[int, str] = {}
        # How many handles on each actor are on their way.
        self._travelling: Counter[str] = Counter()
        # Tokens whose receiver was quicker than the news of the sender.
        self._early: dict[int, str] = {}
        # How many births need each actor.
        self._births: Counter[str] = Counter()

    def is_held(self, actor_id: str) -> bool:
        """Has anybody a reason to keep this actor?"""
        return bool(self._held.get(actor_id) or self._travelling[actor_id] or self._births[actor_id])

    def hold(self, actor_id: str, peer: str, token: int = 0) -> None:
        """A peer has one more reason; the handle with this token has arrived, if it is not 0."""
        self._held.setdefault(actor_id, Counter())[peer] += 1
        if token:
            self.arrive(actor_id, token)

    def own(self, actor_id: str, peer: str) -> None:
        """A peer has made the actor: a reason to keep it, unless it has named one before."""
        if peer not in self._held.get(actor_id, ()):
            self.hold(actor_id, peer)

    def arrive(self, actor_id: str, token: int) -> None:
        """The handle with this token has arrived, whether or not it is a reason to keep the actor."""
        if self._end_travel(token) is None:
            self._early[token] = actor_id

    def drop(self, actor_id: str, peer: str, count: int) -> None:
        """So many of a peer's reasons are gone."""
        counts = self._held.get(actor_id)
        if counts is None:
            return
        counts[peer] -= count
        if counts[peer] <= 0:
            del counts[peer]
        if not counts:
            del self._held[actor_id]

    def lend(self, actor_id: str, token: int, peer: str = "") -> None:
        """A handle is on its way from a peer, unless it has arrived."""
        if token in self._early:
            del self._early[token]
            return
        self._lent[token] = actor_id
        self._lenders[token] = peer
        self._travelling[actor_id] += 1

    def lent_by(self, peer: str) -> list[int]:
        """Returns the tokens of the handles that a peer has sent and that have not arrived."""
        return [token for token, lender in self._lenders.items() if lender == peer]

    def unlend(self, token: int) -> str | None:
        """The handle will not arrive; returns its actor, None when it has arrived."""
        return self._end_travel(token)

    def _end_travel(self, token: int) -> str | None:
        actor_id = self._lent.pop(token, None)
        self._lenders.pop(token, None)
        if actor_id is not None:
            self._travelling[actor_id] -= 1
            if not self._travelling[actor_id]:
                del self._travelling[actor_id]
        return actor_id

    def need(self, actor_ids: tuple[str, ...]) -> None:
        """An actor is made whose constructor needs these."""
        self._births.update(actor_ids)

    def need_no_more(self, actor_ids: tuple[str, ...]) -> None:
        """It will not be constructed again."""
        self._births.subtract(actor_ids)
        for actor_id in actor_ids:
            if self._births[actor_id] <= 0:
                del self._births[actor_id]

    def gone(self, peer: str) -> list[str]:
        """A peer has ended; returns the actors that it held."""
        held = [actor_id for actor_id, counts in self._held.items() if peer in counts]
        for actor_id in held:
            self.drop(actor_id, peer, self._held[actor_id][peer])
        return held

    def forget(self, actor_id: str) -> None:
        """The actor is dead."""
        self._held.pop(actor_id, None)
        for token in [token for token, lent in self._lent.items() if lent == actor_id]:
            self._end_travel(token)
        self._early = {token: early for token, early in self._early.items() if early != actor_id}
