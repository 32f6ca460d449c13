"""The supervised groups of a session. Pure: `supervision` has the rules, the registry carries out the plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorio._node.supervision import Group, Plan

if TYPE_CHECKING:
    from actorio._node.spec import Spec


class Groups:
    """Which actors belong together, and what becomes of the others when one dies."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        # Of each group: the members that are to end, one after the other; the first is ending.
        self._ending: dict[str, list[str]] = {}

    def add(self, spec: Spec) -> None:
        """An actor is made; it joins its group, if it has one."""
        place = spec.membership
        if place is None:
            return
        group = self._groups.get(place.group_id)
        if group is None or group.is_over:
            group = self._groups[place.group_id] = Group(place.strategy, place.intensity, place.window)
        group.add(spec.actor_id, place.restart)

    def member_died(self, spec: Spec, now: float, *, is_wanted: bool, is_normal_end: bool) -> tuple[float | None, Plan]:
        """A member has died; it ``is_wanted`` if nobody else has asked for that.

        Returns 0.0 if it comes back, None if it is dead for good; and what to do with the members of the group.
        """
        if spec.membership is None:
            raise AssertionError("asked of members only")
        group = self._groups[spec.membership.group_id]
        if not is_wanted:
            # The others do not suffer for it, and a permanent member is no exception, since whoever ends an actor for
            # good means it.
            group.remove(spec.actor_id)
        plan = group.member_died(spec.actor_id, now, is_normal_end=is_normal_end)
        comes_back = is_wanted and spec.actor_id in group.members and not group.is_over
        if comes_back:
            spec.budget.used += 1
        if not group.members or (group.is_over and group.is_settled()):
            del self._groups[spec.membership.group_id]
        return (0.0 if comes_back else None), plan

    def left(self, group_id: str, now: float) -> int:
        """Returns how many failures of a group can be mended now."""
        group = self._groups.get(group_id)
        return 0 if group is None else group.left(now)

    def to_end(self, group_id: str, members: list[str]) -> list[str]:
        """These are to end, one after the other. Returns the first if nobody of the group is ending."""
        waiting = self._ending.setdefault(group_id, [])
        is_idle = not waiting
        waiting += members
        return waiting[:1] if is_idle else []

    def has_ended(self, group_id: str, member: str) -> list[str]:
        """A member has ended, of whatever. Returns the next who is to, if its turn has come."""
        waiting = self._ending.get(group_id, [])
        if member not in waiting:
            return []
        was_first = waiting[0] == member
        waiting.remove(member)
        if not waiting:
            del self._ending[group_id]
        return waiting[:1] if was_first else []
