"""The pipes of actors' output: when they are read, and what is left in them."""

import asyncio
import os

import psutil
import pytest

from actorio._node.outputs import Outputs


class Written:
    """The pipes of one actor, whose process is played by the test."""

    def __init__(self, loop):
        self.lines = []
        self.outputs = Outputs(loop, lambda *what: self.lines.append(what))
        (self.out, self.err), _ = self.outputs.open("one")

    def close(self):
        os.close(self.out)
        os.close(self.err)


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def written(loop):
    written = Written(loop)
    yield written
    written.close()
    written.outputs.finish_all()


def test_what_an_actor_prints_before_its_process_is_known_is_read_after(loop, written):
    os.write(written.out, b"early\n")
    loop.run_until_complete(asyncio.sleep(0))
    assert written.lines == []
    written.outputs.begin("one")
    loop.run_until_complete(asyncio.sleep(0))
    assert written.lines == [("one", 1, [b"early"])]


def test_the_lines_of_an_actor_that_ends_before_its_process_is_known_are_read(written):
    os.write(written.err, b"a reason\n")
    assert written.outputs.finish("one") == ["a reason"]
    assert written.lines == [("one", 2, [b"a reason"])]


def test_no_descriptor_is_left_of_an_actor_whose_process_was_never_made(loop):
    before = psutil.Process().num_fds()
    written = Written(loop)
    written.close()
    written.outputs.finish_all()
    assert psutil.Process().num_fds() == before
