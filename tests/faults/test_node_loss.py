"""The node is killed: no call notices, another node takes its place, and what was owed to actors is still done.

Whoever is connected starts another node at once. Where a test is about the time between, it holds the lock that a
starter takes, so that there is none until the lock is released.
"""

import fcntl
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.programs import SHUTDOWN_SECONDS, is_gone, output_of, wait_until

import actorio
from actorio._model import runtime
from actorio.exceptions import ActorDiedError, ActorUnavailableError, RaySystemError

PATIENCE = 20
NAMESPACE = "loss"


class Plain:
    def pid(self):
        return os.getpid()

    def echo(self, value):
        return value

    def make(self):
        self.made = actorio.remote(Plain).remote()
        return actorio.get(self.made.echo.remote("made"), timeout=PATIENCE)

    def wait_for(self, path):
        Path(path).read_bytes()

    def die(self):
        os._exit(9)


class Async(Plain):
    async def echo(self, value):
        return value


CLASSES = [actorio.remote(Plain), actorio.remote(Plain).options(max_concurrency=4), actorio.remote(Async)]
PLAIN = CLASSES[0]


def inventory():
    return runtime.current().list_actors()


def get(ref):
    return actorio.get(ref, timeout=PATIENCE)


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: is_gone(pid))


def replace_node():
    """Kill the node; return when there is another one."""
    killed = inventory().node_pid
    kill(killed)
    assert inventory().node_pid != killed


@contextmanager
def no_node(context):
    """Kill the node, and keep everybody from starting another one while the block runs."""
    with Path(context.address_info["session_dir"], "revival").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kill(inventory().node_pid)
        yield


# -- under load ----------------------------------------------------------------------------------------------------


def test_no_call_fails_while_nodes_are_killed(fresh_session):
    actors = [actor_class.remote() for actor_class in CLASSES]
    is_over, wrong, counts = threading.Event(), [], []

    def call():
        count = 0
        while not is_over.is_set():
            values = [(actor, count + number) for number in range(20) for actor in actors]
            if actorio.get([a.echo.remote(v) for a, v in values], timeout=PATIENCE) != [v for _, v in values]:
                wrong.append(count)
            count += 20
        counts.append(count)

    def call_and_note():
        try:
            call()
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=call_and_note) for _ in range(3)]
    for thread in threads:
        thread.start()
    pids = get([actor.pid.remote() for actor in actors])
    for _ in range(5):
        replace_node()
    is_over.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert wrong == []
    assert len(counts) == len(threads)
    assert get([actor.pid.remote() for actor in actors]) == pids


# -- what the next node knows --------------------------------------------------------------------------------------


def test_the_next_node_shows_every_actor(fresh_session):
    options = [
        {},
        {"name": "named", "namespace": NAMESPACE},
        {"name": "lasting", "namespace": NAMESPACE, "lifetime": "detached"},
        {"max_restarts": 3},
    ]
    actors = [PLAIN.options(**each).remote() for each in options]
    with pytest.raises(ActorUnavailableError):
        get(actors[3].die.remote())
    get([actor.pid.remote() for actor in actors])
    before = inventory()
    replace_node()
    after = inventory()
    assert sorted(after.actors, key=repr) == sorted(before.actors, key=repr)
    assert (after.zygote_pid, after.drivers) == (before.zygote_pid, [os.getpid()])
    actorio.kill(actors[2])


def test_how_an_actor_died_is_known_after_the_node_was_killed(fresh_session):
    told, unheard = PLAIN.remote(), PLAIN.remote()
    os.kill(get(unheard.pid.remote()), signal.SIGKILL)
    told.die.remote()
    with pytest.raises(ActorDiedError, match="its process exited with code 9"):
        get(told.echo.remote(1))
    assert wait_until(lambda: not inventory().actors)
    replace_node()
    with pytest.raises(ActorDiedError, match="its process exited with code 9"):
        get(told.echo.remote(1))
    with pytest.raises(ActorDiedError, match=r"nobody saw how .before the node of its session was replaced"):
        get(unheard.echo.remote(1))


def test_names_and_detached_lifetimes_survive_the_node(fresh_session):
    named = PLAIN.options(name="named", namespace=NAMESPACE).remote()
    lasting = PLAIN.options(name="lasting", namespace=NAMESPACE, lifetime="detached").remote()
    pids = get([named.pid.remote(), lasting.pid.remote()])
    replace_node()
    del lasting
    found = [actorio.get_actor(name, NAMESPACE) for name in ("named", "lasting")]
    assert get([actor.pid.remote() for actor in found]) == pids
    with pytest.raises(ValueError, match="is taken"):
        PLAIN.options(name="named", namespace=NAMESPACE).remote()
    assert PLAIN.options(name="named", namespace=NAMESPACE, get_if_exists=True).remote() == named
    actorio.kill(found[1])
    with pytest.raises(ActorDiedError, match="killed by"):
        get(found[1].echo.remote(1))


def test_another_program_joins_the_next_node_and_finds_what_there_was(fresh_session):
    lasting = PLAIN.options(name="lasting", namespace=NAMESPACE, lifetime="detached").remote()
    pid = get(lasting.pid.remote())
    kill(fresh_session.address_info["node_pid"])
    program = """
        actorio.init(address=sys.argv[1], namespace="loss")
        print(actorio.get(actorio.get_actor("lasting").pid.remote()))
    """
    assert output_of("import sys\n" + program.replace("\n        ", "\n"), fresh_session.address_info["address"]) == [
        str(pid)
    ]
    actorio.kill(lasting)


def test_a_session_without_an_actor_survives_its_node(fresh_session):
    kill(fresh_session.address_info["node_pid"])
    assert get(PLAIN.remote().echo.remote(1)) == 1


def test_an_actor_makes_actors_after_the_node_was_killed(fresh_session):
    maker = PLAIN.remote()
    get(maker.pid.remote())
    replace_node()
    assert get(maker.make.remote()) == "made"
    assert len(inventory().actors) == 2


# -- what happens while there is none ------------------------------------------------------------------------------


def test_an_actor_that_dies_while_there_is_no_node_is_explained(fresh_session, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    actor = PLAIN.remote()
    pid = get(actor.pid.remote())
    running = actor.wait_for.remote(str(gate))
    with no_node(fresh_session):
        kill(pid)
    for ref in (running, actor.echo.remote(1), actor.echo.remote(2)):
        with pytest.raises(ActorDiedError, match="ended by SIGKILL") as caught:
            get(ref)
        certificate = caught.value.certificate
        assert (certificate.cause, certificate.code, certificate.pid) == ("signal", signal.SIGKILL, pid)


def test_making_a_call_waits_for_no_node(fresh_session):
    actor, refs, is_made = PLAIN.remote(), [], threading.Event()
    pid = get(actor.pid.remote())

    def call():
        refs.append(actor.echo.remote(1))
        is_made.set()

    thread = threading.Thread(target=call)
    with no_node(fresh_session):
        kill(pid)
        thread.start()
        has_waited = not is_made.wait(PATIENCE / 4)
    thread.join(PATIENCE)
    assert not has_waited
    with pytest.raises(ActorDiedError, match="ended by SIGKILL"):
        get(refs[0])


def test_an_actor_that_dies_while_there_is_no_node_is_restarted(fresh_session):
    actor = PLAIN.options(max_restarts=2).remote()
    with pytest.raises(ActorUnavailableError):
        get(actor.die.remote())
    pid = get(actor.pid.remote())
    with no_node(fresh_session):
        ref = actor.die.remote()
        assert wait_until(lambda: is_gone(pid))
    with pytest.raises(ActorUnavailableError) as caught:
        get(ref)
    certificate = caught.value.certificate
    assert (certificate.restarts, certificate.max_restarts, certificate.code) == (2, 2, 9)
    assert get(actor.echo.remote(1)) == 1
    # What had been used up before the node was killed is not forgotten.
    with pytest.raises(ActorDiedError):
        get(actor.die.remote())


def test_calls_that_are_made_again_are_made_again_after_the_node_has_come_back(fresh_session):
    actor = PLAIN.options(max_restarts=1, max_task_retries=1).remote()
    pid = get(actor.pid.remote())
    with no_node(fresh_session):
        kill(pid)
        ref = actor.pid.remote()
    assert get(ref) not in {0, pid}


def test_the_last_handle_dropped_while_there_is_no_node_still_ends_the_actor(fresh_session):
    actor = PLAIN.remote()
    pid = get(actor.pid.remote())
    with no_node(fresh_session):
        del actor
    assert wait_until(lambda: is_gone(pid))


def test_a_handle_that_is_kept_keeps_its_actor_over_the_loss(fresh_session):
    keeper, kept = PLAIN.remote(), PLAIN.remote()
    get(keeper.__ray_call__.remote(lambda self, other: setattr(self, "kept", other), kept))
    pid = get(kept.pid.remote())
    with no_node(fresh_session):
        del kept
    replace_node()
    assert get(keeper.__ray_call__.remote(lambda self: actorio.get(self.kept.pid.remote()))) == pid
    actorio.kill(keeper)
    assert wait_until(lambda: is_gone(pid))


def test_what_a_driver_wants_while_there_is_no_node_is_done_by_the_next_one(fresh_session):
    victim = PLAIN.remote()
    pid = get(victim.pid.remote())
    with ThreadPoolExecutor() as pool:
        with no_node(fresh_session):
            killed = pool.submit(actorio.kill, victim)
            made = pool.submit(PLAIN.remote)
            named = pool.submit(PLAIN.options(name="n", namespace=NAMESPACE).remote)
        killed.result(PATIENCE)
        assert wait_until(lambda: is_gone(pid))
        assert get(made.result(PATIENCE).echo.remote(1)) == 1
        assert named.result(PATIENCE) == actorio.get_actor("n", NAMESPACE)


# -- the zygote as well --------------------------------------------------------------------------------------------


def test_what_a_node_had_not_read_when_it_was_killed_is_done_by_the_next_one(fresh_session):
    killed, ended = PLAIN.remote(), PLAIN.remote()
    pids = get([killed.pid.remote(), ended.pid.remote()])
    node = inventory().node_pid
    os.kill(node, signal.SIGSTOP)
    made = [actor_class.remote() for actor_class in CLASSES]
    echoes = [actor.echo.remote("made") for actor in made]
    # Nobody ever called this one, and nobody can.
    unwanted = PLAIN.remote()
    del unwanted
    actorio.kill(killed)
    ended.__ray_terminate__.remote()
    with ThreadPoolExecutor(1) as pool:
        named = pool.submit(PLAIN.options(name="late", namespace=NAMESPACE).remote)
        kill(node)
        assert get(echoes) == ["made"] * len(CLASSES)
        assert get(named.result(PATIENCE).echo.remote("late")) == "late"
    assert get(actorio.get_actor("late", NAMESPACE).echo.remote("found")) == "found"
    assert wait_until(lambda: all(is_gone(pid) for pid in pids))
    assert wait_until(lambda: len(inventory().actors) == len(CLASSES) + 1)


def test_node_and_zygote_together_end_the_session_and_every_reference(leaks, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with actorio.init(address="local"):
        actor, other = PLAIN.options(max_restarts=-1).remote(), PLAIN.options(max_task_retries=-1).remote()
        pids = get([actor.pid.remote(), other.pid.remote()])
        refs = [actor.wait_for.remote(str(gate)), other.wait_for.remote(str(gate))]
        there_is = inventory()
        for pid in (there_is.node_pid, there_is.zygote_pid):
            os.kill(pid, signal.SIGKILL)
        for ref in (*refs, actor.echo.remote(1), other.echo.remote(1)):
            with pytest.raises(ActorDiedError, match=r"node process of its session was lost|session has ended"):
                get(ref)
        assert all(wait_until(lambda pid=pid: is_gone(pid)) for pid in pids)
        with pytest.raises(RaySystemError, match=r"actorio.init\(\)"):
            PLAIN.remote()
    with actorio.init(address="local"):
        assert get(PLAIN.remote().echo.remote(1)) == 1
    assert leaks() == []


@pytest.mark.parametrize("pause", [0, 0.05, 0.2, 0.4])
def test_shutdown_ends_everything_though_the_node_was_killed_just_before(pause, leaks):
    lines = output_of(f"""
    class Echo:
        def pid(self):
            return os.getpid()

    node = actorio.init().address_info["node_pid"]
    actors = [actorio.remote(Echo).remote() for _ in range(3)]
    print(*actorio.get([actor.pid.remote() for actor in actors]))
    os.kill(node, signal.SIGKILL)
    time.sleep({pause})
    began = time.monotonic()
    actorio.shutdown()
    print(time.monotonic() - began)
    """)
    assert all(map(is_gone, map(int, lines[0].split())))
    assert float(lines[1]) < SHUTDOWN_SECONDS
    assert leaks() == []


def test_shutdown_leaves_other_drivers_alone_though_the_node_was_killed_just_before(fresh_session):
    actor = PLAIN.remote()
    pid = get(actor.pid.remote())
    output_of(
        """
    actorio.init(sys.argv[1])
    os.kill(int(sys.argv[2]), signal.SIGKILL)
    actorio.shutdown()
    """,
        fresh_session.address_info["address"],
        inventory().node_pid,
    )
    assert get(actor.pid.remote()) == pid
    assert get(PLAIN.remote().echo.remote(1)) == 1
