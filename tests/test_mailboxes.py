"""Mailboxes: how many calls may wait and run, in which order, and what becomes of the others."""

import asyncio
import threading
import time

import pytest
from tests.cancelled import InThread, Notes
from tests.counting import OnLoop

import actorio
from actorio.exceptions import PendingCallsLimitExceeded
from actorio.util import statistics

pytestmark = pytest.mark.usefixtures("session")


# What is asked of an actor while it is busy has a group of its own.
CONTROL = {"control": 10, "io": 2}


def busy(**options):
    """An actor that runs one call, which stays until it is released."""
    options = {"max_concurrency": 1, "concurrency_groups": CONTROL} | options
    actor = OnLoop.options(**options).remote()
    return actor, actor.stay.remote("first")


def errors_of(refs):
    actorio.wait(refs, num_returns=len(refs))
    return [isinstance(ref.exception(), PendingCallsLimitExceeded) for ref in refs]


# --- bounds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "refused"),
    [("fail", [3, 4]), ("drop_newest", [3, 4]), ("drop_oldest", [1, 2])],
)
def test_a_full_mailbox_refuses_calls_by_its_policy(policy, refused):
    actor, first = busy(mailbox_size=2, mailbox_policy=policy)
    refs = [first, *(actor.stay.remote(number) for number in range(1, 5))]
    actorio.wait([refs[number] for number in refused], num_returns=2)
    actorio.get(actor.release.remote())
    assert errors_of(refs) == [number in refused for number in range(5)]
    with pytest.raises(PendingCallsLimitExceeded, match=f"mailbox_size allows, and mailbox_policy is '{policy}'"):
        actorio.get(refs[refused[0]])


def test_callers_wait_until_there_is_room():
    async def main():
        actor, first = busy(mailbox_size=2)
        waiting = [actor.stay.remote(number) for number in range(2)]
        ready = asyncio.ensure_future(actor.stay.ready())
        while (await statistics(actor)).queued < 2:  # noqa: ASYNC110  # it cannot say so itself
            await asyncio.sleep(0.001)
        assert not ready.done()
        await actor.release.remote()
        await ready
        assert await actor.stay.remote("last") == "last"
        assert await asyncio.gather(first, *waiting) == ["first", 0, 1]

    asyncio.run(main())


def test_no_more_wait_than_may_when_callers_ask_first():
    async def main():
        actor = OnLoop.options(max_concurrency=1, mailbox_size=3, concurrency_groups=CONTROL).remote()
        await actor.release.remote()
        most, refs = 0, []
        for number in range(50):
            await actor.stay.ready()
            refs.append(actor.stay.remote(number))
            most = max(most, (await statistics(actor)).queued)
        assert await asyncio.gather(*refs) == list(range(50))
        assert most <= 3

    asyncio.run(main())


def test_a_thread_waits_in_remote():
    notes, actor = Notes.remote(), InThread.options(mailbox_size=1).remote()
    refs = [actor.hold.remote(notes)]

    def call():
        refs.extend(actor.quick.remote(number) for number in range(10))

    thread = threading.Thread(target=call)
    thread.start()
    actorio.get(notes.wait_for.remote("held"))
    assert actorio.get(statistics(actor)).queued <= 1
    assert len(refs) < 10
    actorio.get(notes.note.remote("open"))
    thread.join()
    assert actorio.get(refs) == [None, *range(10)]


def test_ready_can_be_cancelled_and_is_at_once_where_there_is_no_bound():
    async def main():
        actor, first = busy(mailbox_size=1)
        waiting = actor.stay.remote(1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(actor.stay.ready(), 0.01)
        await InThread.remote().quick.ready()
        await actor.release.remote()
        await asyncio.gather(first, waiting)

    asyncio.run(main())


def test_one_process_may_have_so_many_calls_pending_as_in_ray():
    async def main():
        actor, first = busy(max_pending_calls=2, max_concurrency=10)
        second = actor.stay.remote(2)
        with pytest.raises(PendingCallsLimitExceeded, match=r"2 calls of this process to OnLoop .* are pending"):
            actor.stay.remote(3)
        ready = asyncio.ensure_future(actor.stay.ready())
        await asyncio.sleep(0)
        assert not ready.done()
        actorio.cancel(first)
        await ready
        assert (await statistics(actor)).running <= 2
        third = actor.release.remote()
        assert [await second, await third] == [2, None]

    asyncio.run(main())


# --- groups and limits ----------------------------------------------------------------------------------------------


def test_each_group_has_a_size_of_its_own_and_holds_nobody_else_up():
    actor = OnLoop.options(max_concurrency=3, concurrency_groups=CONTROL).remote()
    io = [actor.stay_in_io.remote(("io", number)) for number in range(5)]
    others = [actor.stay.remote(("other", number)) for number in range(5)]
    moved = actor.stay.options(concurrency_group="control").remote("moved")
    while len(actorio.get(actor.seen.remote())[0]) < 6:
        pass
    found = actorio.get(statistics(actor))
    order, most = actorio.get(actor.seen.remote())
    assert (most, found.queued) == (6, 5)
    assert sorted(map(str, order)) == sorted(
        map(str, [("io", 0), ("io", 1), ("other", 0), ("other", 1), ("other", 2), "moved"])
    )
    actorio.get(actor.release.remote())
    assert len(actorio.get([*io, *others, moved])) == 11


def test_a_method_may_have_a_limit_of_its_own():
    actor = OnLoop.options(concurrency_groups=CONTROL).remote()
    alone = [actor.stay_alone.remote(number) for number in range(3)]
    others = [actor.stay.remote("other") for _ in range(3)]
    while len(actorio.get(actor.seen.remote())[0]) < 4:
        pass
    assert actorio.get(actor.seen.remote())[1] == 4
    actorio.get(actor.release.remote())
    assert actorio.get([*alone, *others]) == [0, 1, 2, *["other"] * 3]


def test_the_number_of_calls_that_run_can_be_changed_while_they_run():
    actor, first = busy()
    waiting = [actor.stay.remote(number) for number in range(5)]
    actorio.get(actor.set_concurrency(4))
    while len(actorio.get(actor.seen.remote())[0]) < 4:
        pass
    assert actorio.get(statistics(actor)).queued == 2
    actorio.get(actor.set_concurrency(1))
    actorio.get(actor.release.remote())
    assert actorio.get([first, *waiting]) == ["first", 0, 1, 2, 3, 4]
    assert actorio.get(actor.seen.remote())[1] == 4


def test_so_it_can_in_threads():
    notes, actor = Notes.remote(), InThread.remote()
    holding = [actor.hold.remote(notes) for _ in range(3)]
    actorio.get(actor.set_concurrency(3))
    while actorio.get(notes.all.remote()).count("held") < 3:
        pass
    actorio.get(notes.note.remote("open"))
    assert actorio.get(holding) == [None] * 3


def test_a_group_that_is_not_there_is_refused_at_once():
    actor = OnLoop.options(concurrency_groups=CONTROL).remote()
    for wrong in (
        lambda: actor.stay.options(concurrency_group="nowhere"),
        lambda: actor.set_concurrency(1, group="nowhere"),
        OnLoop.remote,
    ):
        with pytest.raises(ValueError, match="group"):
            wrong()


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, "2"])
def test_a_concurrency_is_a_number_of_at_least_one(wrong):
    actor = InThread.remote()
    with pytest.raises((TypeError, ValueError), match="limit"):
        actor.set_concurrency(wrong)


# --- rates and priorities -------------------------------------------------------------------------------------------


def test_a_rate_lets_so_many_start_and_holds_nobody_else_up():
    actor = OnLoop.options(concurrency_groups=CONTROL).remote()
    refs = [actor.seldom.remote(number) for number in range(5)]
    assert actorio.get(refs[:2]) == [0, 1]
    actorio.get(actor.release.remote())
    assert actorio.get(actor.stay.remote("other")) == "other"
    assert actorio.get(statistics(actor)).queued == 3
    for ref in refs[2:]:
        actorio.cancel(ref)


def test_those_that_wait_for_a_rate_start_when_it_allows():
    actor = OnLoop.options(concurrency_groups=CONTROL).remote()
    began = time.monotonic()
    actorio.get([actor.often.remote(number) for number in range(6)])
    # Two in a period of 20 ms, so the last two come two periods after the first ones, or later.
    assert time.monotonic() - began >= 0.039
    order, _ = actorio.get(actor.seen.remote())
    assert tuple(name for name, _ in order) == tuple(range(6))


def test_calls_of_higher_priority_start_first_and_equal_ones_in_their_order():
    actor, first = busy()
    priorities = [0, 5, 0, -1, 5, 9]
    refs = [actor.stay.options(priority=priority).remote((priority, n)) for n, priority in enumerate(priorities)]
    while actorio.get(statistics(actor)).queued < len(refs):
        pass
    actorio.get(actor.release.remote())
    actorio.get([first, *refs])
    order, _ = actorio.get(actor.seen.remote())
    assert [tuple(each) for each in order[1:]] == [(9, 5), (5, 1), (5, 4), (0, 0), (0, 2), (-1, 3)]


# --- threads of an async actor --------------------------------------------------------------------------------------


def test_a_plain_method_of_an_async_actor_may_run_in_a_thread_and_leaves_the_loop_free():
    notes, actor = Notes.remote(), OnLoop.options(concurrency_groups=CONTROL).remote()
    assert actorio.get(actor.in_thread.remote()) == (False, True)
    blocked = actor.block.remote(notes)
    actorio.get(notes.wait_for.remote("blocks"))
    assert actorio.get(actor.seen.remote()) == ([], 0)
    actorio.get(notes.note.remote("open"))
    actorio.get(blocked)


@pytest.mark.parametrize("mark", [{"thread": True}, {"interruptible": True}])
def test_a_coroutine_has_no_thread(mark):
    class Wrong:
        @actorio.method(**mark)
        async def method(self):
            """Runs on the loop."""

    with pytest.raises(ValueError, match=r"Wrong\.method is async"):
        actorio.remote(Wrong).remote()


# --- what no backlog holds up ---------------------------------------------------------------------------------------


def test_statistics_are_answered_whatever_waits():
    notes, actor = Notes.remote(), InThread.remote()
    held = actor.hold.remote(notes)
    refs = [actor.quick.remote(bytes(1000)) for _ in range(2000)]
    found = actorio.get(statistics(actor))
    assert found.running == 1
    for ref in refs:
        actorio.cancel(ref)
    actorio.wait(refs, num_returns=len(refs))
    actorio.get(notes.note.remote("open"))
    actorio.get(held)
    assert actorio.get(statistics(actor)).calls == 2001
    with pytest.raises(TypeError, match="handle"):
        statistics(1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mailbox_size": 0},
        {"mailbox_policy": "later"},
        {"concurrency_groups": {"": 1}},
        {"concurrency_groups": {"io": 0}},
        {"max_pending_calls": 0},
        {"cancel_grace": 0},
    ],
)
def test_wrong_options_are_refused_where_they_are_written(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        OnLoop.options(**wrong)


@pytest.mark.parametrize("wrong", [{"rate": "often"}, {"max_concurrency": 0}, {"concurrency_group": ""}])
def test_wrong_marks_are_refused_where_they_are_written(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        actorio.method(**wrong)


def test_a_policy_needs_a_size():
    with pytest.raises(ValueError, match="mailbox_policy='fail' needs a mailbox_size="):
        InThread.options(mailbox_policy="fail").remote()


def test_ready_keeps_what_it_promises_where_both_are_limited():
    async def main():
        actor = InThread.options(mailbox_size=3, max_pending_calls=5).remote()

        async def call(number):
            await actor.quick.ready()
            return await actor.quick.remote(number)

        for batch in range(10):
            # One after the other asks: each finds what the ones before it have made.
            assert [await call(number) for number in range(batch)] == list(range(batch))

    asyncio.run(main())
