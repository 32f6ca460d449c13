"""A group of actors that are restarted together: OTP's rules for supervisors.

Pure: the node tells a group who died and when, and does what the plan says: kill, wait, start. It may do so slowly;
what happens meanwhile is told to the group as it happens, and goes into one plan with what is under way.

The rules:

- A member is *permanent* (it always comes back), *transient* (it comes back unless it ended normally) or *temporary*
  (it never comes back). One that does not come back leaves the group: its callers have been told that it is dead.
- When a member comes back, it does so alone (``one_for_one``), or with all others (``one_for_all``), or with those
  that were added after it (``rest_for_one``). These are stopped first, in the reverse of the order in which members
  were added. When the last of them has ended, all are started, in that order, but for temporary ones.
- A member that ends while it is being stopped has not failed, however it ends.
- Each failure that brings members back counts. When more than ``intensity`` of them fall into ``window`` seconds, the
  group gives up: it stops every member, starts none, and is over.
"""

from typing import Final, Literal, get_args

import msgspec

from actorio._model.restarts import LONGEST, check_count, check_number, within

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
RestartType = Literal["permanent", "transient", "temporary"]

_STRATEGIES: Final = get_args(Strategy)
_RESTART_TYPES: Final = get_args(RestartType)


class Plan(msgspec.Struct, array_like=True, frozen=True):
    """What the node has to do now. What has to wait comes with a later plan.

    Attributes:
        stop: Members to stop, in this order: the reverse of the order in which they are started.
        start: Members to start, in this order. There are none while a member that was stopped has not ended.
        gives_up: The group has just given up.
    """

    stop: list[str] = []
    start: list[str] = []
    gives_up: bool = False


class Member(msgspec.Struct, array_like=True):
    """One member: *running* from the moment it is to be started, *stopping* until it has ended as asked, or *down*."""

    restart: RestartType = "permanent"
    state: Literal["running", "stopping", "down"] = "running"
    # It is started when nobody is stopping any more.
    is_due: bool = False


class Group(msgspec.Struct, array_like=True):
    """Actors that are supervised together.

    A group can be encoded at any time and goes on where it was when it is decoded.

    Args:
        strategy: Who is restarted with a member that comes back.
        intensity: How many failures within the window are mended, at least 0. One more, and the group gives up.
        window: Seconds, at least 0.001.
        members: Who belongs to it, in start order; filled by `add`.
        times: When the failures happened that count, oldest first.
        used: How many failures were mended, all in all.
        is_over: It has given up or was stopped. Nothing is started any more.

    Raises:
        TypeError: A value has the wrong type.
        ValueError: The strategy is unknown, or a number is out of range.
    """

    strategy: Strategy = "one_for_one"
    intensity: int = 1
    window: float = 5.0
    members: dict[str, Member] = {}
    times: list[float] = []
    used: int = 0
    is_over: bool = False

    def __post_init__(self) -> None:
        _check_word("strategy", self.strategy, _STRATEGIES)
        check_count("intensity", self.intensity, 0)
        self.window = check_number("window", self.window, 0.001, LONGEST)

    # --- who belongs to it --------------------------------------------------------------------------------------

    def add(self, member: str, restart: RestartType = "permanent") -> None:
        """Takes a member that runs, or is being started, as the last in the start order.

        Raises:
            ValueError: It is a member already, the group is over, or the restart type is unknown.
        """
        _check_word("restart", restart, _RESTART_TYPES)
        if self.is_over:
            raise ValueError("the group is over: it has given up or was stopped")
        if member in self.members:
            raise ValueError(f"the actor {member} is a member of the group already")
        self.members[member] = Member(restart)

    def remove(self, member: str) -> None:
        """Lets a member go: it is neither restarted nor stopped for anybody any more. It is not stopped by this.

        Whoever kills a member for good calls this first. One that is being stopped is waited for all the same, and
        one that was to be started is not. Somebody who is no member is ignored.
        """
        one = self.members.get(member)
        if one is not None and one.state == "stopping":
            one.restart = "temporary"
        elif one is not None:
            del self.members[member]

    # --- what happens -------------------------------------------------------------------------------------------

    def member_died(self, member: str, now: float, *, is_normal_end: bool) -> Plan:
        """A member's process has ended, or could not be made. Returns what there is to do.

        Called for every end, also for one that the group asked for. Somebody who is no member, or is down already, is
        ignored.

        Args:
            member: Who has ended.
            now: The time, in seconds of a clock that does not go back.
            is_normal_end: It ended because it wanted to, and without an error.
        """
        one = self.members.get(member)
        if one is None:
            return Plan()
        is_own_end = one.state == "running"
        one.state = "down"
        comes_back = _comes_back(one.restart, is_normal_end=is_normal_end)
        if one.restart == "temporary" or (is_own_end and not comes_back):
            del self.members[member]
        if is_own_end and comes_back:
            return self._mend(member, now)
        return Plan(start=self._start_due())

    def stop(self) -> Plan:
        """Ends the group: every member is to stop, and none is started any more."""
        return Plan(stop=self._end())

    # --- what there is ------------------------------------------------------------------------------------------

    def left(self, now: float) -> int:
        """Return how many failures can be mended now, one after the other."""
        return 0 if self.is_over else self.intensity - len(within(self.times, now, self.window))

    def is_settled(self) -> bool:
        """Is nobody being stopped? Then nothing is left to be done; a group that is over can be forgotten."""
        return all(one.state != "stopping" for one in self.members.values())

    def _mend(self, member: str, now: float) -> Plan:
        if self.left(now) < 1:
            return Plan(stop=self._end(), gives_up=True)
        self.times = [*within(self.times, now, self.window), now]
        self.used += 1
        together = self._together_with(member)
        for each in together:
            # A temporary member is not there any more when that would count.
            self.members[each].is_due = True
        return Plan(stop=self._stop(together), start=self._start_due())

    def _together_with(self, member: str) -> list[str]:
        everybody = list(self.members)
        if self.strategy == "one_for_one":
            return [member]
        if self.strategy == "one_for_all":
            return everybody
        return everybody[everybody.index(member) :]

    def _stop(self, members: list[str]) -> list[str]:
        running = [member for member in reversed(members) if self.members[member].state == "running"]
        for member in running:
            self.members[member].state = "stopping"
        return running

    def _start_due(self) -> list[str]:
        if not self.is_settled():
            return []
        due = [member for member, one in self.members.items() if one.is_due]
        for member in due:
            self.members[member].state, self.members[member].is_due = "running", False
        return due

    def _end(self) -> list[str]:
        self.is_over = True
        for one in self.members.values():
            one.is_due = False
        return self._stop(list(self.members))


def _comes_back(restart: RestartType, *, is_normal_end: bool) -> bool:
    return restart == "permanent" or (restart == "transient" and not is_normal_end)


def _check_word(name: str, value: object, words: tuple[str, ...]) -> None:
    if value not in words:
        raise ValueError(f"{name}={value!r} is not allowed: it must be one of {', '.join(words)}")
