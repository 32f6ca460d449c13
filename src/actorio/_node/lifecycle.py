"""The lives of actors as the registry wants them: forks, signals, timers, pipes. Acts, and decides nothing."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from actorio._node import instructions as do
from actorio._node.outputs import Outputs
from actorio._transport.descriptors import close_all, explain_exhaustion
from actorio._transport.sockets import unlink
from actorio._wire.messages import Exited, Fork, Forked, ForkFailed, Kept

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from actorio._node.instructions import Instruction
    from actorio._node.nursery import Nursery
    from actorio._node.registry import Registry
    from actorio._node.spec import Spec
    from actorio._wire.messages import Zygote

# How long an actor may take to end after SIGTERM, in seconds: when its session or its owner ends, and otherwise.
GRACE, LONG_GRACE = 1.0, 30.0
_IN_A_HURRY = frozenset({"shutdown", "owner_died"})


class Lifecycle:
    """Performs the registry's instructions, and tells it what becomes of them.

    Args:
        tell: performs the instructions that are not about an actor's life: answers and news.
        on_output: called with actor id, stream (1 or 2) and whole lines.
        admit: returns what to do for those who have now the resources that they have waited for.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        registry: Registry,
        tell: Callable[[Instruction], None],
        admit: Callable[[], list[Instruction]],
        on_output: Callable[[str, int, list[bytes]], None],
    ) -> None:
        self.nursery: Nursery
        self.outputs = Outputs(loop, on_output)
        self.killed = 0
        self._loop = loop
        self._registry = registry
        self._tell = tell
        self._admit = admit
        self._actors_by_pid: dict[int, str] = {}
        # Of each actor: its listening socket and its birth, until it cannot be started again.
        self._cradles: dict[str, tuple[int, ...]] = {}

    def lay(self, actor_id: str, cradle: tuple[int, ...]) -> None:
        """Takes an actor's listening socket and birth, which its `Fork` will need."""
        self.discard(actor_id)
        self._cradles[actor_id] = cradle

    def discard(self, actor_id: str) -> None:
        """Lets go of what was laid for an actor that is not to be."""
        close_all(self._cradles.pop(actor_id, ()))

    def perform(self, instructions: Iterable[Instruction]) -> None:
        """Does what the registry has returned."""
        for each in instructions:
            if isinstance(each, do.Fork):
                self._fork(each.actor_id)
            elif isinstance(each, do.ForkLater):
                self._loop.call_later(each.delay, self._fork_now, each.actor_id)
            elif isinstance(each, do.Kill):
                self.nursery.signal([each.pid], signal.SIGKILL)
            elif isinstance(each, do.End):
                self._end(each.actor_id, each.pid)
            elif isinstance(each, do.Bury):
                self._bury(each)
            else:
                self._tell(each)
        admitted = self._admit()
        if admitted:
            self.perform(admitted)

    # --- beginning ----------------------------------------------------------------------------------------------

    def _fork_now(self, actor_id: str) -> None:
        self.perform(self._registry.due(actor_id))

    def _fork(self, actor_id: str) -> None:
        spec = self._registry.living[actor_id].spec
        try:
            writing, reading = self.outputs.open(actor_id)
        except OSError as error:
            reason = str(explain_exhaustion(error))
            self.perform(self._registry.fork_failed(actor_id, reason, time.monotonic()))
            return
        cradle = self._cradles[actor_id]
        is_restartable = spec.budget.max_restarts != 0
        closing = [*writing] if is_restartable else [*cradle, *writing]
        if not is_restartable:
            self._cradles[actor_id] = ()
        gpus = None if spec.gpus is None else ",".join(spec.gpus)
        message = Fork(actor_id, 0 if spec.keeps_session else spec.owner_pid, is_restartable, gpus)
        self.nursery.fork(message, spec.encode(), [*cradle, *writing, *reading], closing)

    def adopt(self, message: Kept, spec: Spec, descriptors: list[int]) -> None:
        """Takes over an actor of the node before this one."""
        actor_id = message.actor_id
        self.outputs.adopt(actor_id, descriptors[:2])
        self._cradles[actor_id] = tuple(descriptors[2:])
        if message.pid:
            self._actors_by_pid[message.pid] = actor_id
        self.perform(self._registry.adopt(spec, message.pid, time.monotonic()))

    # --- ending -------------------------------------------------------------------------------------------------

    def _end(self, actor_id: str, pid: int) -> None:
        self.nursery.signal([pid], signal.SIGTERM)
        actor = self._registry.living.get(actor_id)
        is_urgent = actor is not None and actor.cause in _IN_A_HURRY
        grace = GRACE if is_urgent else LONG_GRACE
        self._loop.call_later(grace, self.cut_off, [pid], grace)

    def cut_off(self, pids: Iterable[int], grace: float) -> None:
        """Kills those of the processes that live, once: they had ``grace`` seconds."""
        late = [pid for pid in pids if pid in self._actors_by_pid and self._registry.overdue(pid)]
        self.killed += len(late)
        for pid in late:
            self._tell(do.CutOff(self._actors_by_pid[pid], grace))
        self.nursery.signal(late, signal.SIGKILL)

    def on_news(self, message: Zygote) -> None:
        """The zygote has something to tell of a process."""
        now = time.monotonic()
        if isinstance(message, Forked):
            self._actors_by_pid[message.pid] = message.actor_id
            self.perform(self._registry.forked(message.actor_id, message.pid, now))
            self.outputs.begin(message.actor_id)
        elif isinstance(message, Exited):
            tail = self.outputs.finish(self._actors_by_pid.pop(message.pid, ""))
            self.perform(self._registry.exited(message.pid, message.code, tail, now))
        elif isinstance(message, ForkFailed):
            self.outputs.finish(message.actor_id)
            self.perform(self._registry.fork_failed(message.actor_id, message.reason, now))

    def kill_groups(self) -> None:
        """Kills what actors have started: they have died with the zygote, and it not with them."""
        self.nursery.signal(list(self._actors_by_pid), signal.SIGKILL)

    def lose_all(self, detail: str) -> None:
        """The zygote has died, and all actors with it."""
        self._actors_by_pid.clear()
        self.outputs.finish_all()
        self.perform(self._registry.all_died("zygote_lost", detail, time.monotonic()))

    def _bury(self, dead: do.Bury) -> None:
        self.discard(dead.actor_id)
        unlink(dead.address)
        unlink(f"{dead.address}.stack")
        # Last: should this node be killed meanwhile, the next one hears of the actor, and buries it again.
        self.nursery.forget(dead.actor_id)
