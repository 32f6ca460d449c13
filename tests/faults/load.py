"""A driver under load: calls of every pattern to every kind of actor, and in their midst SIGKILL to one process.

    python load.py VICTIM SEED FIRST COUNT

runs the moments FIRST to FIRST + COUNT - 1 of SEED, one after the other in one session, and prints a line of JSON about
each: how every reference ended and what was left; the last line is about the end of the session. VICTIM is driver,
node, zygote, async, threaded or plain.

Moments are random on purpose: after the n-th reply, or some milliseconds after the load has begun.
"""

import asyncio
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil

import actorio
from actorio._model import runtime

MOST_REPLIES = 400
LONGEST_DELAY = 0.12
# A reference that has not ended by then, in seconds, hangs.
PATIENCE = 10.0
# What `shutdown` and the ends after a kill are given, in seconds.
GRACE = 2.0
# How long the name of an actor's socket is.
SOCKET_NAME = 16


class Async:
    async def pid(self):
        return os.getpid()

    async def echo(self, value):
        await asyncio.sleep(0)
        return value


class Threaded:
    def pid(self):
        return os.getpid()

    def echo(self, value):
        return value


class Plain(Threaded):
    pass


CLASSES = {
    "async": actorio.remote(Async),
    "threaded": actorio.remote(Threaded).options(max_concurrency=4),
    "plain": actorio.remote(Plain),
}


class Moment:
    """When to kill, and what has ended how so far. Threads share it."""

    def __init__(self, generator, kill):
        self.is_over = threading.Event()
        self.calls = []
        self.errors = Counter()
        self.values = 0
        self._kill = kill
        self._is_due = threading.Lock()
        self._replies = generator.randint(1, MOST_REPLIES)
        self._timer = threading.Timer(generator.uniform(0, LONGEST_DELAY), self.come)
        self._is_timed = generator.random() < 0.5

    def begin(self):
        if self._is_timed:
            self._timer.start()

    def come(self):
        """Kill, the first time."""
        if self._is_due.acquire(blocking=False):
            self._kill()
            self.is_over.set()

    def end(self):
        self.come()
        self._timer.cancel()
        self.is_over.wait()

    def call(self, actor, value):
        ref = actor.echo.remote(value)
        self.calls.append((ref, actor))
        return ref

    def value(self):
        self.values += 1
        if not self._is_timed and self.values >= self._replies:
            self.come()

    def error(self, error):
        kind = type(error)
        self.errors[f"{kind.__module__}.{kind.__name__}", str(error)] += 1


def until_over(body):
    """Repeat until the moment has come, and once more; note errors of calls that could not be made."""

    def run(moment, actors):
        is_last = False
        while not is_last:
            is_last = moment.is_over.is_set()
            try:
                body(moment, actors)
            except Exception as error:
                moment.error(error)

    return run


def take(moment, outcome):
    if isinstance(outcome, BaseException):
        moment.error(outcome)
    else:
        moment.value()


def take_from(moment, read):
    try:
        read()
    except Exception as error:
        moment.error(error)
    else:
        moment.value()


@until_over
def call_one_at_a_time(moment, actors):
    for actor in actors:
        take_from(moment, lambda actor=actor: actorio.get(moment.call(actor, 1)))


@until_over
def call_in_batches(moment, actors):
    refs = [moment.call(actor, number) for number in range(20) for actor in actors]
    actorio.wait(refs, num_returns=len(refs) // 2)
    for ref in refs:
        take_from(moment, lambda ref=ref: actorio.get(ref))


@until_over
def call_from_a_loop(moment, actors):
    asyncio.run(call_and_gather(moment, actors))


async def call_and_gather(moment, actors):
    for actor in actors:
        try:
            take(moment, await moment.call(actor, 1))
        except Exception as error:
            moment.error(error)
    refs = [moment.call(actor, number) for number in range(20) for actor in actors]
    for outcome in await asyncio.gather(*refs, return_exceptions=True):
        take(moment, outcome)


@until_over
def create(moment, actors):
    actor = random.choice(list(CLASSES.values())).remote()
    take_from(moment, lambda: actorio.get(moment.call(actor, 1)))
    actorio.kill(actor)


PATTERNS = (call_one_at_a_time, call_in_batches, call_from_a_loop, create)


class Session:
    """The session under load."""

    def __init__(self):
        context = actorio.init()
        self.directory = Path(context.address_info["session_dir"])
        self.actors = {}
        self.pids = {"driver": os.getpid()}
        # Every process of the session that there has been.
        self.family = set()
        self.look()

    def look(self):
        """See who there is: node and zygote change, and actors are made under load."""
        there_is = runtime.current().list_actors()
        self.pids |= {"node": there_is.node_pid, "zygote": there_is.zygote_pid}
        self.family |= {there_is.node_pid, there_is.zygote_pid, *(actor.pid for actor in there_is.actors if actor.pid)}

    def create_missing(self):
        for kind, actor_class in CLASSES.items():
            if kind not in self.actors:
                self.actors[kind] = actor_class.remote()
                self.pids[kind] = actorio.get(self.actors[kind].pid.remote())

    def doomed(self, victim):
        """Return the actors that die with the victim."""
        return list(CLASSES) if victim == "zygote" else [victim] if victim in CLASSES else []

    def kill(self, victim):
        os.kill(self.pids[victim], signal.SIGKILL)

    def sockets_beyond(self, count):
        names = {path.name for path in self.directory.iterdir() if len(path.name) == SOCKET_NAME}
        return sorted(names) if len(names) > count else []

    def load(self, victim, generator):
        moment = Moment(generator, lambda: self.kill(victim))
        threads = [
            threading.Thread(target=pattern, args=(moment, list(self.actors.values())), daemon=True)
            for pattern in PATTERNS
        ]
        moment.begin()
        for thread in threads:
            thread.start()
        moment.is_over.wait(PATIENCE)
        moment.end()
        for thread in threads:
            thread.join(PATIENCE)
        return self.report(victim, moment, sum(thread.is_alive() for thread in threads))

    def report(self, victim, moment, stuck):
        refs = [ref for ref, _ in moment.calls]
        late = {*actorio.wait(refs, num_returns=len(refs), timeout=PATIENCE)[1]}
        return {
            "pid": self.pids[victim],
            "stuck_threads": stuck,
            "late": [repr(actor) for ref, actor in moment.calls if ref in late],
            "values": moment.values,
            "errors": [[*error, count] for error, count in moment.errors.items()],
        }


def what_remains(look):
    deadline = time.monotonic() + GRACE
    while (left := look()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def describe(pids):
    return [text for pid in pids if (text := describe_one(pid))]


def describe_one(pid):
    """Say what process there is. One that has ended and was handed to init is gone: init takes note when it likes."""
    try:
        process = psutil.Process(pid)
        status, parent = process.status(), process.ppid()
    except psutil.NoSuchProcess:
        return ""
    is_gone = status == psutil.STATUS_ZOMBIE and parent in {0, 1}
    return "" if is_gone else f"process {pid} ({status}), child of {parent}"


def kill_again_and_again(victim, seeds):
    """The session outlives whoever is killed, and so do the actors that the victim does not take with it."""
    session = Session()
    for seed in seeds:
        session.create_missing()
        session.look()
        report = session.load(victim, random.Random(seed))
        doomed = session.doomed(victim)
        left = what_remains(lambda: describe([session.pids[victim], *(session.pids[each] for each in doomed)]))  # noqa: B023  # called here
        for kind in doomed:
            del session.actors[kind]
        left += what_remains(lambda: session.sockets_beyond(len(session.actors)))
        alive = actorio.get([actor.pid.remote() for actor in session.actors.values()], timeout=PATIENCE)
        unlike = [kind for kind, pid in zip(session.actors, alive, strict=True) if pid != session.pids[kind]]
        print(json.dumps({"seed": seed, **report, "left": left, "replaced": unlike}), flush=True)
        session.look()
    end(session)


def end(session):
    began = time.monotonic()
    actorio.shutdown()
    seconds = time.monotonic() - began
    left = what_remains(lambda: describe(session.family))
    left += [str(session.directory)] if session.directory.exists() else []
    print(json.dumps({"shutdown_seconds": seconds, "left": left}), flush=True)


def main(victim, seed, first, count):
    kill_again_and_again(victim, [f"{seed}:{victim}:{number}" for number in range(int(first), int(first) + int(count))])


if __name__ == "__main__":
    main(*sys.argv[1:])
