"""An actor's life in its process: from its birth to its end.

The main thread runs the loop of an async actor, and the methods of a single-threaded one (sqlite3 connections,
signal handlers and GUI toolkits expect them there). A threaded actor's mailbox has a loop in a thread beside it.
"""

from __future__ import annotations

import asyncio
import faulthandler
import functools
import os
import signal
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NoReturn

from actorio._caller.creation import Home
from actorio._caller.node import NodeClient
from actorio._caller.pending import HERE
from actorio._caller.runtime import CallerRuntime
from actorio._caller.task_worker import TaskWorker
from actorio._model import context, runtime
from actorio._model.argument import OWN
from actorio._model.concurrency import Rules
from actorio._model.handle import ActorHandle, ActorIdentity
from actorio._model.reference import ObjectRef
from actorio._model.resources import GPUS_VARIABLE
from actorio._model.task_error import remote_traceback
from actorio._transport.lookout import new_lookout
from actorio._transport.loops import new_slim_loop
from actorio._transport.serving import Server
from actorio._transport.signals import set_handler, set_mask
from actorio._transport.spin import LoopSpin
from actorio._worker import output
from actorio._worker.blocking import BlockingGuard
from actorio._worker.dispatcher import LoopDispatcher
from actorio._worker.early import Dispatcher, EarlyEnds
from actorio._worker.ending import PATIENCE, Ending, leave, leave_by_signal
from actorio._worker.executor import ActorEndsError, Executor, StopRequestedError, ends_by
from actorio._worker.forks import be_an_actor
from actorio._worker.inspection import dump_path, install_stack_dump, remove_stack_dump
from actorio._worker.interruption import raise_if_due
from actorio._worker.rousing import Rouser
from actorio._worker.stall import StallWatch
from actorio._worker.surroundings import complete, forget_the_template, reseed, take_over
from actorio._worker.threads import ThreadDispatcher

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import FrameType

    from actorio._model.birth import Birth
    from actorio._model.certificate import DeathCertificate
    from actorio._transport.lookout import LoopLookout

# How long the last answers have to leave when a threaded actor ends, in seconds.
_FAREWELL = 1.0


class Life:
    """One actor's life in its process.

    What is the same for all actors of a session is made with it, in the template that they are forked from.

    Args:
        directory: the session's directory.
    """

    birth: Birth
    listener: socket.socket
    server: Server
    _watch: StallWatch
    _mailbox_thread: threading.Thread

    def __init__(self, directory: str) -> None:
        self.gpus: str | None = None
        self._directory = directory
        home = Home(directory, os.path.basename(directory), "", is_anonymous=True, stall_limit=0.0)  # noqa: PTH119
        self.runtime = CallerRuntime(
            home, lambda: NodeClient(directory, "actor", actor_id=self.birth.actor_id), self._around_blocking
        )
        self.guard = BlockingGuard()
        self.ending = Ending(self._report_end)
        self.executor: Executor | None = None
        self.dispatcher: LoopDispatcher | None = None
        # The loop of a threaded actor's mailbox.
        self.mailbox_loop: asyncio.AbstractEventLoop | None = None
        # What a call that waits for others runs in, where it makes room for another one.
        self.resting: Callable[[], AbstractContextManager[None]] | None = None
        # May SIGTERM interrupt the main thread where it is? And has it come?
        self._is_interruptible = self._is_stop_asked = False
        # The file that its stacks are written to.
        self._dump = -1
        self._records = output.RecordForwarder(self.runtime.node)

    def forget(self) -> None:
        """Leaves nothing of this life in the process: it was not meant, and there will be another."""
        self._forget_in_child()
        OWN.instance = OWN.handle = None
        remove_stack_dump(self._dump)

    def furnish(self) -> None:
        """Puts into the process what all actors have there."""
        forget_the_template()
        output.use_lines()
        output.forward_records(self._records)
        faulthandler.enable(all_threads=False)
        runtime.install(self.runtime)

    def be(self, birth: Birth, listener: socket.socket, gpus: str | None) -> None:
        """Becomes the life of this actor. ``gpus`` are those that it may use; None: those of its maker."""
        self.birth, self.listener, self.gpus = birth, listener, gpus
        self.guard.name, self.guard.is_forbidden = birth.name, birth.is_async and not birth.allow_blocking_get
        self.runtime.settle(
            Home(self._directory, birth.session, birth.namespace, birth.is_anonymous, birth.stall_limit)
        )
        self.ending.actor_id, self.ending.class_name = birth.actor_id, birth.name
        self._records.label = birth.name
        reseed()
        take_over(birth.surroundings)
        if gpus is not None:
            os.environ[GPUS_VARIABLE] = gpus
        self._dump = install_stack_dump(dump_path(birth.address))

    def live(self) -> NoReturn:
        """Runs the actor until something ends it."""
        if self.birth.is_async:
            self._live_on_loop()
        else:
            self._live_in_threads()
        leave(0)

    def _report_end(self, certificate: DeathCertificate, timeout: float) -> None:
        self.runtime.node().report_end(certificate, timeout)

    def _forget_in_child(self) -> None:
        runtime.install(None)
        context.install(context.RuntimeContext())
        HERE.resting = None
        self.runtime.abandon()

    def _around_blocking(self, function: str) -> AbstractContextManager[None]:
        self.guard.check(function)
        raise_if_due()
        return nullcontext() if self.resting is None else self.resting()

    def _rules(self) -> Rules:
        return self.birth.rules or Rules(self.birth.max_concurrency)

    def _early(self, loop: asyncio.AbstractEventLoop, executor: Executor) -> Callable[[Dispatcher], EarlyEnds]:
        return functools.partial(EarlyEnds, loop, executor, self.birth.cancel_grace, self.runtime.cancel_made_in)

    def _new_server(
        self,
        loop: asyncio.AbstractEventLoop,
        dispatcher: LoopDispatcher | ThreadDispatcher,
        *,
        spin: LoopSpin | None = None,
        lookout: LoopLookout | None = None,
    ) -> Server:
        take_back, intake = HERE.holdings.take_back, dispatcher.intake
        return Server(loop, self.listener, dispatcher.on_requests, take_back, intake, spin, lookout)

    def _load(self) -> Executor:
        executor = Executor(self.birth)
        identity = ActorIdentity(
            self.birth.actor_id,
            self.birth.address,
            self.birth.session,
            executor.definition,
            is_ordered=self.birth.max_concurrency == 1 and not self.birth.is_async,
        )
        birth = self.birth
        gpus = tuple(self.gpus.split(",")) if self.gpus else ()
        handle = ActorHandle(identity)
        context.install(context.RuntimeContext(birth.session, handle, birth.actor_id, birth.namespace, gpus))
        return executor

    # --- async actors -------------------------------------------------------------------------------------------

    def _live_on_loop(self) -> None:
        loop = new_slim_loop()
        asyncio.set_event_loop(loop)
        loop.add_signal_handler(signal.SIGTERM, self._end_on_loop, loop, None)
        be_an_actor(self._forget_in_child)
        # The loop itself keeps only a weak reference to a task.
        self._start = loop.create_task(self._start_watched(loop))
        try:
            # Once: between two runs a loop misses signals.
            loop.run_forever()
        except SystemExit as error:
            # Raised in a task that is no call.
            self._end_on_loop(loop, ends_by(error))
            loop.run_forever()

    async def _start_watched(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            dispatcher = await self.start_on_loop(loop)
            self._watch.start(dispatcher.is_running)
        except Exception as error:
            # Nobody awaits this task.
            self._fail(error)

    async def start_on_loop(self, loop: asyncio.AbstractEventLoop) -> LoopDispatcher:
        """Makes the instance, and begins to take calls."""
        # Not before the loop runs, which hears of signals from then on only.
        set_mask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        try:
            executor = self._load()
            args, kwargs = await _there(executor.arguments())
            complete()
            args = tuple([await _there(value) for value in args])
            kwargs = {name: await _there(value) for name, value in kwargs.items()}
            executor.construct(args, kwargs)
        except BaseException as error:  # whatever the constructor raises ends the actor
            self._fail(error)
        self.executor = executor
        self.guard.arm()
        self._watch = watch = StallWatch(loop, self.birth.name, self.birth.stall_limit)
        end = functools.partial(self._end_on_loop, loop)
        dispatcher = LoopDispatcher(loop, executor, self._rules(), watch, end, self._early(loop, executor))
        self.dispatcher = dispatcher
        self.server = self._new_server(loop, dispatcher, spin=LoopSpin(loop))
        return dispatcher

    def _end_on_loop(self, loop: asyncio.AbstractEventLoop, end: ActorEndsError | None) -> None:
        """Begins the end; without ``end``, because of a SIGTERM."""
        if self.ending.claim():
            if self.dispatcher is not None:
                self.dispatcher.close()
            self._last_task = loop.create_task(self._finish_on_loop(end))

    async def _finish_on_loop(self, end: ActorEndsError | None) -> None:
        if end is not None and end.cause is not None:
            self.ending.say_why(end.cause)
        if self.dispatcher is not None:
            is_urgent = end is None or not end.lets_others_finish
            await self.dispatcher.finish(is_urgent=is_urgent)
        await self.ending.run_hook_on_loop(self.executor)
        if end is None:
            leave_by_signal()
        leave(end.code)

    # --- threaded actors ----------------------------------------------------------------------------------------

    def _live_in_threads(self) -> None:
        set_handler(signal.SIGTERM, self._on_sigterm)
        be_an_actor(self._forget_in_child)
        # Before the constructor: what the actor's own code does with signals comes after.
        rouser = Rouser()
        set_mask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        dispatcher = self.start_in_threads(rouser)
        try:
            self._is_interruptible = True
            if not self._is_stop_asked:
                dispatcher.work()
        except StopRequestedError:
            pass
        dispatcher.lookout.let_go()
        self._end_by_signal()

    def start_in_threads(self, rouser: Rouser) -> ThreadDispatcher:
        """Makes the instance, and begins to take calls, which this thread is to run."""
        try:
            executor = self._load()
            args, kwargs = self._resolve(executor.arguments())
            complete()
            executor.construct(tuple(map(self._resolve, args)), {k: self._resolve(v) for k, v in kwargs.items()})
        except BaseException as error:  # whatever the constructor raises ends the actor
            self._fail(error)
        self.executor = executor
        self.mailbox_loop = loop = new_slim_loop()
        early = self._early(loop, executor)
        lookout = new_lookout(loop)
        dispatcher = ThreadDispatcher(loop, executor, self._rules(), self._end_in_thread, early, lookout)
        if isinstance(executor.instance, TaskWorker):
            self.guard.tasks_thread = executor.instance.loop_thread
            executor.instance.on_load = complete
            dispatcher.rests_in = HERE.resting = self.runtime.tasks.resting
            # The node says when a worker is to end.
            self.runtime.node()
            self.resting = dispatcher.resting
        self._mailbox_thread = threading.Thread(
            target=self._serve, args=(loop, dispatcher, rouser), name="actorio-mailbox", daemon=True
        )
        self._mailbox_thread.start()
        return dispatcher

    def close_mailbox(self) -> None:
        """Undoes what `start_in_threads` has begun, in the thread that has called it."""
        if self.mailbox_loop is None:
            raise AssertionError("it has been begun")
        self.mailbox_loop.call_soon_threadsafe(self.mailbox_loop.stop)
        self._mailbox_thread.join()
        self.server.close()
        self.mailbox_loop.close()

    def _end_by_signal(self) -> NoReturn:
        if self.ending.claim():
            self._let_answers_leave()
            self.ending.run_hook(self.executor)
            leave_by_signal()
        _leave_it_to_another_thread()

    def _on_sigterm(self, _number: int, _frame: FrameType | None) -> None:
        # The constructor is left to finish: what it has begun, the hook can undo only then.
        self._is_stop_asked = True
        if self._is_interruptible:
            self._is_interruptible = False
            raise StopRequestedError

    def _end_in_thread(self, dispatcher: ThreadDispatcher, end: ActorEndsError) -> NoReturn:
        # A SIGTERM must not interrupt the end in the midst: nobody else would go on with it.
        self._is_interruptible = False
        if self.ending.claim():
            if end.cause is not None:
                self.ending.say_why(end.cause)
            dispatcher.finish(PATIENCE if end.lets_others_finish else 0.0)
            self._let_answers_leave()
            self.ending.run_hook(self.executor)
            leave(end.code)
        _leave_it_to_another_thread()

    def _let_answers_leave(self) -> None:
        """Waits for the mailbox's loop, which sends the answers that wait for company."""
        if self.mailbox_loop is not None:
            have_left = threading.Event()
            self.mailbox_loop.call_soon_threadsafe(have_left.set)
            have_left.wait(_FAREWELL)

    def _serve(self, loop: asyncio.AbstractEventLoop, dispatcher: ThreadDispatcher, rouser: Rouser) -> None:
        rouser.listen(loop)
        self.server = self._new_server(loop, dispatcher, lookout=dispatcher.lookout)
        loop.run_forever()

    def _resolve(self, value: Any) -> Any:
        return self.runtime.get([value], None)[0] if isinstance(value, ObjectRef) else value

    # --- the end ------------------------------------------------------------------------------------------------

    def _fail(self, error: BaseException) -> NoReturn:
        """Tells the node why there is no actor, and ends."""
        if isinstance(error, SystemExit):
            end = ends_by(error)
            if end.cause is not None:
                self.ending.say_why(end.cause)
            leave(end.code)
        self.ending.say_why("constructor", remote_traceback(error))
        leave(1)


async def _there(value: Any) -> Any:
    """Returns a value, or what it is a reference to."""
    return await value if isinstance(value, ObjectRef) else value


def _leave_it_to_another_thread() -> NoReturn:
    threading.Event().wait()
    raise AssertionError("another thread ends the process")
