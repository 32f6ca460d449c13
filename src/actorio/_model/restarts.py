"""Restarts of one actor: how many there may be, and how long each of them waits.

Pure: the time and the dice are arguments. Times are seconds of one clock that does not go back and that survives
the process which reads it (the machine's monotonic clock), because a budget travels and is read again elsewhere.

The rules:

- A death is paid for with one restart, until `max_restarts` of them are used up. With a window, a restart that is
  older than the window does not count any more.
- Restarts come *in a row* until the actor has *settled*: it has lived at least `SETTLED_AFTER` seconds, and at least
  as long as it had been made to wait.
- The first restart in a row waits for the policy's initial delay, which is nothing by default. Each further one waits
  `factor` times as long as the one before and at least `LEAST_DELAY`, up to the policy's longest delay.

So one crash is mended at once, and an actor that crashes again and again does not keep a core busy.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

# In seconds. An actor that has lived that long has got over its start.
SETTLED_AFTER: Final = 1.0
# In seconds. Every restart in a row but the first waits at least that long.
LEAST_DELAY: Final = 0.05

# In seconds, three decades: whoever writes more means something else.
LONGEST: Final = 1e9

_UNLIMITED: Final = -1
_MAX_RESTARTS: Final = 2**63 - 1

# The least and the greatest value of each number in a policy.
_RANGES: Final = {
    "window": (0.001, LONGEST),
    "initial_delay": (0.0, LONGEST),
    "factor": (1.0, LONGEST),
    "max_delay": (0.0, LONGEST),
    "jitter": (0.0, 1.0),
}


def check_number(name: str, value: Any, least: float, most: float) -> float:
    """Check one number that a user wrote, and return it as a float.

    Args:
        name: What it is called, for the text of an error: `"RestartPolicy: window"`.
        value: What was written.
        least: The least value allowed.
        most: The greatest value allowed.

    Raises:
        TypeError: It is neither an int nor a float.
        ValueError: It is out of range, or not a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}={value!r} is of type {type(value).__name__}; it must be int or float")
    # Written as "not <=" so that nan is refused too.
    if not least <= value <= most:
        raise ValueError(f"{name}={value!r} is not allowed: it must be from {least:g} to {most:g}")
    return float(value)


def check_count(name: str, value: Any, least: int) -> None:
    """Check one count that a user wrote. The arguments and errors are those of `check_number`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}={value!r} is of type {type(value).__name__}; it must be int")
    if not least <= value <= _MAX_RESTARTS:
        raise ValueError(f"{name}={value!r} is not allowed: it must be at least {least}, and fit into 64 bits")


def within(times: list[float], now: float, window: float) -> list[float]:
    """Return those of some times that are in the last `window` seconds. Exactly that long ago is within."""
    return [time for time in times if now <= time + window]


class RestartPolicy(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """When an actor that has died is started again. Given as `restart_policy=`; `max_restarts` says how often.

    The default restarts at once, as Ray does, except in a crash loop: an actor that dies again before it has settled
    (it has lived for a second, and for as long as it had been made to wait) waits 0.05 s, then 0.1 s, 0.2 s and so
    on, up to 30 s.

    Args:
        window: Seconds, at least 0.001. Only restarts in the last `window` seconds count against `max_restarts`, so
            that an actor may live for ever if it does not die too often. None, the default: all restarts that there
            ever were, as in Ray. Without effect for `max_restarts` 0 and -1.
        initial_delay: Seconds before the first restart in a row, at most `max_delay`. The default is 0: at once.
        factor: How many times as long as the restart before it each further restart in a row waits, at least 1.
        max_delay: Seconds that no restart exceeds. 0 means that no restart is ever delayed, crash loop or not.
        jitter: The part of a delay that is random, from 0 to 1, so that actors which died together do not come back
            together. It shortens delays, and never makes them longer.

    Raises:
        TypeError: A value is not a number.
        ValueError: A value is out of range, or `initial_delay` is greater than `max_delay`.
    """

    window: float | None = None
    initial_delay: float = 0.0
    factor: float = 2.0
    max_delay: float = 30.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if value is not None or name != "window":
                checked = check_number(f"RestartPolicy: {name}", value, least, most)
                # What is sent has to be a plain float, whichever subclass was given.
                msgspec.structs.force_setattr(self, name, checked)
        if self.initial_delay > self.max_delay:
            raise ValueError(
                f"RestartPolicy: initial_delay={self.initial_delay!r} is greater than max_delay={self.max_delay!r}; "
                "give a greater max_delay as well"
            )

    def delay_after(self, previous: float | None) -> float:
        """Return the seconds, before jitter, that a restart waits.

        Args:
            previous: What this method returned for the restart before, None for the first restart in a row.
        """
        if previous is None:
            return self.initial_delay
        return min(self.max_delay, max(LEAST_DELAY, previous * self.factor))

    def jittered(self, delay: float, random: Callable[[], float]) -> float:
        """Return a delay with its random part. `random` returns a number from 0 up to, but not including, 1."""
        return delay * (1 - self.jitter * random())


class RestartBudget(msgspec.Struct, array_like=True):
    """The restarts that one actor has made and has left. Call `started` and `died` in turn, as things happen.

    Args:
        max_restarts: How many restarts there may be: 0, a count, or -1 for any number.
        policy: When they happen, and which of them count.
        used: How many restarts were made, all in all.
        times: When those were made that count, where there is a window; oldest first.
        delay: What the last restart waited, in seconds before jitter.
        started_at: When the actor last started, None while it has not.

    Raises:
        TypeError: `max_restarts` is not an int.
        ValueError: `max_restarts` is less than -1.
    """

    max_restarts: int = 0
    policy: RestartPolicy = RestartPolicy()
    used: int = 0
    times: list[float] = []
    delay: float = 0.0
    started_at: float | None = None

    def __post_init__(self) -> None:
        check_count("max_restarts", self.max_restarts, _UNLIMITED)

    def started(self, now: float) -> None:
        """Its process has started, and its life begins to count: from here, not from the end of the constructor."""
        self.started_at = now

    def died(self, now: float, random: Callable[[], float]) -> float | None:
        """The actor has died in a way that a restart mends.

        Args:
            now: The time of the death, in seconds.
            random: Returns a number from 0 up to, but not including, 1.

        Returns:
            The seconds to wait before it is started again, which has been paid for; or None when no restart is left.
        """
        if self.left(now) == 0:
            return None
        is_first_in_a_row = self.used == 0 or self._has_settled(now)
        self.delay = self.policy.delay_after(None if is_first_in_a_row else self.delay)
        self._pay(now)
        self.started_at = None
        return self.policy.jittered(self.delay, random)

    def left(self, now: float) -> int | None:
        """Return how many restarts are left if the actor dies now, None for any number."""
        if self.max_restarts == _UNLIMITED:
            return None
        window = self.policy.window
        counting = self.used if window is None else len(within(self.times, now, window))
        return self.max_restarts - counting

    def _pay(self, now: float) -> None:
        self.used += 1
        window = self.policy.window
        # Times that nobody will count are not kept.
        if window is not None and self.max_restarts != _UNLIMITED:
            self.times = [*within(self.times, now, window), now]

    def _has_settled(self, now: float) -> bool:
        return self.started_at is not None and now - self.started_at >= max(SETTLED_AFTER, self.delay)


def encode_policy(policy: RestartPolicy) -> bytes:
    """Return a policy as bytes, b"" for the default."""
    return b"" if policy == RestartPolicy() else _ENCODER.encode(policy)


def decode_policy(data: bytes) -> RestartPolicy:
    """Read a policy from bytes."""
    return _DECODER.decode(data) if data else RestartPolicy()


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(RestartPolicy)
