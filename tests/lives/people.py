"""Actors whose lives are watched. Every one of them imports this module: it imports next to nothing itself."""

import atexit
import os
import signal
import sys
import threading
from pathlib import Path

import actorio
from actorio.actor import exit_actor

# The actors that an actor has made.
CHILDREN = []
# What goes wrong when a tidy actor cleans up.
CULPRIT = set()


class Plain:
    """Does what it is told. `begin` is called by the constructor."""

    def __init__(self, begin=None):
        if begin is not None:
            begin()

    def pid(self):
        return os.getpid()

    def run(self, body, *arguments):
        return body(*arguments)


class Async(Plain):
    async def pid(self):
        return os.getpid()

    async def run(self, body, *arguments):
        value = body(*arguments)
        return await value if hasattr(value, "__await__") else value


class Member(Plain):
    """Notes what becomes of it in a file that all members of its group share."""

    def __init__(self, name, path, begin=None):
        self.name, self.path = name, path
        note(path, f"{name} begins")
        super().__init__(begin)

    def __ray_shutdown__(self):
        note(self.path, f"{self.name} cleans up")


class Keeper(Plain):
    """Keeps what it is given, under a name."""

    def __init__(self, first=None):
        super().__init__()
        self.kept = {"first": first}

    def keep(self, name, thing):
        self.kept[name] = thing

    def give(self, name):
        return self.kept[name]

    def drop(self, name):
        del self.kept[name]

    def names(self):
        return sorted(self.kept)


class Introduced(Keeper):
    """Makes itself known to others."""

    def introduce(self, other):
        actorio.get(other.keep.remote("friend", self))

    def introduce_in(self, other):
        actorio.get(other.keep.remote("friends", [self]))

    def who(self):
        return actorio.get_runtime_context().current_actor

    def remember_itself(self):
        self.kept["me"] = self.who()


class Tidy(Plain):
    """Notes what it cleans up at its end; `CULPRIT` says what goes wrong with that."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        stack = actorio.get_runtime_context().exit_stack
        stack.callback(self.clean, "first")
        stack.callback(self.clean, "second")
        atexit.register(note, path, "atexit")

    def clean(self, what):
        note(self.path, what)
        if {what} == CULPRIT:
            raise LookupError(f"{what} has failed")
        if {"exit in hook"} == CULPRIT and what == "hook":
            exit_actor()
        if {"hang in hook"} == CULPRIT and what == "hook":
            threading.Event().wait()

    def stay(self, arrived):
        stay(arrived)

    def passes(self, arrived, gate):
        arrived.touch()
        wait_for(gate)
        note(self.path, "passed")
        return "passed"

    def __ray_shutdown__(self):
        self.clean("hook")


class AsyncTidy(Tidy):
    async def pid(self):
        return os.getpid()

    async def stay(self, arrived):
        import asyncio  # loaded in an async actor, and in no other

        arrived.touch()
        await asyncio.Event().wait()

    async def passes(self, arrived, gate):
        import asyncio  # as above

        arrived.touch()
        await asyncio.to_thread(wait_for, gate)
        note(self.path, "passed")
        return "passed"

    async def __ray_shutdown__(self):
        import asyncio  # as above

        if {"hang in hook"} == CULPRIT:
            note(self.path, "hook")
            await asyncio.Event().wait()
        self.clean("hook")


class Busy(Plain):
    """Runs calls beside each other: `stay` ends after `end` has asked for the end of the actor."""

    def __init__(self):
        super().__init__()
        self.is_over = threading.Event()

    def stay(self, arrived):
        arrived.touch()
        self.is_over.wait()
        return "stayed"

    def end(self, body):
        threading.Thread(target=self.go_on_when_the_actor_leaves).start()
        body()

    def go_on_when_the_actor_leaves(self):
        while not any(is_in("finish", frame) for frame in sys._current_frames().values()):
            threading.Event().wait(0.001)
        self.is_over.set()


class AsyncBusy(Plain):
    def __init__(self):
        super().__init__()
        import asyncio  # loaded in an async actor, and in no other

        self.is_over = asyncio.Event()

    async def stay(self, arrived):
        arrived.touch()
        await self.is_over.wait()
        return "stayed"

    async def end(self, body):
        self.is_over.set()
        body()


def make(kind="plain", *arguments, **options):
    """Make an actor of a kind: "plain", "threaded" or "async"."""
    if kind == "threaded":
        options["max_concurrency"] = 3
    chosen = actorio.remote(Async if kind == "async" else Plain)
    return (chosen.options(**options) if options else chosen).remote(*arguments)


# -- ends ----------------------------------------------------------------------------------------------------------


def exit_with_0():
    sys.exit(0)


def exit_with_3():
    sys.exit(3)


def exit_with_words():
    sys.exit("no more")


def leave_with_0():
    os._exit(0)


def leave_with_3():
    os._exit(3)


def sigkill():
    os.kill(os.getpid(), signal.SIGKILL)


def segfault():
    import ctypes  # only here: every actor imports this module

    ctypes.string_at(0)


def is_in(function, frame):
    """Say whether a function of this name has a frame on a stack."""
    while frame is not None and frame.f_code.co_name != function:
        frame = frame.f_back
    return frame is not None


def stay(arrived):
    arrived.touch()
    threading.Event().wait()


def receive_beside_the_main_thread(number, gate):
    """Have a signal come once the main thread sleeps, and another thread receive it: nothing wakes the main one."""

    def receive():
        wait_for(gate)
        while sys._current_frames()[threading.main_thread().ident].f_code.co_name != "_sleep":
            threading.Event().wait(0.001)
        signal.pthread_kill(threading.get_ident(), number)

    threading.Thread(target=receive, daemon=True).start()


def note_signals(number, path):
    """Handle a signal by a note of it."""
    signal.signal(number, lambda *_: note(path, "heard"))


def raise_lookup_error():
    raise LookupError("nothing there")


def exit_actor_and_swallow_it():
    try:
        exit_actor()
    except BaseException:
        return "still here"


def set_culprit(culprit):
    CULPRIT.add(culprit)


def ask_to_be_killed(*, no_restart=False):
    actorio.kill(actorio.get_runtime_context().current_actor, no_restart=no_restart)
    threading.Event().wait()


__all__ = ["exit_actor", "sys", "threading"]


# -- marks in files, which outlive a process -----------------------------------------------------------------------


def count(path):
    """Note one more time; return how often that was by now."""
    with path.open("ab") as file:
        file.write(b".")
    return path.stat().st_size


def times(path):
    return path.stat().st_size if path.exists() else 0


def note(path, text):
    """Add a line, whole."""
    with path.open("a") as file:
        file.write(f"{text}\n")


def notes(path):
    return path.read_text().split("\n")[:-1] if path.exists() else []


def wait_for(path):
    """Block until a file is there; for actors, which no event of the test's process reaches."""
    pause = threading.Event()
    while not path.exists():
        pause.wait(0.002)


def first_times(path, number, body):
    """Return what calls `body` so many times, and does nothing from then on."""
    return lambda: body() if count(path) <= number else None


def busy(kind, path):
    """Return an actor in the midst of a call, and that call."""
    actor = actorio.remote(max_concurrency=2)(Busy if kind == "threaded" else AsyncBusy).remote()
    staying = actor.stay.remote(path)
    wait_for(path)
    return actor, staying


def tidy(kind, path, **options):
    """Make an actor that notes what it cleans up."""
    if kind == "threaded":
        options["max_concurrency"] = 2
    chosen = actorio.remote(AsyncTidy if kind == "async" else Tidy)
    actor = (chosen.options(**options) if options else chosen).remote(path)
    actorio.get(actor.pid.remote())
    return actor


# -- families --------------------------------------------------------------------------------------------------------


def have_child():
    CHILDREN.append(make())


def pid_of_child():
    return actorio.get(CHILDREN[0].pid.remote())


def never_end_by_itself(path):
    """Say in a file when it is asked to end, and do not."""
    actorio.get_runtime_context().exit_stack.callback(_go_on, Path(path))


def _go_on(path):
    path.touch()
    threading.Event().wait()
