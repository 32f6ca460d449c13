"""What a session asks of the machine: preloaded modules, descriptors, directories, no other users, forks or spawns."""

import asyncio
import os
import re
import resource
import socket
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.programs import output_of, run

import actorio
from actorio._transport import sockets
from actorio.engines.directory import Sessions
from actorio.exceptions import ActorDiedError, ActorUnavailableError, RaySystemError


class Echo:
    def echo(self, value):
        return value


def echoing():
    """Return an actor of a class that actors need not import this module for."""

    class Local:
        echo = Echo.echo

        def imported(self, name):
            return name in sys.modules

    return actorio.remote(Local).remote()


# -- preload -------------------------------------------------------------------------------------------------------


@pytest.fixture
def module(monkeypatch, tmp_path):
    """Write a module that can be imported; return its name."""

    def write(text):
        (tmp_path / "preloaded_module.py").write_text(text)
        return "preloaded_module"

    monkeypatch.syspath_prepend(tmp_path)
    return write


def test_preloaded_modules_are_imported_once_for_all_actors(module):
    name = module("import os\nPID = os.getpid()\n")

    class Looker:
        def look(self):
            return sys.modules[name].PID, os.getpid()

    with actorio.init(preload=[name, "json.tool"]):
        looks = actorio.get([actorio.remote(Looker).remote().look.remote() for _ in range(3)])
    assert len({imported for imported, _ in looks}) == 1
    assert len({pid for _, pid in looks}) == 3
    assert name not in sys.modules


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "ModuleNotFoundError: No module named 'preloaded_module'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError"),
        ("import sys; sys.exit('enough')", "SystemExit: enough"),
    ],
)
def test_a_module_that_cannot_be_preloaded_is_named_by_init(text, words, module, leaks):
    if text is not None:
        module(text)
    with pytest.raises(RaySystemError, match=re.escape(words)) as caught:
        actorio.init(preload=["preloaded_module"])
    assert "preload" in str(caught.value)
    assert "preloaded_module" in str(caught.value)
    assert not actorio.is_initialized()
    assert leaks() == []
    with actorio.init():
        pass


def test_a_module_that_ends_its_process_when_preloaded_fails_init_at_once(module, leaks):
    module("import os; os._exit(1)")
    began = time.monotonic()
    with pytest.raises(RaySystemError, match="start"):
        actorio.init(preload=["preloaded_module"])
    # Not by the limit that a slow machine is given.
    assert time.monotonic() - began < 10
    assert leaks() == []


def test_a_preloaded_module_that_prints_does_no_harm(module, capfd):
    name = module("import os\nprint('printed')\nos.write(1, b'written\\n')\n")
    with actorio.init(preload=[name]):
        assert actorio.get(echoing().imported.remote(name))


# -- descriptors ---------------------------------------------------------------------------------------------------


def lower(soft, hard):
    """Return what a program runs before it begins, to have fewer descriptors."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_descriptor_limit_is_raised_to_the_hard_limit_everywhere():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lines = output_of(
        """
        import resource
        class Limits:
            def tell(self):
                return resource.getrlimit(resource.RLIMIT_NOFILE)
        print(actorio.get(actorio.remote(Limits).remote().tell.remote()), resource.getrlimit(resource.RLIMIT_NOFILE))
        """,
        preexec_fn=lower(min(64, hard), hard),
    )
    assert lines == [f"({hard}, {hard}) ({hard}, {hard})"]


OUT_OF_DESCRIPTORS = """
    import errno, gc

    class Echo:
        def echo(self, value):
            return value

    def call(actor):
        try:
            return actorio.get(actor.echo.remote(1), timeout=20)
        except (OSError, actorio.exceptions.RayError) as error:
            return error

    def create():
        try:
            return actorio.remote(Echo).remote()
        except OSError as error:
            return error
"""


def test_actors_beyond_the_descriptors_of_the_session_end_in_an_error_that_says_so(leaks):
    lines = output_of(
        OUT_OF_DESCRIPTORS
        + """
    made = [create() for _ in range(80)]
    answers = [made_one if isinstance(made_one, OSError) else call(made_one) for made_one in made]
    print(sum(answer == 1 for answer in answers))
    for error in {str(answer) for answer in answers if answer != 1}:
        print("no file descriptors left" in error, "ulimit -Hn" in error, error.replace("\\n", " | "))
    """,
        preexec_fn=lower(64, 64),
    )
    answered, *errors = lines
    assert int(answered) >= 10
    assert errors
    assert not [error for error in errors if not error.startswith("True True")]
    assert leaks() == []


def test_a_session_that_ran_out_of_descriptors_goes_on_when_actors_have_ended(leaks):
    lines = output_of(
        OUT_OF_DESCRIPTORS
        + """
    made = [made_one for _ in range(80) if not isinstance(made_one := create(), OSError)]
    answered = [actor for actor in made if call(actor) == 1]
    for actor in made:
        actorio.kill(actor)
    for actor in made:
        assert isinstance(call(actor), actorio.exceptions.ActorDiedError)
    print([call(create()) for _ in range(5)])
    """,
        preexec_fn=lower(64, 64),
    )
    assert lines == ["[1, 1, 1, 1, 1]"]
    assert leaks() == []


# -- directories ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_sessions_directory_is_its_users_alone(umask, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.getbasetemp()))
    previous = os.umask(umask)
    try:
        with actorio.init() as context:
            directory = Path(context.address_info["session_dir"])
            modes = [stat.S_IMODE(path.stat().st_mode) for path in (directory, directory.parent)]
            assert actorio.get(echoing().echo.remote(1)) == 1
    finally:
        os.umask(previous)
    assert modes == [0o700, 0o700]


@pytest.fixture
def base(monkeypatch, tmp_path_factory):
    """Return the directory in which all session directories are made; it is not there yet."""
    folder = tmp_path_factory.mktemp("r")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder / "actorio"


def new_directory():
    with Sessions() as sessions:
        return sessions.create()


def test_sessions_that_begin_and_end_at_the_same_moment_leave_each_other_alone(base):
    def begin_and_end(_):
        directory = new_directory()
        with sockets.listen(f"{directory.path}/node"):
            is_there = Path(directory.path, "lock").exists()
        directory.remove()
        return is_there

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(begin_and_end, range(400)))


def test_a_directory_that_others_may_read_is_closed_to_them(base):
    base.mkdir(mode=0o755)
    directory = new_directory()
    assert stat.S_IMODE(base.stat().st_mode) == 0o700
    directory.remove()
    assert not base.exists()


def test_a_directory_of_somebody_else_is_refused(base, monkeypatch):
    base.mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: base.stat().st_uid + 1)
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        new_directory()


def test_a_link_in_place_of_the_directory_is_refused(base, tmp_path):
    base.symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        new_directory()


def test_a_file_in_the_directory_of_all_sessions_does_no_harm(base):
    base.mkdir(mode=0o700)
    (base / "note").touch()
    new_directory().remove()
    assert (base / "note").exists()


@pytest.mark.parametrize("variable", ["TMPDIR", "XDG_RUNTIME_DIR"])
def test_a_directory_whose_path_is_too_long_for_a_socket_is_passed_over(variable, tmp_path):
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    environment = {**os.environ, variable: str(folder)}
    if variable == "TMPDIR":
        environment.pop("XDG_RUNTIME_DIR")
    (line,) = output_of(
        """
        class Echo:
            def echo(self, value):
                return value
        with actorio.init() as context:
            assert actorio.get(actorio.remote(Echo).remote().echo.remote(1)) == 1
            print(context.address_info["session_dir"])
        """,
        env=environment,
    )
    assert not line.startswith(str(tmp_path))
    assert len(line) < 100


def test_an_actors_socket_is_gone_when_an_actor_has_ended(fresh_session):
    directory = Path(fresh_session.address_info["session_dir"])
    actor = echoing()
    actorio.get(actor.echo.remote(1))
    names = {path.name for path in directory.iterdir()}
    actorio.kill(actor)
    with pytest.raises(ActorDiedError):
        actorio.get(actor.echo.remote(1))
    assert {path.name for path in directory.iterdir()} < names


# -- other users ---------------------------------------------------------------------------------------------------


@pytest.fixture
def listener(tmp_path_factory):
    """Return a listening socket and its path."""
    path = str(tmp_path_factory.mktemp("s") / "s")
    with sockets.listen(path) as sock:
        yield sock, path


def test_a_peer_of_the_same_user_is_accepted(listener):
    sock, path = listener
    with sockets.connect(path) as caller:
        accepted = sockets.accept(sock)
        assert accepted is not None
        with accepted:
            caller.send(b"x")
            assert accepted.recv(1) == b"x"
            assert sockets.peer_pid(accepted) in {0, os.getpid()}


def test_a_caller_that_is_another_user_is_cut_off_unread(listener, monkeypatch):
    sock, path = listener
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)
        caller.send(b"bytes that nobody may read")
        monkeypatch.setattr(sockets, "_peer_uid", lambda _: os.geteuid() + 1)
        assert sockets.accept(sock) is None
        with pytest.raises(ConnectionResetError):
            caller.recv(1)


def test_an_actor_that_is_another_user_is_not_spoken_to(listener, monkeypatch):
    _, path = listener
    monkeypatch.setattr(sockets, "_peer_uid", lambda _: os.geteuid() + 1)
    with pytest.raises(sockets.ForeignPeerError, match=f"user {os.geteuid() + 1}, not to user {os.geteuid()}"):
        sockets.connect(path)


def test_a_call_to_an_actor_that_cut_its_caller_off_ends_in_an_error(fresh_session):
    class Distrustful:
        def nothing(self):
            pass

        def begin(self):
            sockets._peer_uid = lambda _: -1

    actor = actorio.remote(Distrustful).remote()
    actorio.get(actor.begin.remote())

    async def call():
        # From a loop, and so over a connection of its own.
        return await actor.nothing.remote()

    with pytest.raises(ActorUnavailableError, match="connection to Distrustful"):
        asyncio.run(call())


# -- spawning ------------------------------------------------------------------------------------------------------


def test_actors_that_are_spawned_do_what_forked_ones_do(leaks):
    lines = output_of(
        """
        import asyncio

        class Plain:
            def __init__(self, start=0):
                if start < 0:
                    raise LookupError("below zero")
                self.value = start

            def add(self, number):
                self.value += number
                return self.value

            def print(self):
                print("printed")

            def surroundings(self):
                return os.getcwd() == "/" and os.environ["ADDED"] == "x" and sys.path[0] == "/added"

            def end(self):
                os._exit(3)

        class Async(Plain):
            async def wait(self):
                await asyncio.sleep(0)
                return "waited"

        def outcome(ref):
            try:
                return actorio.get(ref)
            except actorio.exceptions.RayError as error:
                return str(error).replace("\\n", " ")

        async def call(actors):
            return await asyncio.gather(*[actor.add.remote(10) for actor in actors])

        actorio.init()
        os.chdir("/")
        os.environ["ADDED"] = "x"
        sys.path.insert(0, "/added")
        plain, asynchronous, failing = [actorio.remote(c) for c in (Plain, Async, Plain)]
        threaded = plain.options(max_concurrency=2).remote(3)
        plain, asynchronous, failing = plain.remote(1), asynchronous.remote(2), failing.remote(-1)
        actors = [plain, asynchronous, threaded]
        print(actorio.get([actor.add.remote(1) for actor in actors]), asyncio.run(call(actors)))
        print(actorio.get(asynchronous.wait.remote()), actorio.get([actor.surroundings.remote() for actor in actors]))
        actorio.get(plain.print.remote())
        print("LookupError: below zero" in outcome(failing.add.remote(1)))
        print("exited with code 3" in outcome(threaded.end.remote()))
        actorio.kill(asynchronous)
        print("killed by" in outcome(asynchronous.add.remote(1)))
        actorio.shutdown()
        """,
        env={**os.environ, "ACTORIO_START_METHOD": "spawn"},
    )
    printed = [line for line in lines if "printed" in line]
    assert re.fullmatch(r"\(Plain pid=\d+\) printed", *printed)
    assert [line for line in lines if line not in printed] == [
        "[2, 3, 4] [12, 13, 14]",
        "waited [True, True, True]",
        "True",
        "True",
        "True",
    ]
    assert leaks() == []


def test_spawned_actors_end_with_a_killed_driver(leaks):
    code, _, _ = run(
        """
        class Endless:
            def work(self):
                time.sleep(1000)
            def pid(self):
                return os.getpid()
        actor = actorio.remote(Endless).remote()
        actorio.get(actor.pid.remote())
        actor.work.remote()
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        env={**os.environ, "ACTORIO_START_METHOD": "spawn"},
    )
    assert code < 0
    assert leaks() == []
