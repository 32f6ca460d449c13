"""Whatever a thread puts in, the task that waits gets, under each library; and nothing is woken that is not there."""

import threading

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from actorio._caller.wakers import Flag, Inbox, running_loop, waker_of

# How long anything may take, in seconds: only a test that fails takes so long.
PATIENCE = 10

LIBRARIES = [("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True}), ("trio", {})]


@pytest.fixture(params=LIBRARIES, ids=["asyncio", "uvloop", "trio"])
def anyio_backend(request):
    return request.param


@pytest.mark.anyio
async def test_items_of_another_thread_come_out_in_their_order_and_none_is_overslept():
    inbox = Inbox()

    def put():
        for item in range(5000):
            inbox.put(item)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, put)
            assert [await inbox.take() for _ in range(5000)] == [*range(5000)]


@pytest.mark.anyio
async def test_two_tasks_that_pass_items_to_each_other_wake_each_other():
    there, back = Inbox(), Inbox()

    async def answer():
        for _ in range(1000):
            back.put(await there.take() + 1)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(answer)
            for number in range(1000):
                there.put(number)
                assert await back.take() == number + 1


@pytest.mark.anyio
async def test_a_cancelled_take_loses_no_item_and_is_not_woken_any_more():
    inbox = Inbox()
    with anyio.move_on_after(0):
        await inbox.take()
    inbox.put("kept")
    # Time for whoever would wake the wrong one.
    await anyio.lowlevel.checkpoint()
    with anyio.fail_after(PATIENCE):
        assert await inbox.take() == "kept"


@pytest.mark.anyio
async def test_a_flag_wakes_all_who_wait_and_holds_up_nobody_afterwards():
    flag = Flag()
    woken = []

    async def wait(number):
        await flag.wait()
        woken.append(number)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(wait, number)
            await anyio.lowlevel.checkpoint()
            await anyio.to_thread.run_sync(flag.set)
        await flag.wait()
    assert sorted(woken) == [*range(10)]


@pytest.mark.parametrize("library", LIBRARIES, ids=["asyncio", "uvloop", "trio"])
def test_waking_a_task_whose_loop_has_ended_does_nothing(library):
    async def make():
        return waker_of(running_loop())

    backend, options = library
    waker = anyio.run(make, backend=backend, backend_options=options)
    thread = threading.Thread(target=waker)
    thread.start()
    thread.join()
    waker()


def test_a_thread_without_a_loop_has_no_task_to_wake():
    with pytest.raises(RuntimeError, match="no running event loop"):
        waker_of(running_loop())
