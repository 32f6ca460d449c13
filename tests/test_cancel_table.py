"""The truth table of ending calls early: in which state a call is, and what ends it. One test for each cell.

The table is in docs/explanation/cancelling.md, which is held against this file.
"""

import asyncio
import re
from pathlib import Path

import pytest
from tests.cancelled import Caller, InThread, Notes, OnLoop

import actorio
from actorio.exceptions import GetTimeoutError, TaskCancelledError
from actorio.util import statistics

pytestmark = pytest.mark.usefixtures("session")

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "cancelling.md"
# Long enough for a call to begin on a busy machine, in seconds.
SOON = 0.7

STATES = ["queued", "coroutine", "thread", "finished", "streaming", "restarting", "nested"]
CAUSES = ["await", "cancel", "deadline", "killed"]


class Stage:
    """A call that has got into some state: what to call, with what, and how to see that it is there."""

    def __init__(self, actor, method, args, *, seen, is_stream=False):
        self.actor, self.method, self.args = actor, method, args
        self.seen = seen
        self.is_stream = is_stream

    def bound(self, **options):
        method = getattr(self.actor, self.method)
        return method.options(**options) if options else method


async def staged(state, notes):
    """Returns a call that gets into a state as soon as it is made, and the name of the note that says so."""
    if state == "queued":
        actor = InThread.remote(notes)
        held = actor.hold.remote(notes)
        await notes.wait_for.remote("held")
        return Stage(actor, "work", [notes], seen=None), held
    if state == "thread":
        return Stage(InThread.remote(notes), "work", [notes], seen="began"), None
    if state == "nested":
        inner, outer = InThread.remote(), OnLoop.remote()
        return Stage(outer, "outer", [notes, inner], seen="began"), None
    if state == "restarting":
        actor = OnLoop.options(max_restarts=1, max_task_retries=0).remote(notes)
        await actor.quick.remote()
        actorio.kill(actor, no_restart=False)
        await notes.wait_for.remote("again")
        return Stage(actor, "work", [notes], seen=None), None
    if state == "streaming":
        return Stage(OnLoop.remote(notes), "stream", [notes], seen=None, is_stream=True), None
    return Stage(OnLoop.remote(notes), "quick" if state == "finished" else "work", [notes], seen="began"), None


async def until(stage, notes):
    if stage.seen is not None:
        await notes.wait_for.remote(stage.seen)


# --- what ends it ---------------------------------------------------------------------------------------------------


async def by_await(stage, notes):
    async def take():
        if not stage.is_stream:
            return await stage.bound().remote(*stage.args)
        async for item in stage.bound().stream(*stage.args):
            reached.set()
            assert item == "began"
        return None

    reached = asyncio.Event()
    task = asyncio.create_task(take())
    if stage.is_stream:
        await reached.wait()
    await asyncio.sleep(0)
    await until(stage, notes)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def by_cancel(stage, notes):
    if stage.is_stream:
        stream = stage.bound().stream(*stage.args)
        assert await anext(stream) == "began"
        actorio.cancel(stream)
        with pytest.raises(TaskCancelledError):
            await anext(stream)
        return
    ref = stage.bound().remote(*stage.args)
    await until(stage, notes)
    actorio.cancel(ref)
    await notes.note.remote("asked")
    if "again" in await notes.all.remote():
        # Nobody is there to say that it has not begun.
        await notes.note.remote("open")
    with pytest.raises(TaskCancelledError):
        await ref


async def by_deadline(stage, notes):
    if stage.is_stream:
        stream = stage.bound(timeout=SOON).stream(*stage.args)
        assert await anext(stream) == "began"
        with pytest.raises(GetTimeoutError):
            await anext(stream)
        return
    with pytest.raises(GetTimeoutError, match="deadline"):
        await stage.bound(timeout=SOON).remote(*stage.args)


async def by_death(stage, notes):
    caller = Caller.remote()
    method = caller.consume if stage.is_stream else caller.call
    ref = method.remote(stage.actor, stage.method, *stage.args)
    await until(stage, notes)
    if stage.seen is None:
        await wait_for_calls(stage.actor, caller)
    actorio.kill(caller)
    with pytest.raises(actorio.exceptions.ActorDiedError):
        await ref


async def wait_for_calls(actor, caller):
    """Waits until the call of another process is on its way: the actor has it, or its socket has."""
    while (await statistics(caller)).running == 0:  # noqa: ASYNC110  # it cannot say so itself
        await asyncio.sleep(0.001)
    await caller.__ray_ready__.remote()


async def idle(actor):
    while (await statistics(actor)).running:  # noqa: ASYNC110  # as above
        await asyncio.sleep(0.001)


ENDS = {"await": by_await, "cancel": by_cancel, "deadline": by_deadline, "killed": by_death}


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("state", [state for state in STATES if state != "finished"])
def test_a_call_ends_early(state, cause):
    async def main():
        notes = Notes.remote()
        stage, held = await staged(state, notes)
        await ENDS[cause](stage, notes)
        seen = await notes.all.remote()
        if state in {"queued", "restarting"}:
            assert "began" not in seen
            await notes.note.remote("open")
            if held is not None:
                await held
            await stage.actor.quick.remote()
        else:
            await notes.wait_for.remote("ended")
        await idle(stage.actor)
        seen = await notes.all.remote()
        if state == "queued" or (state == "restarting" and cause != "killed"):
            assert "began" not in seen
        assert (await statistics(stage.actor)).queued == 0

    asyncio.run(main())


@pytest.mark.parametrize("cause", CAUSES)
def test_a_call_that_has_finished_is_left_alone(cause):
    async def main():
        notes = Notes.remote()
        actor = OnLoop.remote(notes)
        ref = (actor.quick.options(timeout=60) if cause == "deadline" else actor.quick).remote(5)
        assert await ref == 5
        if cause == "await":
            task = asyncio.ensure_future(ref)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        elif cause == "cancel":
            actorio.cancel(ref)
        elif cause == "killed":
            caller = Caller.remote()
            assert await caller.call.remote(actor, "quick", 6) == 6
            actorio.kill(caller)
        assert await ref == 5
        assert await actor.quick.remote(7) == 7

    asyncio.run(main())


def test_the_table_in_the_documentation_has_a_row_for_each_state_and_a_column_for_each_cause():
    rows = [line.split("|")[1:-1] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|")]
    marks = [re.findall(r"\*\*(\w+)", cell)[:1] for cell in rows[0]]
    assert [mark for found in marks for mark in found] == CAUSES
    assert [re.findall(r"\*\*(\w+)", row[0])[0] for row in rows[2:]] == STATES
    assert all(len(row) == len(CAUSES) + 1 and all(cell.strip() for cell in row) for row in rows[2:])
