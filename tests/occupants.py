"""Tasks and actors that take room until they are told to go."""

import os
import time

from tests.programs import wait_until

import actorio


@actorio.remote
def run_until(folder, name):
    """Say that the task runs, until the folder's gate is opened; return the process."""
    (folder / name).touch()
    while not (folder / "gate").exists():
        time.sleep(0.005)
    return os.getpid()


@actorio.remote
class Keeper:
    def pid(self):
        return os.getpid()

    def gpus(self):
        return os.environ.get("CUDA_VISIBLE_DEVICES"), actorio.get_gpu_ids()

    def call(self, function, *arguments):
        return actorio.get(function.remote(*arguments))


class Runs:
    """Tasks that run until they may end."""

    def __init__(self, folder):
        self.folder = folder

    def start(self, count, prefix="task", **options):
        return [run_until.options(**options).remote(self.folder, f"{prefix}{n}") for n in range(count)]

    def number(self):
        return len([each for each in self.folder.iterdir() if each.name != "gate"])

    def settle(self, count):
        """Wait until so many run, and see that no other one begins."""
        assert wait_until(lambda: self.number() >= count)
        # Whoever could run would have been told by the time that this has gone to and fro.
        for _ in range(3):
            actorio.available_resources()
        assert self.number() == count

    def release(self):
        (self.folder / "gate").touch()


def all_is_free():
    return actorio.available_resources() == actorio.cluster_resources()
