"""What a machine that draws its steps finds in the end, one story at a time."""

import asyncio
import functools
import threading

import pytest
from tests._worker.actors import ACTOR, PATIENCE, InThreads, Loop, Mortal, OnLoop, Watch, Wire, end_thread, executor_of

from actorio._model.concurrency import MethodRule, Rate, Rules
from actorio._wire.messages import LINK, Call, Cancel, Limit, Room, Way
from actorio._wire.payload import dumps
from actorio._worker import brake, dispatcher, early, executor, flowing, intake
from actorio._worker.delivered import Delivered
from actorio._worker.dispatcher import LoopDispatcher
from actorio._worker.early import EarlyEnds
from actorio._worker.interruption import Interruptions

OWN = Way(chain=ACTOR[:LINK])


class Scene:
    """An actor on a loop, and a wire to it. The keys of calls are given."""

    def __init__(self, loop, rules, cls=OnLoop):
        self.loop, self.executor = loop, executor_of(cls)
        self.log, self.gates = self.executor.instance.log, self.executor.instance.gates
        self.wire = Wire(self.log)
        make_early = functools.partial(EarlyEnds, loop, self.executor, 1.0, lambda _: None)
        if cls is OnLoop:
            self.dispatcher = LoopDispatcher(loop, self.executor, rules, Watch(), pytest.fail, make_early)
        else:
            self.dispatcher = Mortal(loop, self.executor, rules, end_thread, make_early)
        self.intake = self.dispatcher.intake

    def call(self, *calls, wire=None):
        """Make calls, in one batch: keys, methods, and ways if any."""
        wire = wire or self.wire
        frames = [
            wire.caller.call(key, key, method, dumps(((key,), {})), way=way[0] if way else None)
            for key, method, *way in calls
        ]
        self._send(wire, b"".join(frames))

    def ask(self, request, wire=None):
        wire = wire or self.wire
        self._send(wire, wire.caller.ask(request.id, request.id, request))

    def _send(self, wire, data):
        self.dispatcher.on_requests(wire, wire.peer.receive(data))
        self.loop.turn()

    def cancel(self, key):
        self.intake.on_note(self.wire, Cancel(key))
        self.loop.turn()

    def end(self, key):
        self.gates[key].set_result(key)
        self.loop.turn()

    def time_is(self, now):
        self.loop.now = now
        self.loop.turn()


@pytest.fixture
def scene(monkeypatch):
    loop = Loop()
    for module in (early, executor, intake):
        monkeypatch.setattr(module, "monotonic", loop.time)
    yield functools.partial(Scene, loop)
    while tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.turn()
    loop.close()


# -- groups --------------------------------------------------------------------------------------------------------


def test_a_call_of_a_group_that_is_not_there_is_answered_and_those_behind_it_run(scene):
    here = scene(Rules(2, {"io": 1}))
    here.call((0, "plain"), (1, "plain", Way(group="none")), (2, "plain"))
    assert here.wire.answers == {0: "value", 1: "no group", 2: "value"}


# -- calls that are let in -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["wait", "fail", "drop_oldest", "drop_newest"])
def test_a_reentrant_call_does_not_need_room_in_the_mailbox(scene, policy):
    here = scene(Rules(1, bound=1, policy=policy))
    here.call((0, "gated"), (1, "plain"), (2, "again", OWN))
    assert here.log.started == [0, 2]
    assert here.wire.answers == {}
    here.end(2)
    here.end(0)
    assert here.wire.answers == {0: "value", 1: "value", 2: "value"}


def test_a_limit_that_stays_one_leaves_reentrant_calls_alone(scene):
    here = scene(Rules(1))
    here.ask(Limit(9, 1))
    here.call((0, "gated"), (1, "again", OWN))
    assert here.log.started == [0, 1]


def test_nothing_is_kept_of_calls_that_ran_one_at_a_time(scene):
    here = scene(Rules(1))
    here.call((0, "gated"))
    here.ask(Limit(9, 2))
    here.end(0)
    assert not here.intake._heads


# -- room ----------------------------------------------------------------------------------------------------------


def test_a_greater_limit_makes_room(scene):
    here = scene(Rules(1, bound=1))
    here.call((0, "gated"), (1, "gated"))
    here.ask(Room(2))
    assert not here.wire.answers
    here.ask(Limit(3, 2))
    assert here.wire.answers == {2: "done", 3: "done"}


def test_a_call_that_has_waited_for_its_rate_makes_room(scene):
    here = scene(Rules(5, methods={"rated": MethodRule(rate=Rate(1, 1.0))}, bound=1))
    here.call((0, "rated"), (1, "rated"))
    here.ask(Room(2))
    assert not here.wire.answers
    here.time_is(1001.0)
    assert here.log.started == [0, 1]
    assert here.wire.answers == {2: "done"}


def test_callers_who_wait_for_room_do_not_depend_on_others_who_were_given_it(scene):
    here = scene(Rules(1, bound=1))
    here.call((0, "gated"), (1, "plain"))
    for key in range(2, 9):
        here.ask(Room(key))
    # Nobody makes another call.
    here.end(0)
    assert {key for key, answer in here.wire.answers.items() if answer == "done"} == set(range(2, 9))


def test_nothing_is_kept_of_callers_who_were_told_to_pause_and_have_gone(scene):
    here = scene(Rules(1, bound=1))
    here.call((0, "gated"), (1, "gated"))
    for key in range(2, 10 * brake._FEW):
        wire = Wire(here.log)
        here.call((key, "plain"), wire=wire)
        assert wire.full == 1
        wire.is_lost = True
        here.intake.on_lost(wire)
    assert len(here.intake._brake._told) <= brake._FEW


# -- rates ---------------------------------------------------------------------------------------------------------


def test_a_greater_limit_lets_a_call_start_when_its_rate_does(scene):
    here = scene(Rules(1, methods={"rated": MethodRule(rate=Rate(1, 1.0))}))
    here.call((0, "rated"), (1, "rated"))
    here.ask(Limit(2, 2))
    here.time_is(1000.9)
    assert here.log.started == [0]
    here.time_is(1001.0)
    assert here.log.started == [0, 1]


# -- early ends ----------------------------------------------------------------------------------------------------


def test_what_a_call_brought_is_not_kept_until_its_deadline_when_it_will_not_begin(scene):
    here = scene(Rules(1))
    here.call((0, "gated"), (1, "plain", Way(deadline=5000.0)))
    call = here.wire.peer.owed[1]
    here.cancel(1)
    assert here.wire.answers == {1: "cancelled before it began"}
    assert not call.payload


def test_a_method_that_waits_for_a_thread_does_not_run_when_it_was_cancelled(scene, monkeypatch):
    monkeypatch.setattr(dispatcher, "_MOST_THREADS", 1)
    here = scene(Rules(2))
    here.call((0, "in_a_thread"), (1, "in_a_thread"))
    assert here.log.wait_for(lambda: here.log.started == [0])
    here.cancel(1)
    here.gates[0].set()
    while here.dispatcher.is_running():
        here.loop.turn()
    here.dispatcher._pool.shutdown()
    assert here.log.started == [0]
    assert here.wire.answers == {0: "value", 1: "cancelled"}


# -- in threads ----------------------------------------------------------------------------------------------------


def test_all_calls_that_one_end_lets_start_do_so_at_once(scene):
    # When the first one ends there is a place in both groups: its own, and another call of its method in the other one.
    rules = Rules(1, {"io": 1, "cpu": 1}, {"one": MethodRule("io", 1)})
    here = scene(rules, InThreads)
    first = threading.Thread(target=here.dispatcher.work, name="actor-1", daemon=True)
    first.start()
    here.call((0, "one"), (1, "gated", Way(group="io")), (2, "one", Way(group="cpu")))
    assert here.log.wait_for(lambda: here.log.started == [0])
    release(here, 0)
    assert here.log.wait_for(lambda: sorted(here.log.started) == [0, 1, 2])
    release(here, 1)
    release(here, 2)
    assert here.log.wait_for(lambda: here.wire.answers == dict.fromkeys(range(3), "value"))
    end_threads(here)


def release(here, key):
    here.gates[key][1].append("value")
    here.gates[key][0].set()


def end_threads(here):
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("actor-")]
    for number in range(len(threads)):
        here.dispatcher._admitted.append(Delivered(here.wire, Call(number, "__ray_terminate__"), dumps(((), {}))))
        here.dispatcher._wakes.put(None)
    for thread in threads:
        thread.join(PATIENCE)


def cancelled_call(wire, window=0):
    call = Delivered(wire, Call(1, "squares", window=window), b"")
    call.reason = "cancelled"
    return call


def test_a_stream_that_was_cancelled_before_it_was_there_gives_no_items(scene):
    here = scene(Rules(1), InThreads)
    here.wire.left = set()
    taken = []
    flowing.flow_in_thread(here.executor, cancelled_call(here.wire, 1), map(taken.append, range(9)), None)
    assert taken == []
    assert not here.wire.outflows


def test_a_method_that_was_to_be_interrupted_before_it_could_be_does_not_run():
    interruptions, ran = Interruptions(), []
    with pytest.raises(KeyboardInterrupt):
        interruptions.run(cancelled_call(None), ran.append, (1,), {})
    assert ran == []
    assert not interruptions._running
