"""The public API as its users meet it: names, sessions, classes, options, calls, handles, references, the verbs."""

import asyncio
import concurrent.futures
import copy
import gc
import pickle
import re
import socket
import subprocess
import sys
import threading

import pytest

import actorio
import actorio as ray
from actorio.exceptions import ActorClassInheritanceException, GetTimeoutError, RayError, RaySystemError

PUBLIC = {
    "available_resources",
    "cluster_resources",
    "get_gpu_ids",
    "ActorHandle",
    "ObjectRef",
    "ObjectRefGenerator",
    "Stream",
    "RestartPolicy",
    "actor",
    "cloudpickle",
    "exceptions",
    "get",
    "get_actor",
    "get_runtime_context",
    "init",
    "is_initialized",
    "cancel",
    "kill",
    "method",
    "methods_of",
    "put",
    "remote",
    "shutdown",
    "util",
    "wait",
}


# -- names ---------------------------------------------------------------------------------------------------------


def test_the_public_names_are_these():
    assert set(actorio.__all__) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_public_name_is_there_and_listed(name):
    assert getattr(actorio, name) is getattr(actorio, name)
    assert name in dir(actorio)


def test_a_name_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match="'actorio' has no attribute 'nonesuch'"):
        actorio.nonesuch  # noqa: B018  # looking it up is the test


def test_a_star_import_brings_the_public_names_alone():
    names = {}
    exec("from actorio import *", names)
    assert set(names) - {"__builtins__"} == PUBLIC


# -- sessions: these tests start their own, and stand before the tests that share one --------------------------------


def test_a_session_lasts_from_init_to_shutdown():
    assert not actorio.is_initialized()
    actorio.init()
    assert actorio.is_initialized()
    actorio.shutdown()
    assert not actorio.is_initialized()


def test_shutdown_without_a_session_does_nothing():
    actorio.shutdown()
    actorio.shutdown()
    assert not actorio.is_initialized()


def test_init_can_be_a_with_block():
    with actorio.init():
        assert actorio.is_initialized()
    assert not actorio.is_initialized()


def test_init_can_be_an_async_with_block():
    async def main():
        async with actorio.init():
            assert await ray.put(1) == 1

    asyncio.run(main())
    assert not actorio.is_initialized()


def test_a_with_block_that_raises_ends_its_session():
    with pytest.raises(ZeroDivisionError), actorio.init():
        1 / 0  # noqa: B018  # raising is the test
    assert not actorio.is_initialized()


def test_a_second_init_is_refused_and_leaves_the_session_as_it_was():
    with actorio.init():
        with pytest.raises(RuntimeError, match=r"shutdown\(\).*ignore_reinit_error=True"):
            actorio.init()
        assert actorio.is_initialized()


def test_a_second_init_can_be_let_through():
    with actorio.init() as first:
        assert actorio.init(ignore_reinit_error=True).address_info == first.address_info


@pytest.mark.parametrize(
    ("option", "error", "text"),
    [
        ({"loop_stal_limit": 1}, ValueError, "did you mean loop_stall_limit"),
        ({"log_to_driver": "yes"}, TypeError, "must be bool"),
        ({"loop_stall_limit": 0}, ValueError, "greater than 0"),
        ({"preload": ["not a module"]}, ValueError, "not the name of a module"),
    ],
    ids=["unknown", "of the wrong type", "out of range", "malformed"],
)
def test_init_with_an_option_that_is(option, error, text):
    with pytest.raises(error, match=text):
        actorio.init(**option)
    assert not actorio.is_initialized()


@actorio.remote
class Counter:
    def __init__(self, value=0):
        self.value = value

    def add(self, n=1):
        self.value += n
        return self.value


@actorio.remote
def double(n):
    return 2 * n


@pytest.mark.parametrize(
    "use",
    [lambda: Counter.remote().add.remote(1), lambda: double.remote(0.5), lambda: actorio.put(1)],
    ids=["an actor", "a task", "put"],
)
def test_a_session_starts_by_itself_on_the_first_use_by(use):
    assert not actorio.is_initialized()
    try:
        assert actorio.get(use()) == 1
        assert actorio.is_initialized()
    finally:
        actorio.shutdown()


def test_defining_and_asking_start_no_session():
    actorio.remote(type("Unused", (), {})).options(num_cpus=1)
    actorio.get_runtime_context()
    assert not actorio.is_initialized()


def test_a_handle_from_an_earlier_session_says_so():
    with actorio.init():
        old = Counter.remote()
    with actorio.init():
        assert actorio.get(Counter.remote().add.remote()) == 1
        with pytest.raises(RaySystemError, match="belongs to another session"):
            old.add.remote()


@actorio.remote
class Hanging:
    def __init__(self, *, is_born=True):
        if not is_born:
            threading.Event().wait()

    def hang(self, _=None):
        threading.Event().wait()

    def lend(self, other):
        return [other.hang.remote()]


async def _hang(actor):
    return actor.hang.remote()


def _hang_in_a_thread(actor):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(actor.hang.remote).result()


def _hang_on_loops(actor):
    ref = asyncio.run(_hang(actor))
    # The next loop sees that this one has closed.
    asyncio.run(_hang(actor))
    return ref


PENDING = {
    "a thread": lambda actor: actor.hang.remote(),
    "another thread": _hang_in_a_thread,
    "a loop that has closed": lambda actor: asyncio.run(_hang(actor)),
    "a loop that has closed, with others after it": _hang_on_loops,
    "a call that waits for its argument": lambda actor: actor.hang.remote(Hanging.remote().hang.remote()),
    "an actor whose constructor has not ended": lambda _: Hanging.remote(is_born=False).hang.remote(),
    "another process": lambda actor: actorio.get(actor.lend.remote(Hanging.remote()))[0],
}


@pytest.mark.parametrize("make", PENDING.values(), ids=PENDING)
def test_shutdown_ends_a_reference_that_waits_made_by(make):
    with actorio.init():
        ref = make(Hanging.remote())
        assert not ref.done()
    assert ref.done()
    assert isinstance(ref.exception(), RayError)


def test_references_of_loops_that_have_closed_keep_no_connection_once_they_are_done():
    async def call(actor):
        return actor.until.remote("released")

    with actorio.init():
        waiting = Waiting.remote()
        asyncio.run(_await(waiting.now.remote(1)))
        few = _sockets()
        refs = [asyncio.run(call(waiting)) for _ in range(20)]
        waiting.release.remote("released")
        actorio.get(refs)
        # Whoever comes next finds that they are done.
        asyncio.run(_await(waiting.now.remote(1)))
        assert _sockets() <= few + 2


def _sockets():
    # Those that are closed are still seen until they are collected.
    return sum(isinstance(thing, socket.socket) and thing.fileno() >= 0 for thing in gc.get_objects())


def test_a_program_written_for_ray_runs_with_the_import_changed(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        """
import actorio as ray

ray.init(num_cpus=2, include_dashboard=False)

@ray.remote(num_cpus=1)
class Account:
    def __init__(self, balance):
        self.balance = balance

    @ray.method(num_returns=1)
    def deposit(self, amount):
        if amount < 0:
            raise ValueError("negative")
        self.balance += amount
        return self.balance

@ray.remote
def square(x):
    return x * x

account = Account.options(max_concurrency=1).remote(10)
assert ray.get([account.deposit.remote(5), square.remote(3)], timeout=20) == [15, 9]
try:
    ray.get(account.deposit.remote(-1))
except ray.exceptions.RayTaskError as error:
    assert isinstance(error.cause, ValueError)
ready, rest = ray.wait([ray.put(1), ray.put(2)], num_returns=2)
assert isinstance(ready[0], ray.ObjectRef) and not rest
assert ray.cloudpickle.loads(ray.cloudpickle.dumps(lambda: 7))() == 7
ray.kill(account)
ray.shutdown()
print("ran", ray.is_initialized())
"""
    )
    ended = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path
    )
    assert (ended.stdout, ended.stderr) == ("ran False\n", "")


# -- making classes remote -----------------------------------------------------------------------------------------


class Plain:
    def hello(self):
        return "hello"


@pytest.mark.parametrize(
    "make",
    [actorio.remote, actorio.remote(max_concurrency=2), lambda cls: actorio.remote(cls).options(num_cpus=0)],
    ids=["bare", "with options", "and changed"],
)
def test_remote_takes_a_class(make, session):
    assert actorio.get(make(Plain).remote().hello.remote()) == "hello"


def test_the_plain_class_stays_usable():
    actorio.remote(Plain)
    assert Plain().hello() == "hello"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: actorio.remote(3), "class or a function, not int"),
        (actorio.remote, "write @remote"),
        (lambda: actorio.remote(Plain, max_concurrency=2), "either one class or function, or options"),
        (lambda: actorio.remote(Plain, Plain), "either one class or function, or options"),
        (lambda: actorio.remote(Counter), "is remote already"),
        (lambda: actorio.remote(max_concurrency=2)("no class"), "class or a function, not str"),
    ],
    ids=["a number", "nothing", "a class and options", "two classes", "a remote class", "a number, with options"],
)
def test_remote_refuses(wrong, text):
    with pytest.raises(TypeError, match=re.escape(text)):
        wrong()


PLACES = {
    "the decorator": lambda **options: actorio.remote(**options)(Plain),
    "the class's options": lambda **options: actorio.remote(Plain).options(**options),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize(
    ("option", "error", "text"),
    [
        ({"max_concurency": 2}, ValueError, "did you mean max_concurrency"),
        ({"scheduling_strategy": "SPREAD"}, ValueError, "scheduling_strategy of Ray is not supported here yet"),
        ({"max_concurrency": "2"}, TypeError, "must be int or None"),
        ({"max_concurrency": True}, TypeError, "must be int or None"),
        ({"max_concurrency": 0}, ValueError, "must be at least 1"),
    ],
    ids=["unknown", "of Ray alone", "of the wrong type", "a bool for a number", "out of range"],
)
def test_an_ill_valued_option_is_refused_where_it_is_written(place, option, error, text):
    with pytest.raises(error, match=text):
        place(**option)


def test_options_of_a_task_are_checked():
    with pytest.raises(ValueError, match="there is no option max_concurrency"):
        double.options(max_concurrency=2)


def test_options_of_a_method_are_checked(session):
    with pytest.raises(ValueError, match="num_returns=-1 is not allowed"):
        Counter.remote().add.options(num_returns=-1)
    with pytest.raises(ValueError, match="at least one option"):
        actorio.method()


def test_a_method_with_options_is_called_the_same_way(session):
    assert actorio.get(Counter.remote().add.options(num_returns=1).remote(3)) == 3


@actorio.remote(max_concurrency=3)
class Meeting:
    def __init__(self):
        self.barrier = threading.Barrier(3)

    def attend(self, patience):
        try:
            self.barrier.wait(patience)
        except threading.BrokenBarrierError:
            return False
        return True


def test_options_are_merged_with_those_of_the_class(session):
    meeting = Meeting.options(num_cpus=1).remote()
    assert actorio.get([meeting.attend.remote(20) for _ in range(3)]) == [True, True, True]


def test_options_given_later_win_and_leave_the_class_alone(session):
    alone = Meeting.options(max_concurrency=1).remote()
    assert actorio.get([alone.attend.remote(0.01) for _ in range(3)]) == [False, False, False]
    meeting = Meeting.remote()
    assert actorio.get([meeting.attend.remote(20) for _ in range(3)]) == [True, True, True]


# -- what cannot be called directly --------------------------------------------------------------------------------


def test_calling_an_actor_class_says_to_use_remote():
    with pytest.raises(TypeError, match=r"Counter\(\).*Counter\.remote\(\.\.\.\)"):
        Counter()


def test_calling_a_method_says_to_use_remote(session):
    with pytest.raises(TypeError, match=r"Counter\.add\(\).*handle\.add\.remote\(\.\.\.\)"):
        Counter.remote().add(1)


def test_calling_a_remote_function_says_to_use_remote():
    with pytest.raises(TypeError, match=r"double\(\).*double\.remote\(\.\.\.\)"):
        double(1)


def test_calling_a_handle_is_a_type_error(session):
    with pytest.raises(TypeError):
        Counter.remote()()


@pytest.mark.parametrize("base", [TypeError, ActorClassInheritanceException])
def test_an_actor_class_cannot_be_inherited_from(base):
    with pytest.raises(base, match="inherit from the plain class"):

        class Derived(Counter):
            pass


# -- calls ---------------------------------------------------------------------------------------------------------


class Base:
    label = "base"

    def inherited(self):
        return f"inherited by {type(self).__name__}"

    def overridden(self):
        return "base"


@actorio.remote
class Shapes(Base):
    label = "shapes"

    def __init__(self, given, /, default=2, *rest, keyword, other=4, **more):
        self.made_with = (given, default, rest, keyword, other, more)
        self.balance = "an attribute"

    def overridden(self):
        return f"derived from {super().overridden()}"

    def constructed(self):
        return self.made_with

    def balance(self):
        return f"a method beside {self.balance}"

    def defaults(self, a, b=2, c=None):
        return a, b, c

    def keywords(self, a, *, key, other=4):
        return a, key, other

    def positional(self, a, b=2, /):
        return a, b

    def anything(self, /, *args, **kwargs):
        return args, kwargs

    def _private(self):
        return "private"

    def __call__(self, x):
        return f"called with {x}"

    def __len__(self):
        return 7

    @staticmethod
    def static(a, b=2):
        return a, b

    @classmethod
    def on_class(cls, a):
        return cls.label, a

    @property
    def prop(self):
        return "a property"


@pytest.fixture(scope="module")
def shapes(session):
    return Shapes.remote(1, keyword=3)


CALLS = {
    "an inherited method": (lambda s: s.inherited.remote(), "inherited by Shapes"),
    "an overridden method, super() included": (lambda s: s.overridden.remote(), "derived from base"),
    "a method beside an attribute of its name": (lambda s: s.balance.remote(), "a method beside an attribute"),
    "defaults left out": (lambda s: s.defaults.remote(1), (1, 2, None)),
    "defaults given by position": (lambda s: s.defaults.remote(1, 3, 4), (1, 3, 4)),
    "arguments by keyword": (lambda s: s.defaults.remote(c=5, a=1), (1, 2, 5)),
    "keyword-only arguments": (lambda s: s.keywords.remote(1, key=2), (1, 2, 4)),
    "all keyword-only arguments": (lambda s: s.keywords.remote(other=3, key=2, a=1), (1, 2, 3)),
    "positional-only arguments": (lambda s: s.positional.remote(1, 3), (1, 3)),
    "any arguments": (lambda s: s.anything.remote(1, 2, x=3, self_=4), ((1, 2), {"x": 3, "self_": 4})),
    "any keyword, self among them": (lambda s: s.anything.remote(self=1, args=2), ((), {"self": 1, "args": 2})),
    "any arguments, none given": (lambda s: s.anything.remote(), ((), {})),
    "a private method": (lambda s: s._private.remote(), "private"),
    "__call__": (lambda s: s.__call__.remote(8), "called with 8"),
    "another special method": (lambda s: s.__len__.remote(), 7),
    "a static method": (lambda s: s.static.remote(1, b=3), (1, 3)),
    "a class method": (lambda s: s.on_class.remote(5), ("shapes", 5)),
}


@pytest.mark.parametrize(("call", "expected"), CALLS.values(), ids=CALLS)
def test_a_call_reaches(call, expected, shapes):
    assert actorio.get(call(shapes)) == expected


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Shapes.remote(1, keyword=3), (1, 2, (), 3, 4, {})),
        (lambda: Shapes.remote(1, 5, 6, 7, keyword=3, other=8, x=9), (1, 5, (6, 7), 3, 8, {"x": 9})),
    ],
    ids=["defaults left out", "everything given"],
)
def test_a_constructor_takes_its_arguments_with(make, expected, session):
    assert actorio.get(make().constructed.remote()) == expected


def test_a_class_without_a_constructor_takes_none(session):
    with pytest.raises(TypeError, match=r"Plain\.__init__\(\) takes 0 positional arguments"):
        actorio.remote(Plain).remote(1)


MISFITS = {
    "too few": (lambda s: s.defaults.remote(), "missing 1 required positional argument: 'a'"),
    "too many": (lambda s: s.defaults.remote(1, 2, 3, 4), "positional arguments"),
    "an unknown keyword": (lambda s: s.defaults.remote(1, d=2), "unexpected keyword argument 'd'"),
    "one given twice": (lambda s: s.defaults.remote(1, a=2), "multiple values for argument 'a'"),
    "a missing keyword": (lambda s: s.keywords.remote(1), "missing 1 required keyword-only argument: 'key'"),
    "a keyword by position": (lambda s: s.keywords.remote(1, 2, key=3), "positional argument"),
    "a position by keyword": (lambda s: s.positional.remote(a=1), "positional-only"),
    "too many for a static method": (lambda s: s.static.remote(1, 2, 3), "positional arguments"),
    "too few for a class method": (lambda s: s.on_class.remote(), "missing 1 required positional argument: 'a'"),
    "too few for __ray_call__": (lambda s: s.__ray_call__.remote(), "missing 1 required positional argument"),
    "too few for a constructor": (lambda _: Shapes.remote(keyword=3), "missing 1 required positional argument"),
    "a missing keyword of a constructor": (lambda _: Shapes.remote(1), "keyword-only argument: 'keyword'"),
    "too many for a function": (lambda _: double.remote(1, 2), "double() takes 1 positional argument"),
}


@pytest.mark.parametrize(("call", "text"), MISFITS.values(), ids=MISFITS)
def test_arguments_that_do_not_fit_are_a_type_error_at_the_call(call, text, shapes):
    with pytest.raises(TypeError, match=re.escape(text)):
        call(shapes)


def test_arguments_are_copied_when_the_call_is_made(shapes):
    items = [1]
    ref = shapes.anything.remote(items)
    items.append(2)
    assert actorio.get(ref) == (([1],), {})


# -- handles -------------------------------------------------------------------------------------------------------


def test_an_unknown_method_is_an_attribute_error_with_the_nearest_name(shapes):
    with pytest.raises(AttributeError, match="'Shapes' has no method 'inheritd'; did you mean 'inherited'"):
        shapes.inheritd.remote()


@pytest.mark.parametrize("name", ["prop", "label", "made_with"])
def test_attributes_and_properties_are_not_on_the_handle(name, shapes):
    with pytest.raises(AttributeError, match=f"has no method '{name}'.*through its methods"):
        getattr(shapes, name)


def test_an_attribute_cannot_be_set_on_a_handle(shapes):
    with pytest.raises(AttributeError, match=r"cannot set 'balance'.*lives in its own process"):
        shapes.balance = 3


def test_a_handle_shows_its_class_and_its_id(shapes):
    assert re.fullmatch(r"Actor\(Shapes, [0-9a-f]{32}\)", repr(shapes))


def test_handles_are_equal_when_their_actor_is_the_same(session):
    one, other = Counter.remote(), Counter.remote()
    twin = copy.copy(one)
    assert (one == twin, hash(one) == hash(twin), len({one, twin})) == (True, True, 1)
    assert (one == other, one == "one", len({one, other})) == (False, False, 2)


def test_dir_lists_the_methods_and_those_of_every_actor(session):
    assert sorted(dir(Counter.remote())) == ["__init__", "__ray_call__", "__ray_ready__", "__ray_terminate__", "add"]


def test_a_handle_s_class_is_written_in_annotations(session):
    def use(counter: actorio.ActorHandle[Counter]) -> actorio.ObjectRef[int] | None: ...

    assert use.__annotations__["counter"].__origin__ is actorio.ActorHandle
    assert use.__annotations__["counter"].__args__ == (Counter,)
    assert isinstance(Counter.remote(), actorio.ActorHandle)
    assert actorio.actor.ActorMethod[[int], int].__origin__ is actorio.actor.ActorMethod
    assert actorio.ObjectRefGenerator[int].__origin__ is actorio.ObjectRefGenerator


def test_methods_of_a_handle_is_the_handle(session):
    counter = Counter.remote(1)
    assert actorio.methods_of(counter) is counter
    with pytest.raises(TypeError, match="an actor's handle, not int"):
        actorio.methods_of(5)


@actorio.remote
class Marked:
    @actorio.method
    def add(self, n):
        return self.plain(n)

    def plain(self, n):
        return n + 1


def test_a_mark_without_options_changes_nothing(session):
    assert actorio.get(Marked.remote().add.remote(1)) == 2


@pytest.mark.parametrize(
    ("misuse", "error", "text"),
    [
        (lambda: actorio.method(5), TypeError, "marks a method, not int"),
        (lambda: actorio.method(len, num_returns=2), TypeError, "either one method, or options"),
        (actorio.method, ValueError, "needs at least one option"),
        (lambda: actorio.method(num_returns=2)(5), TypeError, "marks a method, not int"),
    ],
    ids=["a number", "a method and options", "nothing", "a number, with options"],
)
def test_method_refuses(misuse, error, text):
    with pytest.raises(error, match=text):
        misuse()


@actorio.remote
class Holder:
    def __init__(self, handle=None):
        self.handle = handle

    def add_through(self, handle):
        return actorio.get(handle.add.remote(10))

    def add_through_a_method(self, method):
        return actorio.get(method.remote(10))

    def add_through_own(self):
        return actorio.get(self.handle.add.remote(10))

    def echo(self, value):
        return value

    def make(self):
        return Counter.remote(5)


def test_a_handle_travels_as_an_argument(session):
    counter = Counter.remote(1)
    assert actorio.get(Holder.remote().add_through.remote(counter)) == 11
    assert actorio.get(counter.add.remote(1)) == 12


def test_a_handle_travels_as_an_argument_of_a_constructor(session):
    assert actorio.get(Holder.remote(Counter.remote(1)).add_through_own.remote()) == 11


def test_a_handle_s_method_travels(session):
    assert actorio.get(Holder.remote().add_through_a_method.remote(Counter.remote(1).add)) == 11


def test_handles_travel_inside_containers_and_come_back_equal(session):
    counter = Counter.remote(1)
    back = actorio.get(Holder.remote().echo.remote({"list": [counter], "tuple": (counter, 3)}))
    assert back == {"list": [counter], "tuple": (counter, 3)}
    assert actorio.get(back["list"][0].add.remote()) == 2


def test_an_actor_made_by_an_actor_is_called_by_others(session):
    holder = Holder.remote()
    assert actorio.get(actorio.get(holder.make.remote()).add.remote()) == 6


def test_a_handle_survives_pickling(session):
    counter = Counter.remote(1)
    twin = pickle.loads(pickle.dumps(counter))
    assert twin == counter
    assert actorio.get(twin.add.remote()) == 2


def test_ray_ready_answers_when_the_constructor_is_done(session):
    assert actorio.get(Counter.remote().__ray_ready__.remote()) is True


def test_ray_call_runs_a_function_with_the_instance(session):
    counter = Counter.remote(4)
    ref = counter.__ray_call__.remote(lambda self, n, *, m: (type(self).__name__, self.value + n + m), 1, m=2)
    assert actorio.get(ref) == ("Counter", 7)


def test_an_actor_made_and_called_in_one_expression_answers(session):
    assert actorio.get(Counter.remote(1).add.remote()) == 2


# -- who runs this code --------------------------------------------------------------------------------------------


@actorio.remote
class Aware:
    def context(self):
        return actorio.get_runtime_context()

    def ids(self):
        context = actorio.get_runtime_context()
        return context.get_actor_id(), context.get_task_id(), context.get_job_id(), context.get_worker_id()

    def me(self):
        return actorio.get_runtime_context().current_actor

    def pid(self):
        import os

        return str(os.getpid())


def test_a_driver_knows_that_it_is_no_actor(session):
    context = actorio.get_runtime_context()
    assert (context.get_actor_id(), context.get_task_id()) == (None, None)
    with pytest.raises(RuntimeError, match="inside an actor only"):
        context.current_actor  # noqa: B018  # looking it up is the test


def test_an_actor_knows_its_handle_and_its_ids(session):
    actor = Aware.remote()
    actor_id, task_id, job_id, worker_id = actorio.get(actor.ids.remote())
    assert repr(actor) == f"Actor(Aware, {actor_id})"
    assert (job_id, worker_id) == (actorio.get_runtime_context().get_job_id(), actorio.get(actor.pid.remote()))
    assert task_id


def test_the_handle_that_an_actor_has_of_itself_works_elsewhere(session):
    actor = Aware.remote()
    me = actorio.get(actor.me.remote())
    assert me == actor
    assert actorio.get(me.pid.remote()) == actorio.get(actor.pid.remote())


def test_every_call_has_an_id_of_its_own(session):
    actor = Aware.remote()
    assert len({actorio.get(actor.ids.remote())[1] for _ in range(50)}) == 50


# -- get and put ---------------------------------------------------------------------------------------------------


@actorio.remote
class Waiting:
    """Has calls that end when another one says so."""

    def __init__(self):
        self.events = {}

    def event(self, name):
        return self.events.setdefault(name, asyncio.Event())

    async def until(self, name):
        await self.event(name).wait()
        return name

    async def failing(self, name=None):
        if name is not None:
            await self.event(name).wait()
        raise ValueError("failed")

    async def release(self, name):
        self.event(name).set()

    async def now(self, value):
        return value


@pytest.fixture
def waiting(session):
    return Waiting.remote()


@pytest.mark.parametrize("value", [None, 0, "text", b"bytes", {"a": [1, (2, 3)]}, {1, 2}, float("inf")], ids=repr)
def test_put_keeps_a_value_that_get_reads(value, session):
    assert actorio.get(actorio.put(value)) == value


def test_put_keeps_the_value_as_it_was(session):
    items = [1]
    ref = actorio.put(items)
    items.append(2)
    assert actorio.get(ref) == [1]


def test_put_refuses_a_reference_but_takes_a_list_of_them(session):
    ref = actorio.put(1)
    with pytest.raises(TypeError, match="not an ObjectRef"):
        actorio.put(ref)
    assert actorio.get(actorio.put([ref])) == [ref]


def test_get_of_a_list_keeps_its_order(waiting):
    refs = [waiting.until.remote("first"), waiting.now.remote(2), actorio.put(3)]
    waiting.release.remote("first")
    assert actorio.get(refs) == ["first", 2, 3]


def test_get_of_a_list_may_hold_a_reference_twice(session):
    ref = actorio.put(1)
    assert actorio.get([ref, ref]) == [1, 1]


def test_get_of_an_empty_list_is_an_empty_list(session):
    assert actorio.get([]) == []


def test_get_of_a_list_raises_the_first_error_without_waiting_for_the_others(waiting):
    refs = [waiting.until.remote("never"), waiting.failing.remote()]
    with pytest.raises(ValueError, match="failed"):
        actorio.get(refs)
    assert not refs[0].done()


@pytest.mark.parametrize("timeout", [0, 0.01, 0.05])
@pytest.mark.parametrize("as_list", [False, True], ids=["one", "a list"])
def test_get_gives_up_after_its_timeout_and_loses_nothing(timeout, as_list, waiting):
    ref = waiting.until.remote("released")
    with pytest.raises(GetTimeoutError, match=r"Waiting\.until\(\)"):
        actorio.get([ref] if as_list else ref, timeout=timeout)
    waiting.release.remote("released")
    assert actorio.get(ref) == "released"


def test_a_timeout_of_0_gives_what_is_there(waiting):
    ref = waiting.now.remote(1)
    actorio.wait([ref])
    assert actorio.get(ref, timeout=0) == 1


def test_a_get_timeout_is_both_a_ray_error_and_a_timeout_error():
    assert issubclass(GetTimeoutError, RayError)
    assert issubclass(GetTimeoutError, TimeoutError)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (3, "not an int"),
        (None, "not a NoneType"),
        ((), "not a tuple"),
        ([3], "a list with an int in it"),
        ("ref", "not a str"),
    ],
    ids=["a number", "None", "a tuple", "a list of numbers", "a string"],
)
def test_get_takes_references_alone(given, text, session):
    with pytest.raises(ValueError, match=text):
        actorio.get(given)


def test_get_refuses_a_negative_timeout(session):
    with pytest.raises(ValueError, match="at least 0"):
        actorio.get(actorio.put(1), timeout=-1)


@pytest.mark.parametrize("read", [actorio.get, lambda ref: asyncio.run(_await(ref)), lambda ref: ref.future().result()])
def test_two_readers_of_a_reference_never_share_an_object(read, waiting):
    ref = waiting.now.remote([1])
    read(ref).append(2)
    assert read(ref) == [1]


async def _await(ref):
    return await ref


# -- wait ----------------------------------------------------------------------------------------------------------


def test_wait_returns_what_is_done_and_the_rest_in_the_order_given(waiting):
    never, first, second = waiting.until.remote("never"), waiting.now.remote(1), waiting.now.remote(2)
    assert actorio.wait([never, second, first], num_returns=2) == ([second, first], [never])


def test_wait_returns_no_more_than_asked_for(waiting):
    refs = [actorio.put(n) for n in range(3)]
    assert actorio.wait(refs, num_returns=2) == (refs[:2], refs[2:])
    assert actorio.wait(refs) == (refs[:1], refs[1:])


def test_wait_blocks_until_as_many_as_asked_for_are_done(waiting):
    refs = [waiting.until.remote("later"), waiting.now.remote(1)]
    actorio.wait(refs)
    waiting.release.remote("later")
    assert actorio.wait(refs, num_returns=2) == (refs, [])


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_wait_returns_what_is_done_when_its_time_is_up(timeout, waiting):
    refs = [waiting.until.remote("never"), actorio.put(1)]
    assert actorio.wait(refs, num_returns=2, timeout=timeout) == (refs[1:], refs[:1])


def test_wait_counts_an_error_as_done(waiting):
    failing, never = waiting.failing.remote(), waiting.until.remote("never")
    assert actorio.wait([never, failing]) == ([failing], [never])


def test_wait_of_an_empty_list_returns_two(session):
    assert actorio.wait([]) == ([], [])


@pytest.mark.parametrize(
    ("misuse", "error", "text"),
    [
        (actorio.wait, TypeError, "a list of ObjectRefs, not an ObjectRef"),
        (lambda ref: actorio.wait((ref,)), TypeError, "not a tuple"),
        (lambda ref: actorio.wait([ref, 3]), TypeError, "a list with an int in it"),
        (lambda ref: actorio.wait([ref, ref]), ValueError, "each reference once"),
        (lambda ref: actorio.wait([ref], num_returns=0), ValueError, "between 1 and"),
        (lambda ref: actorio.wait([ref], num_returns=2), ValueError, "between 1 and"),
        (lambda ref: actorio.wait([ref], timeout=-1), ValueError, "at least 0"),
    ],
    ids=["a reference", "a tuple", "a number", "a duplicate", "num_returns=0", "num_returns=2", "timeout=-1"],
)
def test_wait_refuses(misuse, error, text, session):
    with pytest.raises(error, match=text):
        misuse(actorio.put(1))


# -- references ----------------------------------------------------------------------------------------------------


def test_a_reference_shows_its_id_as_in_ray(waiting):
    ref = waiting.now.remote(1)
    assert re.fullmatch(r"ObjectRef\([0-9a-f]{56}\)", repr(ref))
    assert (ref.hex(), ref.binary().hex()) == (repr(ref)[10:-1], ref.hex())


def test_references_are_equal_when_their_result_is_the_same(waiting):
    one, other = waiting.now.remote(1), waiting.now.remote(1)
    twin = pickle.loads(pickle.dumps(one))
    assert (one == twin, hash(one) == hash(twin), len({one, twin})) == (True, True, 1)
    assert (one == other, one == "one", len({one, other})) == (False, False, 2)
    assert actorio.get(twin) == 1


def test_a_reference_that_travelled_is_still_the_same(waiting):
    ref = actorio.put("value")
    (back,) = actorio.get(waiting.now.remote([ref]))
    assert (back, repr(back), hash(back)) == (ref, repr(ref), hash(ref))
    assert actorio.get(back) == "value"


def test_a_reference_can_be_pickled_before_its_result_is_there(waiting):
    ref = waiting.until.remote("released")
    twin = pickle.loads(pickle.dumps(ref))
    waiting.release.remote("released")
    assert actorio.get([ref, twin]) == ["released", "released"]


def test_a_reference_asked_too_early_says_so(waiting):
    ref = waiting.until.remote("never")
    assert not ref.done()
    for ask in (ref.result, ref.exception):
        with pytest.raises(asyncio.InvalidStateError, match="is not done"):
            ask()


def test_a_reference_that_is_done_has_a_result_or_an_exception(waiting):
    good, bad = waiting.now.remote(1), waiting.failing.remote()
    actorio.wait([good, bad], num_returns=2)
    assert (good.done(), good.result(), good.exception()) == (True, 1, None)
    assert (bad.done(), isinstance(bad.exception(), ValueError)) == (True, True)
    with pytest.raises(ValueError, match="failed"):
        bad.result()
