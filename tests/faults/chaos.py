"""The chaos run: 50 actors of all kinds, 4 drivers that call them, and SIGKILL to any process, again and again.

    python tests/faults/chaos.py [--seed N] [--seconds 60] [--keep]

This process starts the session, kills, and keeps the number of drivers; they join it by its address. What is decided
by chance is decided by the seed; what the machine makes of it is not. At the end every call that was made has to be
accounted for, by the notes that callers and actors have left (`chaos_check.py`), and the machine has to be as clean
as before. Prints what happened and what is wrong; the exit code is 0 when nothing is.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from contextlib import suppress
from pathlib import Path

import chaos_check
import psutil

import actorio
from actorio._model import runtime

LOAD = Path(__file__).with_name("chaos_load.py")
DRIVERS = 4
# How many actors there are before the first kill; see POPULATION.
ACTORS = 48
# Who is killed how often. Node and zygote at once would be the end of the session, and are not.
VICTIMS = {"actor": 12, "driver": 2, "node": 3, "zygote": 1}
# Between two kills, in seconds.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 0.8
# What drivers are given to finish their calls, and the machine to be clean again, in seconds.
PATIENCE, GRACE = 45.0, 5.0
# What a node may take to notice that an owner died while there was none, in seconds.
ORPHAN_GRACE = 10.0
MARK = "ACTORIO_CHAOS_RUN"
MOST_COMPLAINTS = 25


class Drivers:
    """The driver processes; those that were killed are replaced."""

    def __init__(self, folder, address, seed):
        self._folder, self._address, self._seed = folder, address, seed
        self._numbers = iter(range(10**6))
        self.running = {}
        self.survivors = set()
        self.complaints = []

    def start(self):
        name = f"driver{next(self._numbers)}"
        with Path(self._folder, f"{name}.err").open("wb") as errors:
            command = [sys.executable, LOAD, self._folder, self._address, name, f"{self._seed}:{name}"]
            self.running[name] = subprocess.Popen(command, stderr=errors)

    def keep_up(self):
        for name, process in list(self.running.items()):
            if process.poll() is not None:
                self._note_end(name, process)
                self.start()

    def kill_one(self, choose):
        process = self.running[choose(sorted(self.running))]
        process.kill()
        process.wait()

    def finish(self):
        Path(self._folder, "stop").touch()
        deadline = time.monotonic() + PATIENCE
        for name, process in list(self.running.items()):
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._dump(name, process)
            self._note_end(name, process)

    def _dump(self, name, process):
        """Have a driver that hangs say where."""
        process.send_signal(signal.SIGUSR1)
        time.sleep(1.0)
        process.kill()
        process.wait()
        self.complaints.append(f"{name} hangs:")

    def _note_end(self, name, process):
        del self.running[name]
        words = Path(self._folder, f"{name}.err").read_text(errors="replace").strip()
        if process.returncode == 0:
            self.survivors.add(f"calls-{name}")
        if process.returncode not in {0, -signal.SIGKILL} or words:
            self.complaints.append(f"{name} ended with {process.returncode}: {words[-6000:]}")


class Killer:
    """Decides whom to kill, by the seed."""

    def __init__(self, seed, drivers):
        self._random = random.Random(seed)
        self._drivers = drivers
        self.killed = Counter()

    def pause(self):
        time.sleep(self._random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE))

    def strike(self):
        victim = self._random.choices(list(VICTIMS), list(VICTIMS.values()))[0]
        if victim == "driver":
            self._drivers.kill_one(self._choose)
        else:
            inventory = runtime.current().list_actors()
            pids = {
                "actor": sorted(actor.pid for actor in inventory.actors if actor.pid),
                "node": [inventory.node_pid],
                "zygote": [inventory.zygote_pid],
            }[victim]
            if pids:
                self._kill(self._choose(pids))
        self.killed[victim] += 1

    def _choose(self, candidates):
        # One number drawn, however many there are: so the decisions that follow are the same.
        return candidates[int(self._random.random() * len(candidates))]

    def _kill(self, pid):
        # It may have been quicker.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def run(folder, seed, seconds):
    """Run the chaos; return what was killed, what is wrong and who has survived."""
    context = actorio.init(address="local", namespace="chaos", log_to_driver=False)
    address = context.address_info["address"]
    drivers = Drivers(folder, address, seed)
    killer = Killer(seed, drivers)
    for _ in range(DRIVERS):
        drivers.start()
    wrong = []
    try:
        wait_for_company()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            killer.pause()
            killer.strike()
            drivers.keep_up()
    except actorio.exceptions.RayError as error:
        wrong.append(f"the session was lost: {error}")
    drivers.finish()
    wrong += [*drivers.complaints, *end_the_detached()]
    began = time.monotonic()
    actorio.shutdown()
    if time.monotonic() - began > GRACE:
        wrong.append(f"shutdown took {time.monotonic() - began:.1f} seconds")
    return killer.killed, wrong, drivers.survivors


def wait_for_company():
    """Wait until the drivers have made their actors."""
    deadline = time.monotonic() + PATIENCE
    while len(runtime.current().list_actors().actors) < ACTORS and time.monotonic() < deadline:
        time.sleep(0.02)


def end_the_detached():
    """See that detached actors alone are left, that each can be found and answers, and end them."""
    try:
        orphans = wait_for_orphans()
        actors = runtime.current().list_actors().actors
    except actorio.exceptions.RayError as error:
        return [f"nothing can be listed: {error}"]
    wrong = [f"left by drivers that have gone: {actor}" for actor in orphans]
    return wrong + [complaint for actor in actors if actor.is_detached and (complaint := end_one(actor))]


def wait_for_orphans():
    """Return the actors that have outlived their drivers, after waiting for the node to notice them."""
    deadline = time.monotonic() + ORPHAN_GRACE
    while orphans := [actor for actor in runtime.current().list_actors().actors if not actor.is_detached]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return orphans


def end_one(actor):
    """Ask a detached actor whether it is ready, and kill it; return what is wrong with it."""
    try:
        handle = actorio.get_actor(actor.name, actor.namespace)
        try:
            actorio.get(handle.__ray_ready__.remote(), timeout=PATIENCE)
        finally:
            actorio.kill(handle)
    except (ValueError, actorio.exceptions.ActorDiedError):
        # Dead since it was listed: a driver has killed it, or it died with the last zygote.
        return ""
    except Exception as error:
        return f"{actor}: {error!r}"
    return ""


def what_is_left(mark, base):
    """Return which processes of this run live, and which directories it has left."""
    deadline = time.monotonic() + GRACE
    while left := [*processes(mark), *map(str, base.rglob("*"))]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return [f"left: {each}" for each in left]


def processes(mark):
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                yield f"process {process.pid} ({process.status()}): {' '.join(process.cmdline())}"
        except psutil.Error:
            continue


def read_story(folder):
    story = chaos_check.Story()
    for path in sorted(Path(folder).glob("calls-*")):
        story.read_calls(path.name, path.read_text().splitlines())
    for path in sorted(Path(folder).glob("actor-*")):
        story.read_actor(path.read_text().splitlines())
    return story


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--keep", action="store_true", help="keep the notes")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}, {chosen.seconds:g} seconds", flush=True)
    mark = os.environ[MARK] = uuid.uuid4().hex
    folder = tempfile.mkdtemp(prefix="chaos-")
    # A room of its own: short, since sockets' addresses are.
    base = Path(tempfile.mkdtemp(prefix="ac-"))
    os.environ["XDG_RUNTIME_DIR"] = str(base)
    killed, wrong, survivors = run(folder, chosen.seed, chosen.seconds)
    wrong += what_is_left(mark, base)
    story = read_story(folder)
    wrong += chaos_check.check(story, survivors)
    report(killed, story, wrong)
    if chosen.keep or wrong:
        print(f"the notes are in {folder}")
    else:
        shutil.rmtree(folder)
    shutil.rmtree(base, ignore_errors=True)
    return 1 if wrong else 0


def report(killed, story, wrong):
    print("killed: " + ", ".join(f"{count} {victim}" for victim, count in sorted(killed.items())))
    for line, count in chaos_check.summary(story).items():
        print(f"{count:8} {line}")
    print(f"{len(wrong)} wrong")
    for complaint in wrong[:MOST_COMPLAINTS]:
        print(f"  {complaint}")


if __name__ == "__main__":
    sys.exit(main())
