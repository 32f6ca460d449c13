"""The zygote is killed: its actors die with it, and so does what they have started."""

import os
import signal
import subprocess

from tests.programs import is_gone, wait_until

import actorio
from actorio._model import runtime


@actorio.remote
class Starter:
    def start(self):
        return subprocess.Popen(["sleep", "1000"]).pid


def test_what_an_actor_has_started_does_not_outlive_a_killed_zygote(fresh_session):
    starter = Starter.remote()
    pid = actorio.get(starter.start.remote())
    os.kill(runtime.current().list_actors().zygote_pid, signal.SIGKILL)
    assert wait_until(lambda: is_gone(pid))
