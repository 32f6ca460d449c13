"""The zygote is killed: its actors die with it, and so does what they have started."""

import os
import signal
import subprocess

from tests.programs import is_gone, output_of, wait_until

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


def test_a_zygote_that_is_killed_while_the_session_ends_is_no_news():
    output = output_of("""
    class Vengeful:
        def __ray_shutdown__(self):
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(1000)

        def echo(self, value):
            return value

    for _ in range(5):
        with actorio.init():
            actor = actorio.remote(Vengeful).remote()
            print(actorio.get(actor.echo.remote(1)))
    """)
    assert output == ["1"] * 5


def test_a_session_ends_whose_zygotes_are_killed_again_and_again():
    output = output_of("""
    from contextlib import suppress
    from actorio._model import runtime

    actorio.init()
    try:
        while True:
            with suppress(ProcessLookupError):
                os.kill(runtime.current().list_actors().zygote_pid, signal.SIGKILL)
    except actorio.exceptions.RaySystemError as error:
        print("the session of this process has ended" in str(error) or error)
    """)
    assert output == ["True"]
