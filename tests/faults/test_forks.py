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


# -- children of actors --------------------------------------------------------------------------------------------

FORKING = """
    import multiprocessing
    fork = multiprocessing.get_context("fork")

    def terminate_child():
        child = fork.Process(target=time.sleep, args=(1000,))
        child.start()
        child.terminate()
        child.join(10)
        code = child.exitcode
        child.kill()
        return code

    def fork_and(body):
        pid = os.fork()
        if not pid:
            body()
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    class Plain:
        def __init__(self, first=None):
            self.first = first and first()
        def first_value(self):
            return self.first
        def run(self, body):
            return body()
        def __ray_shutdown__(self):
            print("clean-up in", os.getpid(), flush=True)

    class Async(Plain):
        async def pid(self):
            return os.getpid()

    kinds = [actorio.remote(Plain), actorio.remote(Plain).options(max_concurrency=3), actorio.remote(Async)]
"""


def test_a_child_of_an_actor_ends_by_sigterm_and_its_actor_does_not(leaks):
    assert (
        output_of(
            FORKING
            + """
    actorio.init(log_to_driver=False)
    for kind in kinds:
        actor = kind.remote(terminate_child)
        print(actorio.get([actor.first_value.remote(), actor.run.remote(terminate_child)]))
        actorio.get(actor.run.remote(os.getpid))
    """
        )
        == [str([-signal.SIGTERM] * 2)] * 3
    )
    assert leaks() == []


def test_a_child_of_an_actor_neither_cleans_up_nor_answers_in_its_name(leaks):
    lines = output_of(
        FORKING
        + """
    def end_child():
        pid = os.fork()
        if not pid:
            time.sleep(1000)
        os.kill(pid, signal.SIGTERM)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def leave():
        pid = os.fork()
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if pid else "the child"

    def fail():
        pid = os.fork()
        if not pid:
            raise KeyboardInterrupt
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    actorio.init(log_to_driver=False)
    for kind in kinds:
        actor = kind.remote()
        print(actorio.get([actor.run.remote(each) for each in (end_child, leave, fail, end_child)]))
    """
    )
    assert lines == [str([-signal.SIGTERM, 1, 1, -signal.SIGTERM])] * 3
    assert leaks() == []


def test_an_actor_goes_on_though_a_child_has_closed_all_that_it_inherited(leaks):
    lines = output_of(
        FORKING
        + """
    def close_all():
        def end():
            os.closerange(3, 1024)
            os._exit(7)
        # While others wait to be read, and while a thread may look out for them.
        return fork_and(end)

    actorio.init(log_to_driver=False)
    for kind in kinds:
        actor = kind.remote()
        codes = [actorio.get(actor.run.remote(close_all)) for _ in range(5)]
        codes += actorio.get([actor.run.remote(close_all) for _ in range(5)])
        print(set(codes), [actorio.get(actor.run.remote(lambda: 3)) for _ in range(50)] == [3] * 50)
    """
    )
    assert lines == ["{7} True"] * 3
    assert leaks() == []


def test_a_child_of_an_actor_has_none_of_its_connections(leaks):
    lines = output_of(
        FORKING
        + """
    actorio.init(log_to_driver=False)
    other = kinds[0].remote()
    actorio.get(other.first_value.remote())

    def use_in_child(other):
        def use():
            try:
                other.first_value.remote()
            except actorio.exceptions.RaySystemError as error:
                os._exit("by shutdown() or a fork" in str(error))
            os._exit(7)
        return fork_and(use)

    class User(Plain):
        def use(self, other):
            actorio.get(other.first_value.remote())
            return use_in_child(other), actorio.get(other.first_value.remote())

    print(actorio.get(actorio.remote(User).remote().use.remote(other)))
    """
    )
    assert lines == ["(1, None)"]
    assert leaks() == []
