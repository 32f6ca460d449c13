"""Function tasks: each waits for a lease, runs in the worker of that, and again in another one should that die."""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections import Counter, deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from actorio._caller.arguments import pickled_definition
from actorio._caller.flows import StreamResult
from actorio._caller.lines import Line, Todo
from actorio._caller.pending import PENDING, VALUE, Aside, PendingResult, result_of
from actorio._caller.retries import RetriedResult
from actorio._caller.several import split
from actorio._caller.task_worker import THREADS, WHO_RESTS, TaskWorker
from actorio._model.actor_options import ActorOptions
from actorio._model.context import get_runtime_context
from actorio._model.definition import ClassDefinition
from actorio._model.errors import TaskCancelledError, WorkerCrashedError, not_begun
from actorio._model.resources import CPU, UNIT
from actorio._transport.threads import start_thread
from actorio._wire import messages as m
from actorio._wire.payload import NONE, dumps, loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from actorio._caller.calls import Calls
    from actorio._caller.creation import ActorMaker
    from actorio._caller.lines import Lease
    from actorio._caller.node import NodeClient
    from actorio._model.handle import ActorIdentity
    from actorio._model.reference import ObjectRef
    from actorio._model.task import Task
    from actorio._wire.frames import Payload
    from actorio._wire.messages import Message

# The methods of a worker that run functions.
RUN, RUN_FREELY = TaskWorker.run.__name__, TaskWorker.run_freely.__name__
# How long a lease is kept for the next task, in seconds: as long as nobody else wants what it has.
_LINGER = 0.1
# So many leases of one kind are asked for at once, at most.
_MANY = 64
# How often a worker that is to end looks whether anybody still needs a value of its, in seconds.
_PAUSE = 0.1


class TaskResult(RetriedResult):
    """The result of a task, which another worker may run when the one that ran it has died.

    Attributes:
        lease: what it runs on, or has run on last.
        send_to: sends it to a worker.
    """

    __slots__ = ("lease", "send_to")

    outlives_actor = True
    lease: Lease | None
    send_to: Callable[[ActorIdentity, PendingResult], None]


class TaskStream(StreamResult):
    """The result of a task whose values stream; for ``lease`` see `TaskResult`."""

    __slots__ = ("lease", "send_to")

    lease: Lease | None
    send_to: Callable[[ActorIdentity, PendingResult], None]


class Tasks:
    """The tasks of this process that run or wait, and the leases that it has for them.

    Args:
        node: returns the connection to the node.
        calls: makes tasks into calls.
        maker: makes workers.
        is_needed: does another process need a value of this one's?
        numbers: of results.
    """

    def __init__(
        self,
        node: Callable[[], NodeClient],
        calls: Calls,
        maker: ActorMaker,
        is_needed: Callable[[], bool],
        numbers: Iterator[int],
    ) -> None:
        self._node = node
        self._calls = calls
        self._maker = maker
        self._is_needed = is_needed
        self._numbers = numbers
        # Guards the lines. Never held while something is sent: the node's reader asks for `repeated`.
        # A signal's handler or a finaliser may make a task in the midst of this: its change waits for the other one.
        self._lock = threading.RLock()
        self._is_changing = False
        self._later: deque[Callable[[], None]] = deque()
        # A line lives as long as a task or a lease of its.
        self._lines: weakref.WeakValueDictionary[Any, Line] = weakref.WeakValueDictionary()
        # Those that were asked for and have not been given back.
        self._leases: dict[int, Lease] = {}
        self._lease_numbers = itertools.count(1)
        # Those that run and whose end nobody may hear of, as long as nobody waits for them.
        self._unseen: deque[TaskResult | TaskStream] = deque()
        self._is_tidying = False
        self._is_over = threading.Event()
        self._end = ""
        self._payload = b""
        # Of a worker: which of its tasks wait for others, and in how many threads and coroutines.
        self._resting: Counter[object] = Counter()
        self._rest_lock = threading.Lock()

    # --- from any thread ----------------------------------------------------------------------------------------

    def run(self, task: Task, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[ObjectRef[Any]]:
        """Runs a function, as soon as its arguments are there and what it needs is free; see `Runtime.run_task`."""
        line = self._line(task)
        send_to, refs = self._prepare(task, args, kwargs)
        number = next(self._numbers)
        result = TaskResult(number, task.definition, task.manner, lambda _: self._again(line, result))
        self._calls.set_way(result, task.manner, is_task=True)
        self._begin_to_wait(result, send_to, refs, line)
        return split(result, self._numbers)

    def stream(self, task: Task, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> StreamResult:
        """Runs a generator function; see `Runtime.stream_task`."""
        line = self._line(task)
        send_to, refs = self._prepare(task, args, kwargs)
        result = TaskStream(next(self._numbers), None, task.definition, task.manner.window, self._numbers)
        self._calls.set_way(result, task.manner, is_task=True)
        self._begin_to_wait(result, send_to, refs, line)
        return result

    def _prepare(self, task: Task, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        method = RUN if any(name == CPU for name, _ in task.needs.amounts) else RUN_FREELY
        return self._calls.prepare_task(task.definition, args, kwargs, task.payload, method)

    def _line(self, task: Task) -> Line:
        needs, name = task.needs, task.definition.call_name
        key = (needs, task.payload) if needs.max_calls else needs
        # Connects to the node, the first time; not while the lines are guarded.
        node = self._node()
        with self._lock:
            line = self._lines.get(key)
            if line is None:
                amounts = dict(needs.amounts)
                self._maker.check(f"{name}()", amounts)
                most = _most(amounts, node.resources)
                line = self._lines[key] = Line(needs, name, self._lease_numbers, most)
            return line

    def _begin_to_wait(
        self,
        result: TaskResult | TaskStream,
        send_to: Callable[[ActorIdentity, PendingResult], None],
        refs: Sequence[ObjectRef[Any]],
        line: Line,
    ) -> None:
        result.send_to, result.lease = send_to, None
        result.add_callback(Aside(self._finished))
        self._when_there(refs, result, line)

    def _when_there(self, refs: Sequence[ObjectRef[Any]], task: TaskResult | TaskStream, line: Line) -> None:
        """Has a task stand in line when its arguments are there: until then it needs nothing."""
        needed = [result_of(ref) for ref in refs]
        missing = {one for one in needed if not one.is_done()}

        def stand_in_line() -> None:
            if task.state != PENDING:
                # Cancelled meanwhile.
                return
            failed = next((one for one in needed if one.has_failed()), None)
            if failed is not None:
                task.complete_like(failed)
            else:
                self._do(line.add, task, fresh=None if missing else task)

        if not missing:
            stand_in_line()
            return
        left = itertools.count(len(missing) - 1, -1)
        for one in missing:
            one.add_callback(lambda _: None if next(left) else stand_in_line())
            one.see_to_pumping(None)

    # --- what the lines want ------------------------------------------------------------------------------------

    def _do(self, change: Callable[..., Todo], *args: Any, fresh: Any = None, **kwargs: Any) -> None:
        """Changes a line, and does what follows; ``fresh`` is a task that its maker is about to wait for."""
        with self._lock:
            if self._is_changing:
                self._later.append(lambda: self._do(change, *args, fresh=fresh, **kwargs))
                return
            self._is_changing = True
            try:
                todo = change(*args, **kwargs)
            finally:
                self._is_changing = False
            self._leases.update((lease.number, lease) for lease in todo.ask)
            for lease in todo.release:
                self._leases.pop(lease.number, None)
            if fresh is not None and todo.run:
                self._unseen.append(fresh)
            begins_to_tidy = not self._is_tidying and self._is_untidy()
            self._is_tidying = self._is_tidying or begins_to_tidy
        if self._is_over.is_set():
            self._give_up(task for _, task in todo.run)
        else:
            self._perform(todo, fresh)
        if begins_to_tidy and start_thread(self._tidy, "actorio-leases") is None:
            self._is_tidying = False
        while self._later:
            with suppress(IndexError):
                self._later.popleft()()

    def cancel(self, task: TaskResult | TaskStream, *, is_forced: bool, is_recursive: bool) -> None:
        """Has a task end: one that waits is not run, one that runs is asked to end, or ended with its worker."""
        lease, lane = task.lease, task.lane
        if lease is None or lease.worker is None or lane is None:
            with self._lock:
                for line in list(self._lines.values()):
                    line.withdraw(task)
            task.fail(lambda: not_begun(task.call))
        elif is_forced:
            text = f"the task {task.call}() was cancelled with force: its process was ended"
            task.fail(lambda: TaskCancelledError(None, text))
            self._node().kill(lease.worker.actor_id, may_restart=False)
        else:
            lane.cancel(task, is_recursive=is_recursive)

    def made_in(self, parent: object) -> list[TaskResult | TaskStream]:
        """Returns the tasks that a call of this process has made, and that wait for their turn."""
        with self._lock:
            waiting = [task for line in list(self._lines.values()) for task in line.waiting]
        return [task for task in waiting if task.parent is parent]

    def _perform(self, todo: Todo, fresh: Any = None) -> None:
        for lease, task in todo.run:
            self._begin(lease, task)
            if task is not fresh:
                # Whoever waits for it has begun to do so without a lane, or does not wait.
                task.see_to_pumping(None)
        if fresh is not None and not todo.run:
            self._see_to_ends()
        if not (todo.ask or todo.make or todo.release):
            return
        node = self._node()
        for lease in todo.release:
            node.offer(m.Release(lease.number))
        for lease in todo.ask:
            node.offer(_request(lease))
        for lease in todo.make:
            if start_thread(lambda lease=lease: self._make(lease), "actorio-worker") is None:  # type: ignore[misc]
                self._do(lease.line.made, lease, None, time.monotonic())

    def _begin(self, lease: Lease, task: TaskResult | TaskStream) -> None:
        task.lease = lease
        if lease.worker is None:
            raise AssertionError("tasks begin where there is a worker")
        if task.state != PENDING:
            # Cancelled while it was about to begin.
            self._leave(task)
            return
        if isinstance(task, TaskStream) and task.is_left:
            # Nobody takes its items any more.
            task.complete(VALUE, NONE)
            return
        try:
            task.send_to(lease.worker, task)
        except Exception as error:
            # No descriptors are left, for example.
            reason = error
            task.fail(lambda: reason)

    def _see_to_ends(self) -> None:
        """A task waits for the end of those that run: somebody has to hear of it."""
        while self._unseen:
            with suppress(IndexError):
                self._unseen.pop().see_to_pumping(None)

    def _make(self, lease: Lease) -> None:
        """Makes a worker for a lease."""
        worker = None
        try:
            worker = self._new_worker(lease)
        except Exception as error:
            reason = error
            task = self._first_of(lease.line)
            if task is not None:
                task.fail(lambda: reason)
        self._do(lease.line.made, lease, worker, time.monotonic())

    def _new_worker(self, lease: Lease) -> ActorIdentity:
        self._payload = self._payload or pickled_definition(TaskWorker)
        worker, _ = self._maker.make(
            ClassDefinition.of(TaskWorker),
            self._payload,
            dumps(((), {})),
            ActorOptions(max_concurrency=THREADS),
            lease=(lease.number, lease.line.is_private),
        )
        return worker

    def _first_of(self, line: Line) -> TaskResult | TaskStream | None:
        with self._lock:
            return line.waiting.popleft() if line.waiting else None

    # --- ends ---------------------------------------------------------------------------------------------------

    def _finished(self, task: PendingResult) -> None:
        """A task has its result."""
        if isinstance(task, TaskResult | TaskStream):
            with suppress(ValueError):
                self._unseen.remove(task)
            self._leave(task)

    def _leave(self, task: TaskResult | TaskStream) -> None:
        lease, task.lease = task.lease, None
        if lease is None:
            return
        is_dead = task.state != VALUE if task.lane is None else task.lane.is_lost
        self._do(lease.line.ended, lease, time.monotonic(), is_dead=is_dead)

    def _again(self, line: Line, task: TaskResult) -> None:
        """Runs a task once more: its worker has died, or its function has failed so."""
        self._leave(task)
        task.lane = None
        self._do(line.add, task, is_first=True)

    def _tidy(self) -> None:
        """Gives idle leases back, and sees to it that tasks end on the others, until there are none of either.

        In a thread of its own.
        """
        while not self._is_over.wait(_LINGER):
            self._see_to_ends()
            before = time.monotonic() - _LINGER
            for line in {lease.line for lease in self._copy_of_leases()}:
                self._do(line.tidy, before)
            with self._lock:
                self._is_tidying = self._is_untidy()
                if not self._is_tidying:
                    return

    def _is_untidy(self) -> bool:
        return bool(self._unseen) or any(map(_is_idle, self._leases.values()))

    def _copy_of_leases(self) -> list[Lease]:
        with self._lock:
            return list(self._leases.values())

    def close(self, end: str = "its session was shut down") -> None:
        """Ends tasks that have not begun: this process leaves its session, or ``end`` says why it is over."""
        self._end = self._end or end
        self._is_over.set()
        self._give_up(())

    def _give_up(self, begun: Iterable[TaskResult | TaskStream]) -> None:
        with self._lock:
            waiting = [task for line in list(self._lines.values()) for task in line.drop()]
        for task in (*begun, *waiting):
            text = f"the task {task.call}() was not run: {self._end}"
            task.fail(lambda text=text: WorkerCrashedError(text))

    # --- what the node says, in the thread that reads it --------------------------------------------------------

    def hear(self, message: m.Leased | m.Wanted | m.Retire, payload: Payload) -> None:
        """The node answers, or wants something back."""
        if isinstance(message, m.Retire):
            start_thread(self._retire, "actorio-retire")
            return
        lease = self._leases.get(message.id)
        if lease is None:
            # Nobody needs it any more.
            self._node().offer(m.Release(message.id))
        elif isinstance(message, m.Wanted):
            self._see_to_ends()
            self._do(lease.line.wanted, lease)
        else:
            worker: ActorIdentity | None = loads(payload) if payload else None
            self._do(lease.line.granted, lease, worker, time.monotonic(), is_wanted=message.is_wanted)

    def repeated(self) -> list[Message]:
        """Returns what a new node has to know of this process's tasks."""
        leases: list[Message] = [_request(lease) for lease in self._copy_of_leases()]
        return [*leases, m.Rest(len(self._resting))] if self._resting else leases

    # --- in a worker --------------------------------------------------------------------------------------------

    @contextmanager
    def resting(self) -> Iterator[None]:
        """While a task of this worker waits for others, it needs no CPU. In one of its threads or coroutines."""
        who = WHO_RESTS.get()
        if who is None:
            yield
            return
        node = self._node()
        self._rest(node, who, 1)
        try:
            yield
        finally:
            self._rest(node, who, -1)

    def _rest(self, node: NodeClient, who: object, change: int) -> None:
        with self._rest_lock:
            before = len(self._resting)
            self._resting[who] += change
            if not self._resting[who]:
                del self._resting[who]
            if len(self._resting) != before:
                node.offer(m.Rest(len(self._resting)))

    def _retire(self) -> None:
        """Ends this worker when nobody needs a value of its any more."""
        while self._is_needed():
            time.sleep(_PAUSE)
        actor_id = get_runtime_context().actor_id
        if actor_id is not None:
            self._node().end(actor_id)


def _request(lease: Lease) -> m.Lease:
    line, worker = lease.line, lease.worker
    worker_id = "" if worker is None else worker.actor_id
    return m.Lease(lease.number, line.amounts, line.label, line.number, line.is_private, lease.is_granted, worker_id)


def _is_idle(lease: Lease) -> bool:
    return lease.worker is not None and not lease.running


def _most(amounts: Mapping[str, int], totals: Mapping[str, int]) -> int:
    """Returns how many leases are worth to be asked for at once: as many as can be had."""
    fitting = [totals.get(name, 0) // amount for name, amount in amounts.items()]
    return max(1, min(_MANY, min(fitting, default=totals.get(CPU, 0) // UNIT)))
