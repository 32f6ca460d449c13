"""What a chaos run's notes must say: every call has ended, and methods have run as often as was promised.

Pure: lines in, complaints out. Each call has a number of its own, which the method that it runs notes as well.

- A call that is not made again runs at most once, whatever dies; one that is, at most once more for each retry.
- A call with a value, or with the error that its method raises, has run; one that says it was not run has not.
- A caller that lives on hears of each of its calls. What it has made when it is killed is bounded by the rest.
- Calls of one caller to one actor, made once each, begin in the order in which they were made.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

# A call that is made again for ever.
UNLIMITED = -1
HAVE_RUN = {"value", "failed"}
DEATHS = {"ActorDiedError", "ActorUnavailableError"}


class Made(NamedTuple):
    actor: str
    retries: int
    what: str


@dataclass
class Story:
    """All that was noted. Callers are drivers and actors, named by the files that they wrote."""

    made: dict[str, Made] = field(default_factory=dict)
    callers: dict[str, str] = field(default_factory=dict)
    ends: dict[str, tuple[str, str]] = field(default_factory=dict)
    ran: Counter[str] = field(default_factory=Counter)
    # Of each life of each actor: its class and what it ran, in order.
    lives: list[tuple[str, list[str]]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def read_calls(self, caller, lines):
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "made":
                number, actor, retries, what = rest.split()
                self.made[number] = Made(actor, int(retries), what)
                self.callers[number] = caller
            elif word == "end":
                number, _, outcome = rest.partition(" ")
                kind, _, text = outcome.partition(" ")
                self._end(number, kind, text)
            else:
                self.complaints.append(f"{caller}: {line}")

    def _end(self, number, kind, text):
        if number in self.ends:
            self.complaints.append(f"{number} has ended twice: {self.ends[number]}, {kind} {text}")
        self.ends[number] = kind, text

    def read_actor(self, lines):
        for line in lines:
            word, _, what = line.partition(" ")
            if word == "began":
                self.lives.append((what, []))
            else:
                self.ran[what] += 1
                self.lives[-1][1].append(what)


def check(story, survivors):
    """Return what is wrong. ``survivors`` are the callers that have not been killed, and owe an end to each call."""
    found = list(story.complaints)
    for number, made in story.made.items():
        found += check_call(story, number, made, is_owed=story.callers[number] in survivors)
    found += [f"{number} ran, but nobody made it" for number in story.ran if number not in story.made]
    for name, life in story.lives:
        # Threads begin in order, and are overtaken before they take note.
        found += check_order(story, life) if name != "Threaded" else []
    return found


def check_call(story, number, made, *, is_owed):
    times = story.ran[number]
    kind, text = story.ends.get(number, ("", ""))
    call = f"{number} to {made.actor} ({made.what}, retries {made.retries})"
    wrong = []
    if made.retries != UNLIMITED and times > 1 + made.retries:
        wrong.append("ran too often")
    if not kind and is_owed:
        wrong.append("never ended")
    if kind and kind not in HAVE_RUN | DEATHS:
        wrong.append("ended in a way that has no place here")
    if kind in HAVE_RUN and (not times or (kind == "failed") is (made.what == "add")):
        wrong.append("ended as it cannot have")
    if kind in DEATHS and text.startswith("not-run") and times:
        wrong.append("was said not to have run")
    return [f"{call} {', '.join(wrong)}: ran {times} times, ended as {kind} {text}"] if wrong else []


def check_order(story, life):
    """Check one life of one actor: the numbers of each caller rise, retried and relayed calls aside."""
    found = []
    last = defaultdict(lambda: -1)
    for number in life:
        made = story.made.get(number)
        if made is None or made.retries or "/" in number:
            continue
        caller, _, count = number.rpartition(":")
        if int(count) < last[caller]:
            found.append(f"{number} ran after {caller}:{last[caller]} in actor {made.actor}")
        last[caller] = int(count)
    return found


def summary(story):
    """Return how many calls ended how."""
    kinds = Counter(kind for kind, _ in story.ends.values())
    unknown = sum(number not in story.ends for number in story.made)
    fates = Counter(f"{kind}, {text.split()[0]}" for kind, text in story.ends.values() if kind in DEATHS)
    lines = {"value": kinds["value"], "method's error": kinds["failed"], **dict(sorted(fates.items()))}
    return {**lines, "caller was killed": unknown, "made": len(story.made), "ran": sum(story.ran.values())}
