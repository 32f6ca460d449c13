"""One driver of the chaos run, and its actors: calls of every kind, each noted before it is made and when it has ended.

    python chaos_load.py FOLDER ADDRESS NAME SEED

runs until FOLDER/stop exists. Notes are lines in files that outlive whoever writes them; `chaos_check.py` reads them:

- `made ID ACTOR RETRIES KIND`: a call is about to be made, which is to be executed (KIND `add`) or to fail so (`fail`);
- `end ID OUTCOME TEXT`: how it ended for its caller;
- `began CLASS` in an actor's file: it has been constructed, for the first time or again;
- `ran ID`: the method has run.
"""

import asyncio
import faulthandler
import itertools
import os
import random
import signal
import sys
import time
from pathlib import Path

import actorio
from actorio.exceptions import GetTimeoutError, RayActorError, RaySystemError, RayTaskError
from actorio.util import Supervisor

NAMESPACE = "chaos"
# What a call that ends at all has ended within, in seconds.
PATIENCE = 20.0
# Actors of one driver.
POPULATION = 13


class ChaosError(Exception):
    """What a method raises on purpose."""


class Notes:
    """A file to which whole lines are appended, each with one system call."""

    def __init__(self, path):
        self._fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def write(self, *words):
        os.write(self._fd, (" ".join(map(str, words)) + "\n").encode())


# -- actors --------------------------------------------------------------------------------------------------------


class Sync:
    def __init__(self, folder):
        me = actorio.get_runtime_context().get_actor_id()
        self.notes = Notes(f"{folder}/actor-{me}")
        self.calls = Notes(f"{folder}/calls-{me}")
        self.numbers = itertools.count()
        self.count = 0
        self.notes.write("began", type(self).__name__)

    def add(self, number, pause):
        self.begin(number)
        time.sleep(pause)
        return self.count

    def fail(self, number, _pause):
        self.begin(number)
        raise ChaosError(number)

    def begin(self, number):
        self.notes.write("ran", number)
        self.count += 1

    def relay(self, number, _pause, other, actor_id, retries):
        self.begin(number)
        inner = self.note(number, actor_id, retries)
        take(self.calls, inner, lambda: actorio.get(other.add.remote(inner, 0), timeout=PATIENCE))

    def note(self, number, actor_id, retries):
        inner = f"{number}/{os.getpid()}.{next(self.numbers)}"
        self.calls.write("made", inner, actor_id, retries, "add")
        return inner


class Threaded(Sync):
    pass


class Async(Sync):
    async def add(self, number, pause):
        self.begin(number)
        await asyncio.sleep(pause)
        return self.count

    async def relay(self, number, _pause, other, actor_id, retries):
        self.begin(number)
        inner = self.note(number, actor_id, retries)
        outcome = await asyncio.gather(other.add.remote(inner, 0), return_exceptions=True)
        take(self.calls, inner, lambda: give(outcome[0]))


KINDS = {
    "sync": actorio.remote(Sync),
    "threaded": actorio.remote(Threaded).options(max_concurrency=4),
    "async": actorio.remote(Async),
}


# -- outcomes ------------------------------------------------------------------------------------------------------


def take(notes, number, read):
    """Note how a call has ended; return whether its actor is dead for good."""
    try:
        read()
    except Exception as error:
        notes.write("end", number, *describe(error))
        return isinstance(error, actorio.exceptions.ActorDiedError)
    notes.write("end", number, "value")
    return False


def give(outcome):
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def describe(error):
    text = str(error).replace("\n", " ")
    if isinstance(error, GetTimeoutError):
        return "late", text
    if isinstance(error, RayTaskError):
        return ("failed", "") if isinstance(error.cause, ChaosError) else ("unexpected", repr(error)[:2000])
    if isinstance(error, RayActorError):
        return type(error).__name__, "not-run" if "was not run" in text else "may-have-run", text
    return "unexpected", f"{type(error).__name__}: {text}"


# -- the driver ----------------------------------------------------------------------------------------------------


class Known:
    """An actor to call: its handle, and how often a call to it is made again."""

    def __init__(self, handle, retries):
        self.handle = handle
        # Actor(Sync, 0123...)
        self.actor_id = repr(handle)[-33:-1]
        self.retries = retries


class Load:
    def __init__(self, folder, name, seed):
        self.folder = folder
        self.name = name
        self.random = random.Random(seed)
        self.notes = Notes(f"{folder}/calls-{name}")
        self.numbers = itertools.count()
        self.actors = []
        self.supervisor = Supervisor("one_for_all", max_restarts=10_000, window=1.0)

    def run(self):
        # Without its parent nobody would tell it to stop.
        parent = os.getppid()
        while not Path(self.folder, "stop").exists() and os.getppid() == parent:
            while len(self.actors) < POPULATION:
                self.create()
            self.random.choice(STEPS)(self)

    def create(self):
        kind = self.random.choice(sorted(KINDS))
        restarts, retries = self.random.choice([0, 0, 2, -1]), self.random.choice([0, 0, 1, -1])
        options = {"max_restarts": restarts, "max_task_retries": retries}
        if self.random.random() < 0.3:
            # The name says what others have to know.
            options |= {"name": f"{self.name}_{next(self.numbers)}_{retries}", "namespace": NAMESPACE}
            if self.random.random() < 0.5:
                options["lifetime"] = "detached"
        actor_class = KINDS[kind]
        if self.random.random() < 0.2:
            actor_class = self.supervisor.supervise(actor_class)
        try:
            handle = actor_class.options(**options).remote(self.folder)
        except RaySystemError as error:
            # Whether it exists is not known when the node is killed at that very moment.
            if "killed while it started" not in str(error):
                raise
            return
        self.actors.append(Known(handle, retries))

    # --- steps

    def number(self, context):
        return f"{self.name}:{context}:{next(self.numbers)}"

    def make(self, known, context, method="add", pause=None):
        number = self.number(context)
        self.notes.write("made", number, known.actor_id, known.retries, method)
        pause = self.random.choice([0, 0, 0.001, 0.01]) if pause is None else pause
        return number, getattr(known.handle, method).remote(number, pause)

    def end(self, known, number, read):
        if take(self.notes, number, read) and known in self.actors:
            self.actors.remove(known)

    def one(self):
        known = self.random.choice(self.actors)
        number, ref = self.make(known, "t", self.random.choice(["add", "add", "fail"]))
        self.end(known, number, lambda: actorio.get(ref, timeout=PATIENCE))

    def batch(self):
        chosen = [self.random.choice(self.actors) for _ in range(20)]
        made = [(known, *self.make(known, "t")) for known in chosen]
        for known, number, ref in made:
            self.end(known, number, lambda ref=ref: actorio.get(ref, timeout=PATIENCE))

    def burst(self):
        known = self.random.choice(self.actors)
        made = [self.make(known, "t", pause=0) for _ in range(50)]
        actorio.wait([ref for _, ref in made], num_returns=len(made), timeout=PATIENCE)
        for number, ref in made:
            self.end(known, number, lambda ref=ref: actorio.get(ref, timeout=0))

    def gather(self):
        asyncio.run(self.gather_on_loop())

    async def gather_on_loop(self):
        context = f"l{next(self.numbers)}"
        chosen = [self.random.choice(self.actors) for _ in range(20)]
        made = [(known, *self.make(known, context)) for known in chosen]
        for known, number, ref in made:
            try:
                outcome = await asyncio.wait_for(asyncio.shield(as_coroutine(ref)), PATIENCE)
            except TimeoutError:
                outcome = GetTimeoutError("never ended")
            except Exception as error:
                outcome = error
            self.end(known, number, lambda outcome=outcome: give(outcome))

    def relay(self):
        first, second = self.random.choice(self.actors), self.random.choice(self.actors)
        if first is second or first.actor_id == second.actor_id:
            return
        number = self.number("t")
        self.notes.write("made", number, first.actor_id, first.retries, "add")
        ref = first.handle.relay.remote(number, 0, second.handle, second.actor_id, second.retries)
        self.end(first, number, lambda: actorio.get(ref, timeout=PATIENCE))

    def find(self):
        """Take an actor of somebody else's, by its name."""
        names = sorted(each["name"] for each in actorio.util.list_named_actors(all_namespaces=True))
        if not names:
            return
        name = self.random.choice(names)
        try:
            handle = actorio.get_actor(name, NAMESPACE)
        except ValueError:
            return
        self.actors.append(Known(handle, int(name.rpartition("_")[2])))

    def drop(self):
        """Let go of an actor, which then has its last calls to answer."""
        if len(self.actors) > POPULATION // 2:
            known = self.actors.pop(self.random.randrange(len(self.actors)))
            number, ref = self.make(known, "t")
            known.handle = None
            self.end(known, number, lambda: actorio.get(ref, timeout=PATIENCE))

    def kill(self):
        known = self.random.choice(self.actors)
        number, ref = self.make(known, "t")
        actorio.kill(known.handle, no_restart=self.random.random() < 0.5)
        self.end(known, number, lambda: actorio.get(ref, timeout=PATIENCE))


async def as_coroutine(ref):
    return await ref


STEPS = [Load.one] * 6 + [Load.batch] * 6 + [Load.burst] * 3 + [Load.gather] * 4 + [Load.relay] * 4 + [Load.find]
STEPS += [Load.drop, Load.kill]


def main(folder, address, name, seed):
    faulthandler.register(signal.SIGUSR1)
    with actorio.init(address=address, namespace=NAMESPACE, log_to_driver=False):
        Load(folder, name, seed).run()


if __name__ == "__main__":
    # By its own name, as actors import it: what they raise is known here then.
    import chaos_load

    chaos_load.main(*sys.argv[1:])
