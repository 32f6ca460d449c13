"""Ctrl-C: raised at once where the driver blocks, unseen by actors, and harmless to a session that goes on.

That it is raised at once is a promise about time, so here, unlike elsewhere, time is asserted.
"""

import os
import signal
import time

import pytest
from tests.programs import SHUTDOWN_SECONDS, finish, output_of, start

# "At once", in seconds, on a busy machine.
AT_ONCE = 1.0

# Prints "blocked" from the actor: by then the driver has asked for the result, or does so next.
BLOCKED = """
    class Endless:
        def work(self):
            print("blocked", flush=True)
            time.sleep(1000)

    ref = actorio.remote(Endless).remote().work.remote()
"""


def interrupt_when_blocked(text, before=""):
    """Run a program in a terminal's foreground, so to speak; press Ctrl-C when it is blocked."""
    process = start(before + BLOCKED + text, start_new_session=True)
    assert "blocked" in process.stdout.readline()
    pressed = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    return pressed, *finish(process)


@pytest.mark.parametrize(
    "wait",
    [
        "actorio.get(ref)",
        "actorio.get([ref])",
        "actorio.get(ref, timeout=1000)",
        "actorio.wait([ref])",
        "ref.future().result()",
        "import asyncio; asyncio.run(asyncio.wait_for(ref, 1000))",
    ],
)
def test_ctrl_c_ends_a_blocked_driver_with_one_traceback(wait, leaks):
    pressed, code, _, errors = interrupt_when_blocked(f"""
    {wait}
    """)
    assert time.monotonic() - pressed < SHUTDOWN_SECONDS
    # As Python itself does: the shell shows 130.
    assert code == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    is_chained = "asyncio" in wait
    assert is_chained or errors.count("Traceback (most recent call last)") == 1
    assert leaks() == []


def test_ctrl_c_is_raised_in_a_blocked_get_at_once_and_the_session_goes_on(leaks):
    pressed, code, output, errors = interrupt_when_blocked("""
    try:
        actorio.get(ref)
    except KeyboardInterrupt:
        print(time.monotonic())
    class Echo:
        def echo(self, value):
            return value
    print(actorio.get(actorio.remote(Echo).remote().echo.remote(5)))
    """)
    assert (code, errors) == (0, "")
    raised, echoed = output.split()
    assert float(raised) - pressed < AT_ONCE
    assert echoed == "5"
    assert leaks() == []


def test_lanes_stay_whole_when_ctrl_c_is_pressed_fifty_times_under_load(leaks):
    lines = output_of("""
        import asyncio, random

        class Plain:
            def echo(self, number, text):
                return number, text

        class Async:
            async def echo(self, number, text):
                return number, text

        actors = [actorio.remote(Plain).remote(), actorio.remote(Async).remote()]
        wrong, pressed, is_over = [], 0, False

        def value(number):
            # Some fit into a socket, some do not.
            return number, "x" * (number * 7919 % 300_001)

        def call(numbers):
            return [actors[number % 2].echo.remote(*value(number)) for number in numbers]

        def check(numbers, values):
            wrong.extend(number for number, got in zip(numbers, values, strict=True) if got != value(number))

        def load():
            while not is_over:
                check(range(20), actorio.get(call(range(20))))

        async def load_loop():
            while not is_over:
                check(range(20), await asyncio.gather(*call(range(20))))

        def press():
            os.kill(os.getpid(), signal.SIGINT)

        threads = [threading.Thread(target=load), threading.Thread(target=lambda: asyncio.run(load_loop()))]
        for thread in threads:
            thread.start()
        check(range(2), actorio.get(call(range(2))))
        while pressed < 50:
            refs = []
            try:
                threading.Timer(random.uniform(0, 0.02), press).start()
                while True:
                    refs += call([len(refs)])
                    if not len(refs) % 7:
                        actorio.get(refs[-7:])
            except KeyboardInterrupt:
                pressed += 1
            check(range(len(refs)), actorio.get(refs, timeout=20))
        is_over = True
        for thread in threads:
            thread.join()
        print(pressed, wrong)
    """)
    assert lines == ["50 []"]
    assert leaks() == []


def test_ctrl_c_does_not_reach_actors(leaks):
    before = """
    class Echo:
        def pid(self):
            return os.getpid()

    other = actorio.remote(Echo).remote()
    pid = actorio.get(other.pid.remote())
    """
    _, code, output, errors = interrupt_when_blocked(
        """
    try:
        actorio.get(ref)
    except KeyboardInterrupt:
        print(actorio.get(other.pid.remote()) == pid, ref.done())
    """,
        before,
    )
    assert (code, output, errors) == (0, "True False\n", "")
    assert leaks() == []


@pytest.mark.parametrize("options", ["name='bob'", ""])
def test_an_actor_whose_creation_is_interrupted_is_not_left_behind(options):
    output = output_of(f"""
    from actorio._model import runtime

    class Echo:
        def echo(self, value):
            return value
    class Interrupted(BaseException):
        pass
    def interrupt(*_):
        raise Interrupted

    node = actorio.init().address_info["node_pid"]
    made = []
    signal.signal(signal.SIGALRM, interrupt)
    os.kill(node, signal.SIGSTOP)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        while True:
            # Without a name one does not wait for the node, up to a point.
            made.append(actorio.remote(Echo).options({options}).remote())
    except Interrupted:
        os.kill(node, signal.SIGCONT)
    actor = actorio.remote(Echo).options({options}).remote()
    print(actorio.get(actor.echo.remote(5)))
    while len(runtime.current().list_actors().actors) > 1 + len(made):
        time.sleep(0.01)
    """)
    assert output == ["5"]


def test_an_init_that_cannot_start_a_process_says_so_and_leaves_nothing(leaks):
    lines = output_of("""
    python, sys.executable = sys.executable, "/nonexistent/python"
    for _ in range(2):
        try:
            actorio.init()
        except OSError as error:
            print(type(error).__name__)
    sys.executable = python
    with actorio.init():
        print("begun")
    """)
    assert lines == ["FileNotFoundError"] * 2 + ["begun"]
    assert leaks() == []


@pytest.mark.parametrize(
    "module", ["actorio.engines.output", "actorio._caller.node", "actorio._caller.creation", "actorio._caller.runtime"]
)
def test_an_init_that_is_interrupted_leaves_nothing(module, leaks):
    lines = output_of(f"""
    class CtrlC:
        def find_spec(self, name, *_):
            if name == {module!r}:
                sys.meta_path.remove(self)
                signal.raise_signal(signal.SIGINT)

    sys.meta_path.insert(0, CtrlC())
    try:
        actorio.init()
    except KeyboardInterrupt:
        print(actorio.is_initialized(), [thread.name for thread in threading.enumerate()])
    children = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True)
    print([line for line in children.stdout.splitlines() if "actorio" in line])
    with actorio.init():
        print("begun")
    """)
    assert lines == ["False ['MainThread']", "[]", "begun"]
    assert leaks() == []


def test_a_shutdown_that_is_interrupted_is_finished(leaks):
    lines = output_of("""
    class Slow:
        def work(self):
            time.sleep(1000)
        def __ray_shutdown__(self):
            os.kill(os.getpid(), signal.SIGSTOP)

    class Interrupted(BaseException):
        pass
    def interrupt(*_):
        raise Interrupted

    signal.signal(signal.SIGALRM, interrupt)
    for _ in range(3):
        actorio.init()
        actor = actorio.remote(Slow).remote()
        ref = actor.work.remote()
        actorio.wait([ref], timeout=0.2)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            actorio.shutdown()
        except Interrupted:
            print([thread.name for thread in threading.enumerate()], len(os.listdir("/proc/self/fd")))
        try:
            actorio.get(ref)
        except actorio.exceptions.ActorDiedError:
            print("told")
    """)
    first, told, *_ = lines
    assert first.startswith("['MainThread']")
    assert told == "told"
    assert lines == [first, told] * 3
    assert leaks() == []
