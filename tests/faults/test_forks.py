"""Forks of the driver after `init`: the child starts clean, and the session stays its parent's."""

import os
import signal

import psutil
import pytest
from tests.programs import SHUTDOWN_SECONDS, finish, is_gone, output_of, start, wait_until

FORKED = """
    class Echo:
        def echo(self, value):
            return value

        def sleep(self):
            time.sleep(1000)

    actor = actorio.remote(Echo).remote()
    done, undone = actor.echo.remote(1), actor.sleep.remote()
    actorio.get(done)

    def call_anew(value):
        return actorio.get(actorio.remote(Echo).remote().echo.remote(value))

    def outcome(call):
        try:
            return call()
        except actorio.exceptions.RayError as error:
            return type(error).__name__
"""


@pytest.mark.parametrize("exit_child", ["os._exit(0)", "sys.exit()"])
def test_a_forked_child_starts_clean_and_its_end_is_its_own(exit_child, leaks):
    lines = output_of(
        FORKED
        + f"""
    child = os.fork()
    if not child:
        print("child is initialized:", actorio.is_initialized(), flush=True)
        print("child calls:", call_anew(2), flush=True)
        print("child's session:", actorio.is_initialized(), flush=True)
        actorio.shutdown()
        {exit_child}
    print("exit code:", os.waitpid(child, 0)[1])
    print("parent is initialized:", actorio.is_initialized())
    print("parent calls:", call_anew(3))
    """
    )
    assert lines == [
        "child is initialized: False",
        "child calls: 2",
        "child's session: True",
        "exit code: 0",
        "parent is initialized: True",
        "parent calls: 3",
    ]
    assert leaks() == []


def test_a_forked_child_that_forgets_to_shut_down_leaves_nothing(leaks):
    lines = output_of(
        FORKED
        + """
    child = os.fork()
    if not child:
        call_anew(2)
        os._exit(0)
    os.waitpid(child, 0)
    print(call_anew(3))
    """
    )
    assert lines == ["3"]
    assert leaks() == []


def test_what_a_forked_child_inherits_says_that_it_is_its_parents(leaks):
    lines = output_of(
        FORKED
        + """
    child = os.fork()
    if not child:
        for _ in range(2):
            print(outcome(lambda: actor.echo.remote(2)), outcome(lambda: actorio.get(undone, timeout=5)), flush=True)
            print(outcome(lambda: actorio.get(done)), flush=True)
            actorio.init(ignore_reinit_error=True)
        actorio.shutdown()
        os._exit(0)
    os.waitpid(child, 0)
    print(actorio.get(done))
    """
    )
    assert lines == ["RaySystemError RaySystemError", "1"] * 2 + ["1"]
    assert leaks() == []


def test_multiprocessing_forks_work_beside_a_session(leaks):
    lines = output_of(
        FORKED
        + """
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(sorted(pool.map(call_anew, [2, 3])))
        pool.close()
        pool.join()
    print(call_anew(4))
    """
    )
    assert lines == ["[2, 3]", "4"]
    assert leaks() == []


def test_a_child_forked_while_threads_call_starts_clean(leaks):
    lines = output_of(
        FORKED
        + """
    other, is_over = actorio.remote(Echo).remote(), threading.Event()

    def load():
        while not is_over.is_set():
            actorio.get([other.echo.remote(n) for n in range(10)])

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        child = os.fork()
        if not child:
            os._exit(call_anew(7))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    is_over.set()
    for thread in threads:
        thread.join()
    """
    )
    assert lines == ["7"] * 5
    assert leaks() == []


def test_the_session_of_a_killed_driver_ends_though_its_forked_child_lives():
    program = start(
        FORKED
        + """
    child = os.fork()
    if not child:
        time.sleep(1000)
    print(child, actorio.init(ignore_reinit_error=True).address_info["node_pid"], flush=True)
    time.sleep(1000)
    """
    )
    child, node = map(int, program.stdout.readline().split())
    try:
        family = [process.pid for process in psutil.Process(node).children(recursive=True)]
        program.kill()
        program.wait()
        assert wait_until(lambda: all(map(is_gone, [node, *family])), SHUTDOWN_SECONDS)
        assert not is_gone(child)
    finally:
        os.kill(child, signal.SIGKILL)
        finish(program)
