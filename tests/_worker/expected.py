"""What a dispatcher is expected to do with calls, in the plainest words: lists that are searched, a clock that is told.

Nothing of what is under test is used here, but for the rules. What starts in one turn of the loop happens in the order
in which it was caused, so what is to happen stands in a queue.
"""

from collections import deque
from functools import partial

from actorio._model.concurrency import MethodRule

# Methods that end at once, and how; others run until they are let go.
ENDS = {"plain": "value", "quick": "value", "raising": "error", "unknown": "no method"}
GRACE = 1.25


class Job:
    """A call, and how far it is."""

    def __init__(self, key, wire, method, group="", priority=0, deadline=0.0, *, is_own=False):
        self.key, self.wire, self.method, self.priority, self.deadline = key, wire, method, priority, deadline
        self.given_group, self.is_own = group, is_own
        self.reason = None
        self.has_begun = self.is_let_in = False
        self.gives_up_at = None

    def __repr__(self):
        return f"<{self.key}: {self.method} in {self.group or '-'} at {self.priority}, {self.reason}>"


class Expected:
    """What must have started, run and been answered.

    Args:
        endures: the methods that go on when they are to end.
    """

    def __init__(self, rules, now, endures):
        self.rules, self.now, self.endures = rules, now, endures
        self.limits = {"": rules.limit, **rules.groups}
        self.jobs, self.waiting, self.running = {}, [], []
        # Who has begun, in order; when each method has; what each request has been answered.
        self.started, self.starts, self.answers = [], {}, {}
        self.to_happen = deque()
        self.is_single = rules.limit == 1 and not rules.groups
        self.has_brake = bool(rules.bound) and rules.policy == "wait"
        self.told, self.asking, self.full = set(), deque(), {}

    # What may start.

    def has_place(self, job):
        mates = [each for each in self.running if each.method == job.method]
        mates_in_group = [each for each in self.running if each.group == job.group]
        return len(mates_in_group) < self.limits[job.group] and not 0 < job.rule.limit <= len(mates)

    def free_at(self, job):
        """When its rate allows it."""
        rate, starts = job.rule.rate, self.starts.get(job.method, [])
        return starts[-rate.count] + rate.period if rate and len(starts) >= rate.count else 0.0

    def may_start(self, job):
        return self.has_place(job) and self.free_at(job) <= self.now

    def fill(self, groups):
        def first():
            ready = [each for each in self.waiting if each.group in groups and self.may_start(each)]
            return min(ready, key=lambda job: (-job.priority, job.key), default=None)

        before = len(self.waiting)
        while (job := first()) is not None:
            self.waiting.remove(job)
            self.start(job)
        return len(self.waiting) < before

    def start(self, job):
        self.running.append(job)
        self.starts.setdefault(job.method, []).append(self.now)
        self.to_happen.append(partial(self.begin, job))

    # What callers do.

    def offer(self, job):
        self.jobs[job.key] = job
        job.rule = self.rules.methods.get(job.method, MethodRule())
        job.group = job.given_group or job.rule.group
        if job.group not in self.limits:
            self.answer(job, "no group")
        elif job.is_own and job.method == "again":
            job.is_let_in = True
            self.start(job)
        elif self.may_start(job):
            self.start(job)
        else:
            self.turn_away(job)

    def turn_away(self, job):
        bound, policy = self.rules.bound, self.rules.policy
        is_full = 0 < bound <= len(self.waiting)
        if is_full and policy in {"fail", "drop_newest"}:
            self.answer(job, "dropped")
            return
        if is_full and policy == "drop_oldest":
            lowest = min(self.waiting, key=lambda each: (each.priority, each.key))
            if lowest.priority > job.priority:
                self.answer(job, "dropped")
                return
            self.waiting.remove(lowest)
            self.answer(lowest, "dropped")
        self.waiting.append(job)
        if self.has_brake and len(self.waiting) >= bound and job.wire not in self.told:
            self.told.add(job.wire)
            self.full[job.wire] = self.full.get(job.wire, 0) + 1

    def ask_for_room(self, key, wire):
        if self.has_brake:
            self.asking.append((key, wire))
            self.make_room()
        else:
            self.answers[key] = "done"

    def make_room(self):
        if not self.has_brake:
            return
        is_idle = not self.waiting and not self.running
        room = len(self.asking) if is_idle else self.rules.bound - len(self.waiting)
        while room > 0 and self.asking:
            key, wire = self.asking.popleft()
            self.told.discard(wire)
            if wire.is_open():
                self.answers[key] = "done"
                room -= 1

    def set_limit(self, key, limit, group):
        if limit < 1 or group not in self.limits:
            self.answers[key] = "refused"
            return
        self.answers[key] = "done"
        self.limits[group] = limit
        self.is_single = self.is_single and limit == 1
        if self.fill([group]):
            self.make_room()

    def lose(self, wire):
        for job in self.open_jobs(wire):
            self.end_early(job, "cancelled")

    def end_early(self, job, reason):
        if job.reason is not None or job.key in self.answers:
            return
        job.reason = reason
        if job in self.waiting:
            self.waiting.remove(job)
            self.answer(job, f"{reason} before it began")
            self.make_room()
        elif job.has_begun:
            job.gives_up_at = self.now + GRACE
            if job.method not in self.endures:
                self.to_happen.append(partial(self.finish, job, "value"))

    # What happens in turn.

    def happen(self):
        while self.to_happen:
            self.to_happen.popleft()()

    def begin(self, job):
        if 0 < job.deadline <= self.now and job.reason is None:
            job.reason = "expired"
        if job.reason is not None:
            self.answer(job, f"{job.reason} before it began")
            self.leave(job)
            return
        job.has_begun = True
        if job.method != "unknown":
            self.started.append(job.key)
        if job.method in ENDS:
            self.finish(job, ENDS[job.method])

    def finish(self, job, outcome):
        self.answer(job, job.reason if job.reason and outcome == "value" else outcome)
        self.leave(job)

    def answer(self, job, outcome):
        self.answers.setdefault(job.key, outcome)

    def leave(self, job):
        self.running.remove(job)
        self.fill(self.limits if job.rule.limit else [job.group])
        self.make_room()

    def ring(self):
        for job in sorted(self.open_jobs(), key=lambda job: job.deadline):
            if 0 < job.deadline <= self.now:
                self.end_early(job, "expired")

    def next_time(self):
        """When something happens by itself."""
        jobs = self.open_jobs()
        times = [job.deadline for job in jobs if job.deadline and job.reason is None]
        times += [job.gives_up_at for job in jobs if job.gives_up_at is not None]
        times += [self.free_at(job) for job in self.waiting if self.has_place(job)]
        return min(times, default=float("inf"))

    def time_is(self, now):
        self.now = now
        self.ring()
        for job in self.open_jobs():
            if job.gives_up_at is not None and job.gives_up_at <= now:
                self.answer(job, f"{job.reason} and still runs")
        if self.fill(self.limits):
            self.make_room()

    # What there is to see.

    def open_jobs(self, wire=None):
        return [job for job in self.jobs.values() if job.key not in self.answers and wire in {None, job.wire}]

    def let_go(self):
        """The calls whose methods run until they are let go, in the order in which they began."""
        return [job for job in self.running if job.has_begun and job.method not in ENDS]
