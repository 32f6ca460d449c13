"""How many calls of an actor run at once, how often they start, and what happens when too many wait.

Plain data: the rules are made where the class and its options are known, travel to the actor, and are followed by its
mailbox (`_worker/mailbox.py`). What cannot hold is refused when the rules are made, so nobody looks again later.

An actor has the default group `""` and those that it names. Each has a size of its own. A method belongs to one group,
unless a call says another, and may have a limit and a rate of its own; these hold in all groups together.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Self, TypeAlias, get_args

# What becomes of a call that would have to wait when as many wait as may: its caller pauses; it fails; the oldest one
# that waits goes for it; it goes itself.
Policy: TypeAlias = Literal["wait", "fail", "drop_oldest", "drop_newest"]
POLICIES: Final[tuple[str, ...]] = get_args(Policy)

# The time of each start within a period is kept, which takes 32 bytes.
MOST_STARTS: Final = 1_000_000
# In seconds.
LONGEST_PERIOD: Final = 1e9

_UNITS: Final = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_RATE: Final = re.compile(r"\s*([0-9]{1,99}(?:\.[0-9]+)?)\s*/\s*([0-9]{1,99}(?:\.[0-9]+)?)?\s*([a-z]+)\s*", re.ASCII)
_HOW: Final = "write how many calls may start in how long, such as '100/s', '5/min', '1000/h' or '10/2s'"


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a method may start: at most `count` times in any `period` seconds, wherever these begin.

    So it holds at every moment what a reader of "100/s" takes it to mean. A bucket of tokens, filled steadily, would
    let twice as many start in the first second: those that were saved up, and those that came in meanwhile.

    Args:
        count: how many may start, from 1 to a million.
        period: in how many seconds, more than 0.

    Raises:
        ValueError: One of them is out of range.
    """

    count: int
    period: float

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_STARTS:
            raise ValueError(f"a rate allows from 1 to {MOST_STARTS} starts in its period, not {self.count}")
        # Written as "not <=" so that nan is refused too.
        if not 0 < self.period <= LONGEST_PERIOD:
            raise ValueError(
                f"the period of a rate is more than 0 and at most {LONGEST_PERIOD:g} seconds, not {self.period:g}"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a rate: a whole number, a slash, and a time, whose number is 1 when it is left out.

        Units are `ms`, `s`, `min`, `h` and `d`. Half a call in a second is written as `1/2s`.

        Raises:
            ValueError: It reads otherwise; the text says how to write it.
        """
        parts = _RATE.fullmatch(text)
        if parts is None:
            raise ValueError(f"{text!r} is no rate: {_HOW}")
        count, number, unit = parts.groups()
        if unit not in _UNITS:
            raise ValueError(f"{text!r} is no rate: {unit!r} is none of the units {', '.join(_UNITS)}; {_HOW}")
        if "." in count:
            raise ValueError(f"{text!r} is no rate: {count} is no whole number; make the time longer, as in '1/2s'")
        return cls(int(count), float(number or 1) * _UNITS[unit])


@dataclass(frozen=True, slots=True)
class MethodRule:
    """What holds for the calls of one method, besides the size of their group.

    Args:
        group: the group they belong to, unless a call says another; `""` is the default one.
        limit: how many run at once, in all groups together; 0: as many as these allow.
        rate: how often they start; None: as often as may be.

    Raises:
        ValueError: The limit is negative.
    """

    group: str = ""
    limit: int = 0
    rate: Rate | None = None

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise ValueError(f"the limit of a method is at least 1, or 0 for none, not {self.limit}")


@dataclass(frozen=True, slots=True)
class Rules:
    """What an actor's mailbox goes by.

    Args:
        limit: how many calls of the default group may run at once, at least 1.
        groups: the other groups, with how many calls of each may run at once, at least 1.
        methods: the rules of methods that have any, by name.
        bound: how many calls may wait, in all groups together; 0: any number.
        policy: what becomes of the calls beyond that.

    Raises:
        ValueError: A number is out of range, the policy is none, or a method's group is not there.
    """

    limit: int
    groups: Mapping[str, int] = field(default_factory=dict)
    methods: Mapping[str, MethodRule] = field(default_factory=dict)
    bound: int = 0
    policy: Policy = "wait"

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"at least one call may run, not {self.limit}")
        for name, limit in self.groups.items():
            self._check_group(name, limit)
        for name, rule in self.methods.items():
            if rule.group and rule.group not in self.groups:
                raise ValueError(f"method {name!r} is of the concurrency group {rule.group!r}, {self._which()}")
        if self.bound < 0:
            raise ValueError(f"at least 1 call may wait, or 0 for any number, not {self.bound}")
        if self.policy not in POLICIES:
            raise ValueError(f"{self.policy!r} is none of the policies {', '.join(POLICIES)}")

    @staticmethod
    def _check_group(name: str, limit: int) -> None:
        if not name:
            raise ValueError("a concurrency group has a name; the size of the default one is the actor's own limit")
        if limit < 1:
            raise ValueError(f"at least one call may run in the concurrency group {name!r}, not {limit}")

    def check_group(self, name: str) -> None:
        """Refuses a group that is not there; `""`, the method's own, always is.

        Raises:
            ValueError: There is no such group.
        """
        if name and name not in self.groups:
            raise ValueError(f"there is no concurrency group {name!r}, {self._which()}")

    def _which(self) -> str:
        return f"but there are: {', '.join(map(repr, self.groups))}" if self.groups else "and the actor has none"
