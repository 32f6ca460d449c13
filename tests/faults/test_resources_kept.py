"""What is taken of a session's resources stays taken, and is free again, whichever of its processes are killed."""

import os
import signal

from tests.occupants import Keeper, Runs, all_is_free
from tests.programs import wait_until

import actorio
from actorio._model import runtime

PATIENCE = 30


def get(refs):
    return actorio.get(refs, timeout=PATIENCE)


@actorio.remote
def pid():
    return os.getpid()


def test_a_new_node_knows_who_has_what(fresh_session, tmp_path):
    cpus = int(actorio.cluster_resources()["CPU"])
    runs = Runs(tmp_path)
    actor = Keeper.options(num_cpus=1).remote()
    get(actor.pid.remote())
    refs = runs.start(cpus - 1)
    runs.settle(cpus - 1)
    waiting = runs.start(3, "waiting")
    queued = Keeper.options(num_cpus=cpus).remote()
    queued_pid = queued.pid.remote()
    os.kill(fresh_session.address_info["node_pid"], signal.SIGKILL)
    assert actorio.available_resources()["CPU"] == 0
    runs.settle(cpus - 1)
    runs.release()
    get([*refs, *waiting])
    actorio.kill(actor)
    get(queued_pid)
    assert actorio.available_resources()["CPU"] == 0
    del queued, queued_pid
    assert wait_until(all_is_free)


def test_tasks_go_on_when_the_process_they_are_forked_from_is_killed(fresh_session):
    zygote = runtime.current().list_actors().zygote_pid
    get(pid.remote())
    os.kill(zygote, signal.SIGKILL)
    assert get([pid.remote() for _ in range(5)])
