"""Resources: as many tasks and actors run as there is room for, the others wait, and what can never be is refused."""

import concurrent.futures
import contextlib
import gc
import os
import signal
import threading
import time

import pytest
from tests.occupants import Keeper, Runs, all_is_free, run_until
from tests.programs import finish, is_gone, output_of, run, start, wait_until

import actorio
from actorio._model import runtime
from actorio.exceptions import ActorDiedError, WorkerCrashedError

SESSION_OPTIONS = {"num_cpus": 2, "num_gpus": 2, "resources": {"disk": 1}}
PATIENCE = 30

pytestmark = pytest.mark.usefixtures("session")


def get(refs):
    return actorio.get(refs, timeout=PATIENCE)


@pytest.fixture
def runs(tmp_path):
    runs = Runs(tmp_path)
    yield runs
    runs.release()


@pytest.fixture(autouse=True)
def everything_is_given_back():
    yield
    assert wait_until(all_is_free), actorio.available_resources()


# -- tasks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({}, 2),
        ({"num_cpus": 1}, 2),
        ({"num_cpus": 2}, 1),
        ({"num_cpus": 0.5}, 4),
        ({"num_cpus": 0, "resources": {"disk": 0.25}}, 4),
        ({"num_gpus": 0.5}, 2),
        ({"num_cpus": 0, "num_gpus": 1}, 2),
        ({"num_cpus": 0}, 7),
    ],
)
def test_as_many_tasks_run_as_there_is_room_for(options, most, runs):
    refs = runs.start(7, **options)
    runs.settle(most)
    runs.release()
    get(refs)
    assert runs.number() == 7


def test_the_task_that_waits_for_its_arguments_takes_no_room(runs):
    first = runs.start(1, "first")
    waiting = [run_until.remote(runs.folder, ref) for ref in [name_of.remote(*first)] * 5]
    others = runs.start(1, "other")
    runs.settle(2)
    runs.release()
    get([*first, *others, *waiting])


@actorio.remote
def name_of(_pid):
    return "later"


def test_the_argument_that_fails_is_the_error_of_the_task_and_nothing_runs(runs):
    @actorio.remote
    def fail():
        raise LookupError("no name")

    with pytest.raises(LookupError, match="no name"):
        get(run_until.remote(runs.folder, fail.remote()))
    assert runs.number() == 0


@actorio.remote
def depth(n):
    return 0 if not n else 1 + actorio.get(depth.remote(n - 1))


@actorio.remote(num_cpus=2)
def greedy_depth(n):
    return 0 if not n else 1 + actorio.get(greedy_depth.remote(n - 1))


@actorio.remote(num_cpus=1)
async def async_depth(n):
    return 0 if not n else 1 + await async_depth.remote(n - 1)


@pytest.mark.parametrize("function", [depth, greedy_depth, async_depth])
def test_tasks_that_wait_for_others_give_their_cpus_back(function):
    assert get([function.remote(20) for _ in range(4)]) == [20] * 4


def test_tasks_run_again_come_to_a_free_place(tmp_path):
    @actorio.remote(max_retries=2)
    def crash(path):
        with path.open("a") as file:
            file.write(".")
        if len(path.read_text()) < 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return path.read_text()

    assert get([crash.remote(tmp_path / str(n)) for n in range(3)]) == ["..."] * 3


def test_what_a_dead_worker_had_is_free(runs):
    refs = [run_until.options(max_retries=0).remote(runs.folder, str(n)) for n in range(2)]
    runs.settle(2)
    for worker in workers():
        os.kill(worker.pid, signal.SIGKILL)
    for ref in refs:
        with pytest.raises(WorkerCrashedError, match="SIGKILL"):
            get(ref)
    assert wait_until(all_is_free)


@pytest.mark.parametrize("is_kept", [True, False])
def test_the_room_of_a_task_is_free_when_it_ends_though_nobody_reads_its_result(is_kept):
    kept = [pid.remote() for _ in range(3)]
    if not is_kept:
        kept.clear()
    assert wait_until(all_is_free)


def test_the_room_of_a_task_that_nobody_waits_for_goes_to_who_needs_it(runs, session):
    refs = runs.start(2)
    runs.settle(2)
    program = """
        actorio.init(address=sys.argv[1])
        @actorio.remote
        def f(): return 1
        ref = f.remote()
        print(actorio.wait([ref], timeout=0.2)[0], flush=True)
        print(actorio.get(ref))
    """
    other = start(program, session.address_info["address"])
    assert other.stdout.readline() == "[]\n"
    runs.release()
    assert finish(other) == (0, "1\n", "")
    get(refs)


def test_many_tasks_whose_argument_fails_end_with_its_error_and_take_no_room(runs):
    refs = runs.start(2)
    runs.settle(2)

    @actorio.remote(num_cpus=0)
    def fail():
        raise LookupError("no name")

    failed = fail.remote()
    for ref in [name_of.remote(failed) for _ in range(2000)]:
        with pytest.raises(LookupError):
            get(ref)
    runs.release()
    get(refs)


def test_nothing_is_kept_of_functions_that_were_run_once():
    for number in range(5):
        assert get(actorio.remote(max_calls=1)(lambda number=number: number).remote()) == number
    assert wait_until(all_is_free)
    gc.collect()
    assert wait_until(lambda: not runtime.current().tasks._lines)


def test_a_stream_has_its_room_until_it_ends_or_is_left(runs):
    @actorio.remote(num_cpus=2)
    def count():
        yield from range(10)
        while True:
            yield 0
            time.sleep(0.01)

    stream = count.stream()
    assert next(stream) == 0
    waiting = runs.start(1)
    assert actorio.available_resources()["CPU"] == 0
    runs.settle(0)
    del stream
    runs.release()
    get(waiting)


def test_a_stream_that_is_left_before_it_has_begun_never_runs(runs, tmp_path):
    @actorio.remote
    def touch(path):
        path.touch()
        yield 1

    refs = runs.start(2)
    runs.settle(2)
    stream = touch.stream(tmp_path / "gate2")
    del stream
    runs.release()
    get(refs)
    assert wait_until(all_is_free)
    assert not (tmp_path / "gate2").exists()


def test_two_programs_share_the_cpus(runs, session):
    refs = runs.start(6)
    runs.settle(2)
    program = """
        actorio.init(address=sys.argv[1])
        @actorio.remote
        def f(): return 1
        print(actorio.get(f.remote()))
    """
    thread = threading.Thread(target=lambda: (runs.settle(2), runs.release()))
    thread.start()
    assert output_of(program, session.address_info["address"]) == ["1"]
    thread.join()
    get(refs)


@actorio.remote
def answer(number):
    return number


def test_threads_that_a_task_starts_may_wait():
    @actorio.remote
    def parent():
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda number: actorio.get(answer.remote(number)), range(4)))

    assert get([parent.remote() for _ in range(4)]) == [[0, 1, 2, 3]] * 4


def test_a_thread_that_a_task_leaves_behind_waits_on(runs):
    @actorio.remote
    def leave_behind(folder):
        def wait():
            (folder / "gate").write_text(str(actorio.get(run_until.remote(folder, "left"))))

        threading.Thread(target=wait).start()
        return os.getpid()

    worker = get(leave_behind.remote(runs.folder))
    runs.settle(1)
    assert get([answer.remote(number) for number in range(20)]) == list(range(20))
    runs.release()
    assert wait_until(lambda: (runs.folder / "gate").read_text().isdigit())
    assert not is_gone(worker)


def test_tasks_that_need_no_cpu_free_none_when_they_wait(runs):
    @actorio.remote(num_cpus=0)
    def wait_for(refs):
        return actorio.get(refs)

    refs = runs.start(5)
    waiting = [wait_for.remote(refs) for _ in range(20)]
    runs.settle(2)
    runs.release()
    get([*refs, *waiting])


@actorio.remote(num_cpus=1)
async def run_until_on_a_loop(folder, name):
    import asyncio

    (folder / name).touch()
    while not (folder / "gate").exists():  # noqa: ASYNC110  # no event tells of a file
        await asyncio.sleep(0.005)


def test_asynchronous_tasks_that_need_a_cpu_have_it_but_while_they_wait_for_others(runs):
    refs = [run_until_on_a_loop.remote(runs.folder, str(number)) for number in range(6)]
    runs.settle(2)
    runs.release()
    get(refs)


def test_a_task_of_another_kind_has_its_turn_while_others_follow_each_other():
    @actorio.remote(max_calls=1)
    def other():
        return "has run"

    @actorio.remote
    def short():
        time.sleep(0.02)

    refs = [short.remote() for _ in range(8)]
    result = other.remote()
    deadline = time.monotonic() + PATIENCE
    while not actorio.wait([result], timeout=0)[0]:
        assert time.monotonic() < deadline
        _, refs = actorio.wait(refs)
        refs.append(short.remote())
    get(refs)


def test_a_task_that_cannot_be_sent_ends_with_the_reason_and_takes_no_room(monkeypatch):
    def fail(*_, **__):
        raise OSError("no descriptors are left")

    ref = pid.options(max_calls=1).remote()
    monkeypatch.setattr(runtime.current().calls.contexts.threads, "open", fail)
    with pytest.raises(OSError, match="no descriptors are left"):
        get(ref)
    monkeypatch.undo()
    assert wait_until(all_is_free)


def test_tasks_may_be_made_by_a_signals_handler_in_the_midst_of_making_others():
    assert output_of("""
        @actorio.remote(num_cpus=0)
        def f(number): return number
        with actorio.init():
            actorio.get(f.remote(0))
            made = []
            def make(*_):
                made.append(f.remote(len(made)))
                signal.setitimer(signal.ITIMER_REAL, 0.0007)
            signal.signal(signal.SIGALRM, make)
            signal.setitimer(signal.ITIMER_REAL, 0.0007)
            refs = [f.remote(number) for number in range(1000)]
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            print(actorio.get(refs) == list(range(1000)), actorio.get(made) == list(range(len(made))))
    """) == ["True True"]


def test_the_tasks_of_a_detached_actor_do_not_end_with_the_program_that_made_it(runs, session):
    program = """
        from tests.occupants import run_until
        from pathlib import Path
        actorio.init(address=sys.argv[1], namespace="shared")
        class Maker:
            def make(self, folder): self.ref = run_until.options(max_retries=0).remote(folder, "task")
            def ready(self): return True
            async def result(self): return await self.ref
        actorio.remote(Maker).options(name="maker", lifetime="detached").remote().make.remote(Path(sys.argv[2]))
        while not Path(sys.argv[2], "task").exists():
            time.sleep(0.01)
    """
    assert run(program, session.address_info["address"], runs.folder) == (0, "", "")
    maker = actorio.get_actor("maker", namespace="shared")
    result = maker.result.remote()
    runs.release()
    assert isinstance(get(result), int)
    actorio.kill(maker)


# -- actors --------------------------------------------------------------------------------------------------------


def test_an_actor_that_says_nothing_needs_nothing():
    actors = [Keeper.remote() for _ in range(5)]
    assert len(set(get([actor.pid.remote() for actor in actors]))) == 5
    assert all_is_free()


def test_an_actor_has_what_it_needs_until_it_is_dead_for_good():
    actor = Keeper.options(num_cpus=2, resources={"disk": 1}, memory=1000, max_restarts=1).remote()
    pid = get(actor.pid.remote())
    before = actorio.available_resources()
    assert (before["CPU"], before["disk"]) == (0, 0)
    assert before["memory"] == actorio.cluster_resources()["memory"] - 1000
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: is_gone(pid))
    assert actorio.available_resources() == before
    actorio.kill(actor)
    assert wait_until(all_is_free)


def test_an_actor_waits_for_what_others_have_and_its_calls_with_it():
    first, second = Keeper.options(num_cpus=2).remote(), Keeper.options(num_cpus=1).remote()
    pid, waiting = first.pid.remote(), second.pid.remote()
    get(pid)
    assert actorio.wait([waiting], timeout=0) == ([], [waiting])
    assert [each.state for each in runtime.current().list_actors().actors if each.class_name == "Keeper"] == [
        "alive",
        "queued",
    ]
    actorio.kill(first)
    get(waiting)


@pytest.mark.parametrize("end", ["kill", "drop", "terminate"])
def test_an_actor_that_waits_can_be_ended(end):
    first = Keeper.options(num_cpus=2).remote()
    second = Keeper.options(num_cpus=1).remote()
    waiting = second.pid.remote()
    if end == "kill":
        actorio.kill(second)
        with pytest.raises(ActorDiedError, match="killed"):
            get(waiting)
    elif end == "terminate":
        asked = second.__ray_terminate__.remote()
        actorio.kill(first)
        with pytest.raises(ActorDiedError, match="__ray_terminate__"):
            get(asked)
    del second, waiting
    del first


def test_a_named_actor_that_waits_is_found_and_keeps_nobody_waiting():
    first = Keeper.options(num_cpus=2).remote()
    second = Keeper.options(num_cpus=2, name="second").remote()
    found = actorio.get_actor("second").pid.remote()
    del first
    assert get(found) == get(second.pid.remote())


def test_more_actors_can_wait_than_are_begun_at_once():
    first = Keeper.options(num_cpus=2).remote()
    others = [Keeper.options(num_cpus=2).remote() for _ in range(40)]
    pids = [other.pid.remote() for other in others]
    del first
    for number, pid in enumerate(pids):
        get(pid)
        others[number] = None


def test_an_actor_and_tasks_give_way_to_each_other(runs):
    refs = runs.start(4)
    runs.settle(2)
    actor = Keeper.options(num_cpus=2).remote()
    pid = actor.pid.remote()
    more = runs.start(2, "more")
    runs.release()
    get(pid)
    del actor
    get([*refs, *more])


def test_a_group_does_not_wait_for_a_member_that_waits_for_room():
    holder = Keeper.options(num_cpus=1).remote()
    get(holder.pid.remote())
    supervisor = actorio.util.Supervisor("one_for_all", max_restarts=3, window=60)
    member = supervisor.supervise(Keeper.options(num_cpus=1, max_task_retries=-1))
    first = member.remote()
    before = get(first.pid.remote())
    second = member.remote()
    waiting = second.pid.remote()
    os.kill(before, signal.SIGKILL)
    assert wait_until(lambda: is_gone(before))
    assert get(first.pid.remote()) != before
    actorio.kill(holder)
    assert get(waiting) != get(first.pid.remote())


# -- GPUs ----------------------------------------------------------------------------------------------------------


def test_those_who_need_gpus_see_their_own_and_no_other():
    whole = Keeper.options(num_gpus=1).remote()
    halves = [Keeper.options(num_gpus=0.5).remote() for _ in range(2)]
    (own, own_ids), *shared = get([actor.gpus.remote() for actor in (whole, *halves)])
    assert own_ids == [own]
    assert shared == [(other := {"0": "1", "1": "0"}[own], [other])] * 2
    assert get(Keeper.options(num_gpus=0).remote().gpus.remote()) == ("", [])


def test_a_task_on_a_gpu_has_a_worker_of_its_own_that_ends_with_it():
    @actorio.remote(num_gpus=1)
    def look():
        return os.environ["CUDA_VISIBLE_DEVICES"], os.getpid()

    found = get([look.remote() for _ in range(4)])
    assert {gpu for gpu, _ in found} <= {"0", "1"}
    assert len({pid for _, pid in found}) == 4
    assert wait_until(lambda: all(is_gone(pid) for _, pid in found))
    assert actorio.get_gpu_ids() == []


def test_the_gpus_of_a_session_are_those_that_its_program_sees():
    program = """
        with actorio.init(num_cpus=1):
            @actorio.remote(num_gpus=2)
            def look(): return os.environ["CUDA_VISIBLE_DEVICES"]
            print(actorio.cluster_resources()["GPU"], actorio.get(look.remote()))
    """
    assert output_of(program, env=os.environ | {"CUDA_VISIBLE_DEVICES": "5,GPU-3a"}) == ["2.0 5,GPU-3a"]


# -- what can never be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_cpus": 3}, r"it needs 3 CPU, and the session has 2 CPU in all: see init\(num_cpus=\)"),
        ({"num_gpus": 3}, r"it needs 3 GPU, and the session has 2 GPU in all: see init\(num_gpus=\)"),
        ({"resources": {"disk": 1.5}}, r"it needs 1.5 disk, and the session has 1 disk in all: see init\(resources=\)"),
        ({"resources": {"tape": 1}}, "it needs 1 tape, and the session has 0 tape in all"),
        ({"memory": 1e13}, "it needs 10000000000000 memory"),
    ],
)
@pytest.mark.parametrize("target", [Keeper, run_until, run_until.stream])
def test_what_the_session_does_not_have_is_refused_at_the_call(target, options, words):
    is_stream = target not in {Keeper, run_until}
    changed = (run_until if is_stream else target).options(**options)
    call = changed.stream if is_stream else changed.remote
    with pytest.raises(ValueError, match=f"can never run: {words}"):
        call(*() if target is Keeper else (".", "."))


def test_a_session_that_is_joined_has_what_it_has(session):
    address = session.address_info["address"]
    code, _, errors = run("actorio.init(address=sys.argv[1], num_cpus=8)", address)
    assert code == 1
    assert "ValueError: num_cpus=, num_gpus= and resources=: only a new session can be told so" in errors


# -- workers -------------------------------------------------------------------------------------------------------


def workers():
    return [each for each in runtime.current().list_actors().actors if each.class_name == "TaskWorker"]


@actorio.remote
def pid():
    return os.getpid()


def test_a_worker_is_used_again_and_there_are_no_more_than_cpus():
    assert len({get(pid.remote()) for _ in range(20)}) <= 2
    assert len(set(get([pid.remote() for _ in range(50)]))) <= 2


@pytest.mark.parametrize(("max_calls", "expected"), [(1, 6), (2, 3), (4, 2)])
def test_a_worker_ends_after_max_calls_of_a_function(max_calls, expected):
    pids = [get(pid.options(max_calls=max_calls).remote()) for _ in range(6)]
    assert len(set(pids)) == expected
    assert wait_until(lambda: all(map(is_gone, pids[: max_calls * (6 // max_calls)])))


def test_a_worker_that_is_to_end_stays_as_long_as_its_values_are_needed():
    @actorio.remote(max_calls=1)
    def keep():
        return os.getpid(), [actorio.put("kept")]

    (pid, (ref,)) = get(keep.remote())
    assert get(ref) == "kept"
    assert not is_gone(pid)
    assert get(ref) == "kept"
    del ref
    assert wait_until(lambda: is_gone(pid))


def test_idle_workers_end_unless_actors_of_theirs_live():
    lines = output_of("""
        from tests.programs import is_gone, wait_until
        @actorio.remote
        class Child:
            def pid(self): return os.getpid()
        @actorio.remote
        def plain(): return os.getpid()
        @actorio.remote
        def parent(): return os.getpid(), Child.remote()
        with actorio.init(num_cpus=1, idle_worker_timeout=0.2):
            first = actorio.get(plain.remote())
            print(wait_until(lambda: is_gone(first)))
            second, child = actorio.get(parent.remote())
            time.sleep(0.6)
            actorio.get(child.pid.remote())
            print(is_gone(second))
            del child
            print(wait_until(lambda: is_gone(second)))
    """)
    assert lines == ["True", "False", "True"]


@actorio.remote
async def loop_of():
    import asyncio

    return os.getpid(), id(asyncio.get_running_loop())


@pytest.mark.parametrize("options", [{"num_cpus": 0}, {"num_cpus": 1}])
def test_an_asynchronous_task_must_not_block_the_loop_that_others_share(options, runs):
    @actorio.remote(**options)
    async def block(folder):
        # What is done already can be had without blocking.
        return actorio.get(run_until.options(num_cpus=0).remote(folder, "awaited"))

    @actorio.remote(**options)
    async def block_in_a_thread():
        import asyncio

        return await asyncio.to_thread(lambda: actorio.get(loop_of.remote()))

    for ref in [block.remote(runs.folder) for _ in range(4)]:
        with pytest.raises(RuntimeError, match=r"would block the event loop that .* share: write `await ref`"):
            get(ref)
    assert len(get([block_in_a_thread.remote() for _ in range(4)])) == 4
    assert len({get(pid.remote()) for _ in range(5)}) <= 2


def test_a_plain_task_may_run_a_loop_of_its_own_and_wait_in_it():
    @actorio.remote
    def run():
        import asyncio

        async def main():
            return actorio.get(loop_of.remote()), await loop_of.remote()

        return asyncio.run(main())

    assert len(get(run.remote())) == 2


def test_a_task_that_crashes_takes_no_other_along():
    @actorio.remote(max_retries=0)
    def crash():
        os._exit(3)

    @actorio.remote(max_retries=0)
    def parent():
        with contextlib.suppress(WorkerCrashedError):
            actorio.get(crash.remote())
        return os.getpid()

    # Two run at a time, and others wait for their children meanwhile.
    assert len(set(get([parent.remote() for _ in range(6)]))) <= 6


def test_asynchronous_tasks_of_a_worker_share_its_loop():
    found = get([loop_of.remote() for _ in range(50)])
    assert len(set(found)) == len({pid for pid, _ in found}) <= 2


def test_asynchronous_tasks_need_no_cpu_unless_they_say_so(runs):
    refs = runs.start(2)
    runs.settle(2)
    assert len(get([loop_of.remote() for _ in range(5)])) == 5
    waiting = loop_of.options(num_cpus=1).remote()
    assert actorio.wait([waiting], timeout=0.1) == ([], [waiting])
    runs.release()
    get([*refs, waiting])
