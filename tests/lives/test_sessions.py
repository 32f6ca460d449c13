"""Sessions: who joins which, how long each lives, and what its drivers see of each other.

Programs are drivers of their own; the test's process is one more where it calls `init`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from tests.lives import people
from tests.lives.fates import fate
from tests.lives.people import make, times
from tests.programs import PRELUDE, finish, is_gone, output_of, start, wait_until

import actorio
from actorio.exceptions import RaySystemError
from actorio.util import list_named_actors

# A driver that stays in a session of its own until it is told to leave.
STAYS = """
    print(actorio.init(address="local").address_info["address"], flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def nobody_says_which(monkeypatch):
    """The rules hold as for a user who has set nothing."""
    monkeypatch.delenv("ACTORIO_ADDRESS")


@pytest.fixture(scope="module")
def host(runtime_directory):
    """A session that another program has started, in a runtime directory of its own: that and its address."""
    with tempfile.TemporaryDirectory(prefix="at-") as folder:
        program = start(STAYS, env={**os.environ, "XDG_RUNTIME_DIR": folder})
        yield folder, program.stdout.readline().strip()
        assert finish(program)[0] == 0


@pytest.fixture
def address(host, monkeypatch):
    """The address of a session that runs, and that is there to be joined."""
    folder, address = host
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    return address


@pytest.fixture
def programs():
    """Start programs; those that still run when the test is over are killed."""
    running = []

    def begin(*arguments, **options):
        running.append(start(*arguments, **options))
        return running[-1]

    yield begin
    for program in running:
        program.kill()
        program.communicate()


def which(**options):
    """Join, or start, a session; return its address."""
    with actorio.init(**options) as context:
        return context.address_info["address"]


def refusal(**options):
    """Return what `init` raises, as text."""
    with pytest.raises(Exception) as caught:
        actorio.init(**options)
    assert not actorio.is_initialized()
    return f"{type(caught.value).__name__}: {caught.value}"


def says(program, expected):
    line = program.stdout.readline()
    assert line == f"{expected}\n", line or program.stderr.read()


def tell(program, text=""):
    program.stdin.write(f"{text}\n")
    program.stdin.flush()


def room():
    return Path(os.environ["XDG_RUNTIME_DIR"]) / "actorio"


def sessions():
    """Return the directories that there are."""
    return {str(path) for path in room().iterdir()} if room().is_dir() else set()


# -- which session -------------------------------------------------------------------------------------------------


def test_a_program_joins_the_session_that_runs(address):
    assert which() == address


@pytest.mark.parametrize("way", ["path", "name", "auto"])
def test_a_program_joins_the_session_that_it_names(way, address):
    assert which(address={"path": address, "name": Path(address).name, "auto": "auto"}[way]) == address


def test_the_address_may_be_given_without_its_name_as_in_ray(address):
    with actorio.init(address) as context:
        assert context.address_info["address"] == address
    assert refusal(address=5).startswith("TypeError: init(): address=5 is of type int")


@pytest.mark.parametrize("way", ["path", "name", "auto"])
def test_a_program_joins_the_session_that_its_environment_names(way, address, monkeypatch):
    monkeypatch.setenv("ACTORIO_ADDRESS", {"path": address, "name": Path(address).name, "auto": "auto"}[way])
    assert which() == address


def test_what_a_program_says_precedes_what_its_environment_says(address, monkeypatch):
    monkeypatch.setenv("ACTORIO_ADDRESS", "/nowhere/at/all")
    assert which(address=address) == address
    assert which(address="auto") == address
    assert which(address="local") != address


@pytest.mark.parametrize("way", ["argument", "environment"])
def test_local_is_a_session_of_its_own(way, address, monkeypatch):
    if way == "environment":
        monkeypatch.setenv("ACTORIO_ADDRESS", "local")
    assert which(**({"address": "local"} if way == "argument" else {})) != address


def test_a_program_that_wants_modules_loaded_early_starts_a_session_unless_it_names_one(address):
    assert which(preload=["json"]) != address
    assert which(preload=["json"], address=address) == address
    assert which(preload=["json"], address="auto") == address


def test_the_newest_session_is_joined(address, programs):
    newer = programs(STAYS)
    other = newer.stdout.readline().strip()
    assert other != address
    assert which() == other
    tell(newer)
    assert finish(newer)[0] == 0
    assert which() == address


def test_auto_without_a_session_is_an_error():
    assert refusal(address="auto").startswith("ConnectionError: there is no running session to join")
    assert not sessions()


@pytest.mark.parametrize("wrong", ["nonsense", "/nowhere/at/all", "../actorio", "."])
def test_an_address_of_no_session_is_an_error_that_names_those_that_run(wrong, address):
    said = refusal(address=wrong)
    assert said.startswith("ConnectionError: ")
    assert repr(wrong) in said
    assert which() == address


def test_a_directory_that_is_no_session_is_refused(tmp_path, address):
    assert "is not running any more" in refusal(address=str(tmp_path))
    (tmp_path / "file").touch()
    assert "there is no session" in refusal(address=str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"address": ""}, "ValueError: init(): address='' is not allowed: it must not be empty"),
        ({"address": 5}, "TypeError: init(): address=5 is of type int; it must be str or None"),
        ({"namespace": ""}, "ValueError: init(): namespace='' is not allowed: it must not be empty"),
        ({"namespace": 5}, "TypeError: init(): namespace=5 is of type int"),
        ({"adress": "auto"}, "ValueError: init(): there is no option adress (given as adress='auto'); did you mean"),
    ],
)
def test_options_of_init_out_of_range_are_refused_and_start_nothing(options, said):
    assert refusal(**options).startswith(said)
    assert not sessions()


# -- sessions that cannot be joined --------------------------------------------------------------------------------


def test_a_session_of_another_python_is_refused_by_name_and_passed_over_otherwise(address):
    info = Path(address) / "session"
    ours = info.read_text()
    info.write_text(ours.replace("Python 3", "Python 2"))
    assert "runs under another Python or another version" in refusal(address=address)
    assert refusal(address="auto").startswith("ConnectionError: there is no running session to join")
    assert which() != address
    info.write_text(ours)
    assert which() == address


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a directory away")
def test_a_session_of_another_user_is_refused(address):
    os.chown(address, 12345, -1)
    try:
        assert refusal(address=address).startswith(f"PermissionError: the session {address!r} belongs to user 12345")
    finally:
        os.chown(address, 0, -1)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a directory away")
def test_a_runtime_directory_of_another_user_is_refused(runtime_directory, monkeypatch):
    # Its path is short: where sockets would not fit, another one is looked for.
    theirs = runtime_directory / "other" / "actorio"
    theirs.mkdir(parents=True)
    os.chown(theirs, 12345, -1)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(theirs.parent))
    monkeypatch.setattr(tempfile, "tempdir", str(theirs.parent))
    assert refusal() == f"PermissionError: {theirs} belongs to somebody else: remove it, or set TMPDIR"
    assert list(theirs.iterdir()) == []


def test_a_runtime_directory_that_others_can_read_is_closed_to_them():
    room().mkdir(mode=0o755, exist_ok=True)
    room().chmod(0o755)
    with actorio.init():
        assert room().stat().st_mode & 0o777 == 0o700


def test_what_a_killed_session_has_left_is_named_and_swept_away(programs):
    program = programs("""
        context = actorio.init()
        print(context.address_info["address"], context.address_info["node_pid"], flush=True)
        sys.stdin.readline()
    """)
    address, node = program.stdout.readline().split()
    others = [psutil.Process(int(node)), *psutil.Process(int(node)).children(recursive=True)]
    program.send_signal(signal.SIGSTOP)
    for process in [*others, psutil.Process(program.pid)]:
        process.suspend()
    for process in [*others, psutil.Process(program.pid)]:
        process.kill()
    program.wait()
    assert all(wait_until(lambda process=process: is_gone(process.pid)) for process in others)
    assert Path(address).is_dir()
    assert "is not running any more" in refusal(address=address)
    assert refusal(address="auto").startswith("ConnectionError: there is no running session to join")
    assert which() != address
    assert not Path(address).exists()


# -- how long a session lives --------------------------------------------------------------------------------------

COUNTER = """
    import actorio
    class Counter:
        def __init__(self): self.value = 0
        def add(self, number): self.value += number; return self.value
        def pid(self): return os.getpid()
"""


def test_two_programs_share_a_detached_actors_state_and_a_third_ends_it():
    (pid,) = output_of(f"""{COUNTER}
    actorio.init()
    counter = actorio.remote(Counter).options(name="counter", lifetime="detached").remote()
    actorio.get(counter.add.remote(5))
    print(actorio.get(counter.pid.remote()))
    """)
    assert not is_gone(pid)
    assert output_of("""
    actorio.init()
    counter = actorio.get_actor("counter")
    print(actorio.get(counter.add.remote(2)), actorio.get(counter.pid.remote()))
    """) == [f"7 {pid}"]
    assert not is_gone(pid)
    output_of("""
    actorio.init()
    actorio.kill(actorio.get_actor("counter"))
    """)
    assert wait_until(lambda: is_gone(pid))
    # The session was there for it alone.
    assert wait_until(lambda: not sessions())


def test_a_session_ends_when_its_last_detached_actor_does():
    (address,) = output_of("""
    from tests.lives import people
    print(actorio.init().address_info["address"])
    actor = people.make(name="last", lifetime="detached")
    actorio.get(actor.run.remote(lambda: threading.Timer(0.5, people.leave_with_0).start()))
    """)
    assert Path(address).is_dir()
    assert wait_until(lambda: not Path(address).exists())


def test_a_detached_actor_of_a_namespace_is_found_there():
    output_of("""
    from tests.lives import people
    actorio.init(namespace="bank")
    actorio.get(people.make(name="vault", lifetime="detached").pid.remote())
    """)
    with actorio.init(namespace="bank"):
        assert list_named_actors() == ["vault"]
        actorio.get(actorio.get_actor("vault").pid.remote())
    with actorio.init():
        assert list_named_actors() == []
        with pytest.raises(ValueError, match="there is one in namespace 'bank': pass namespace='bank'"):
            actorio.get_actor("vault")
        actorio.kill(actorio.get_actor("vault", "bank"))


def test_a_program_that_ends_does_not_leave_its_callers_pipes_open():
    program = """
    from tests.lives import people
    print(actorio.init().address_info["node_pid"])
    actor = people.make(name="stays", lifetime="detached")
    actorio.get(actor.run.remote(lambda: print("an actor's line", flush=True)))
    """
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + "\n".join(line[4:] for line in program.splitlines())],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.stderr == ""
    node, line = done.stdout.splitlines()
    assert line.endswith("an actor's line")
    assert not is_gone(node)
    with actorio.init():
        actorio.kill(actorio.get_actor("stays"))


def test_a_program_that_is_killed_leaves_its_detached_actor_and_nothing_else(programs):
    program = programs("""
        from tests.lives import people
        kept, lost = people.make(name="kept", lifetime="detached"), people.make()
        print(*actorio.get([kept.pid.remote(), lost.pid.remote()]), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    kept, lost = program.stdout.readline().split()
    assert wait_until(lambda: is_gone(lost))
    with actorio.init():
        actor = actorio.get_actor("kept")
        assert actorio.get(actor.pid.remote()) == int(kept)
        actorio.kill(actor)


DRIVER = """
    from tests.lives import people
    actorio.init()
    actor = people.make()
    print(*actorio.get([actor.pid.remote()]), flush=True)
    for line in sys.stdin:
        print(actorio.get(actor.run.remote(eval, line)), flush=True)
"""


@pytest.mark.parametrize("end", ["leaves", "is killed"])
@pytest.mark.parametrize("first", ["who started it", "who joined it"])
def test_a_driver_that_goes_does_not_disturb_the_other(first, end, programs):
    drivers = [programs(DRIVER)]
    pids = [drivers[0].stdout.readline().strip()]
    drivers.append(programs(DRIVER))
    pids.append(drivers[1].stdout.readline().strip())
    assert len(sessions()) == 1
    gone, other = (0, 1) if first == "who started it" else (1, 0)
    if end == "leaves":
        assert finish(drivers[gone])[0] == 0
    else:
        drivers[gone].kill()
        drivers[gone].wait()
    assert wait_until(lambda: is_gone(pids[gone]))
    tell(drivers[other], "6 * 7")
    says(drivers[other], "42")
    # It can make actors, too.
    assert not is_gone(pids[other])
    code, _, errors = finish(drivers[other])
    assert (code, errors) == (0, "")
    assert is_gone(pids[other])
    assert wait_until(lambda: not sessions())


def test_each_driver_sees_the_output_of_its_own_actors_only(programs):
    printing = """
        from tests.lives import people
        mark = sys.argv[1]
        actorio.init()
        actor = people.make(name=mark, namespace="printing")
        actorio.get(actor.pid.remote())
        print("ready", flush=True)
        sys.stdin.readline()
        other = actorio.get_actor(sys.argv[2], "printing")
        # Who asks for it makes no difference: the line belongs to whoever has made the actor.
        actorio.get(actor.run.remote(print, "mine is", mark))
        actorio.get(other.run.remote(print, "asked of", sys.argv[2]))
        child = actorio.get(actor.run.remote(people.make))
        actorio.get(child.run.remote(print, "child of", mark))
        print("done", flush=True)
        sys.stdin.readline()
    """
    first, second = programs(printing, "A", "B"), programs(printing, "B", "A")
    for program in first, second:
        says(program, "ready")
    for program in first, second:
        tell(program)
    for program, mark in ((first, "A"), (second, "B")):
        seen = [program.stdout.readline().rstrip() for _ in range(4)]
        assert seen[0], program.stderr.read()
        said = [line.partition(") ")[2] or line for line in seen]
        assert sorted(said) == sorted([f"mine is {mark}", f"asked of {mark}", f"child of {mark}", "done"])
    for program in first, second:
        tell(program)
    for program in first, second:
        assert finish(program)[1:] == ("", "")


def test_what_a_detached_actor_prints_when_its_driver_has_gone_disturbs_nobody():
    output_of("""
    from tests.lives import people
    actorio.get(people.make(name="talks", lifetime="detached").pid.remote())
    """)
    assert (
        output_of("""
    actorio.init()
    actor = actorio.get_actor("talks")
    actorio.get([actor.run.remote(print, "x" * 1000) for _ in range(1000)])
    actorio.kill(actor)
    """)
        == []
    )


def test_an_actors_family_ends_with_its_driver_and_not_the_detached_ones_among_it():
    kept, child = output_of("""
    from tests.lives import people
    actorio.init()
    actor = people.make()
    def family():
        people.KEPT = [people.make(name="kept", lifetime="detached"), people.make()]
        return actorio.get([member.pid.remote() for member in people.KEPT])
    print(*actorio.get(actor.run.remote(family)), sep="\\n")
    """)
    assert is_gone(child)
    assert not is_gone(kept)
    with actorio.init():
        actorio.kill(actorio.get_actor("kept"))


def test_a_detached_actor_restarts_when_its_driver_has_gone():
    output_of("""
    from tests.lives import people
    people.make(name="phoenix", lifetime="detached", max_restarts=1)
    actorio.get(actorio.get_actor("phoenix").pid.remote())
    """)
    with actorio.init():
        actor = actorio.get_actor("phoenix")
        with contextlib.suppress(actorio.exceptions.ActorUnavailableError):
            actorio.get(actor.run.remote(people.sigkill))
        assert actorio.get(actor.pid.remote()) == fate(actor, 0).pid
        actorio.kill(actor)


# -- one session and another ---------------------------------------------------------------------------------------


def test_programs_that_ask_for_one_name_get_one_actor(fresh_session, tmp_path):
    programs = [
        start(
            """
            from pathlib import Path
            from tests.lives import people
            gate, runs = map(Path, sys.argv[1:])
            actorio.init()
            print("ready", flush=True)
            sys.stdin.readline()
            options = {"name": "shared", "namespace": "programs", "lifetime": "detached", "get_if_exists": True}
            print(actorio.get(people.make("plain", lambda: people.count(runs), **options).pid.remote()))
            """,
            tmp_path / "gate",
            tmp_path / "runs",
        )
        for _ in range(4)
    ]
    for program in programs:
        assert program.stdout.readline() == "ready\n"
    for program in programs:
        program.stdin.write("go\n")
        program.stdin.flush()
    ends = [finish(program) for program in programs]
    assert [(code, errors) for code, _, errors in ends] == [(0, "")] * 4
    assert len({output for _, output, _ in ends}) == 1
    assert times(tmp_path / "runs") == 1
    actorio.kill(actorio.get_actor("shared", "programs"))


def test_a_handle_of_another_session_is_refused(tmp_path):
    actorio.init()
    actor = make(name="of another session")
    method = actor.pid
    actorio.get(method.remote())
    actorio.shutdown()
    actorio.init()
    try:
        for use in (
            method.remote,
            lambda: actorio.kill(actor),
            actor.pid.remote,
            actor.__ray_terminate__.remote,
            lambda: actorio.get(make().run.remote(lambda other: other.pid.remote(), actor)),
        ):
            with pytest.raises(RaySystemError, match="belongs to another session"):
                use()
        with pytest.raises(ValueError, match="there is no actor"):
            actorio.get_actor("of another session")
    finally:
        actorio.shutdown()
