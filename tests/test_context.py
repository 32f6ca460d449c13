"""What calls take along: marked context variables and trace headers, each with its call and with no other."""

import asyncio
import contextvars
import gc
import importlib
import io
import json
import logging
import pickle
import sys
import threading

import pytest
from tests.programs import output_of, run

import actorio
from actorio._caller import carrying
from actorio._model import propagation
from actorio.exceptions import RayTaskError, UnpicklableError
from actorio.util import propagate, trace_context

PARENT = f"00-{'1' * 32}-{'2' * 16}-01"

user = propagate(contextvars.ContextVar("test_context_user"))
tenant = propagate(contextvars.ContextVar("test_context_tenant", default="nobody's"))
unmarked = contextvars.ContextVar("test_context_unmarked", default="unset")


class Threaded:
    def look(self):
        return user.get("unset"), tenant.get(), unmarked.get()

    def change(self, value):
        user.set(value)
        return user.get()

    def steps(self):
        yield user.get("unset")
        token = user.set("changed")
        yield user.get()
        user.reset(token)
        yield user.get("unset")

    def ask(self, other):
        return actorio.get(other.look.remote())

    def ask_as(self, value, other):
        user.set(value)
        return actorio.get(other.look.remote())

    def headers(self):
        return actorio.get_runtime_context().get_trace_headers()

    def headers_of(self, other):
        return actorio.get(other.headers.remote())


class Asynchronous:
    def __init__(self):
        self.gate = asyncio.Event()

    async def look(self):
        return user.get("unset"), tenant.get(), unmarked.get()

    def plain(self):
        return user.get("unset"), tenant.get(), unmarked.get()

    async def wait(self):
        before = user.get("unset")
        await self.gate.wait()
        return before, user.get("unset")

    async def change_and_wait(self, value):
        user.set(value)
        await self.gate.wait()
        return user.get()

    async def open(self):
        self.gate.set()

    async def set_unmarked(self):
        unmarked.set("set")

    async def steps(self):
        yield user.get("unset")
        token = user.set("changed")
        await asyncio.sleep(0)
        yield user.get()
        user.reset(token)
        yield user.get("unset")

    async def ask(self, other):
        return await other.look.remote()

    async def headers(self):
        return actorio.get_runtime_context().get_trace_headers()


def look():
    return user.get("unset"), tenant.get(), unmarked.get()


async def look_async():
    await asyncio.sleep(0)
    return user.get("unset"), tenant.get(), unmarked.get()


async def steps_async():
    yield user.get("unset")
    token = user.set("changed")
    await asyncio.sleep(0)
    yield user.get()
    user.reset(token)
    yield user.get("unset")


@pytest.fixture(scope="module")
def threaded(session):
    return actorio.remote(Threaded).remote()


@pytest.fixture(scope="module")
def asynchronous(session):
    return actorio.remote(Asynchronous).remote()


@pytest.fixture(autouse=True)
def ann():
    """Who calls, in every test that says nothing else."""
    token = user.set("ann")
    yield
    user.reset(token)


def in_context(function, *, user_is):
    def run_there():
        user.set(user_is)
        return function()

    return contextvars.copy_context().run(run_there)


# -- records of logging; the first session is a test's own, the next one is shared by all others ---------------------


class Logger:
    def log(self, text):
        logging.getLogger("test_context").warning(text, extra={"own": 1})
        return actorio.get_runtime_context().get_task_id()

    def log_by_hand(self, text):
        class Own(logging.LogRecord):
            """Of a factory of the user's."""

        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(
            logging.Formatter("%(own)s %(actorio_call_id)s %(actorio_method)s [%(actorio_traceparent)s] %(message)s")
        )
        logger = logging.getLogger("test_context.own")
        logger.addHandler(handler)
        logger.propagate = False
        logging.setLogRecordFactory(Own)
        try:
            logger.warning(text, extra={"own": 1})
            thread = threading.Thread(target=logger.warning, args=("outside",), kwargs={"extra": {"own": 2}})
            thread.start()
            thread.join()
        finally:
            logging.setLogRecordFactory(logging.LogRecord)
        return actorio.get_runtime_context().get_task_id(), stream.getvalue().splitlines()


def log_in_a_task():
    logging.getLogger("test_context").warning("task")
    return actorio.get_runtime_context().get_task_id()


def test_a_record_says_in_which_call_it_was_logged(caplog):
    with actorio.init():
        logger = actorio.remote(Logger).remote()
        ids = [actorio.get(logger.log.remote(text)) for text in ("first", "second")]
        with trace_context(PARENT):
            ids.append(actorio.get(actorio.remote(log_in_a_task).remote()))
    records = [record for record in caplog.records if record.name == "test_context"]
    assert [record.actorio_call_id for record in records] == ids
    assert [record.actorio_method for record in records] == ["Logger.log", "Logger.log", "log_in_a_task"]
    assert [record.actorio_traceparent for record in records] == ["", "", PARENT]
    assert records[0].own == 1


def test_an_actors_own_handlers_and_factories_see_that_too(session):
    with trace_context(PARENT):
        call, lines = actorio.get(actorio.remote(Logger).remote().log_by_hand.remote("text"))
    assert lines == [f"1 {call} Logger.log_by_hand [{PARENT}] text", "2   [] outside"]


# -- a call sees what was set when it was made -----------------------------------------------------------------------


def test_a_method_sees_the_callers_values_of_marked_variables_alone(threaded, asynchronous):
    token = unmarked.set("set")
    refs = [method.remote() for method in (threaded.look, asynchronous.look, asynchronous.plain)]
    unmarked.reset(token)
    assert actorio.get(refs) == [("ann", "nobody's", "unset")] * 3


def test_a_task_sees_them(session):
    for function in (look, look_async):
        assert actorio.get(actorio.remote(function).remote()) == ("ann", "nobody's", "unset")


def test_a_variable_that_is_not_set_does_not_travel(threaded, asynchronous):
    ask = contextvars.Context().run
    for method in (threaded.look, asynchronous.look):
        assert actorio.get(ask(method.remote)) == ("unset", "nobody's", "unset")


def test_each_call_takes_the_value_of_its_moment(threaded):
    refs = []
    for number in range(100):
        user.set(number % 7)
        refs.append(threaded.look.remote())
    assert [seen[0] for seen in actorio.get(refs)] == [number % 7 for number in range(100)]


def test_a_value_that_is_changed_in_place_travels_as_it_is_at_each_call(threaded):
    user.set(value := {"id": 1})
    first = threaded.look.remote()
    value["id"] = 2
    assert [seen[0] for seen in actorio.get([first, threaded.look.remote()])] == [{"id": 1}, {"id": 2}]


def test_values_that_are_equal_and_of_different_types_stay_what_they_are(threaded):
    seen = []
    for value in (1, True, 1.0, "1", b"1", None):
        user.set(value)
        seen.append(actorio.get(threaded.look.remote())[0])
    assert [(type(value), value) for value in seen] == [
        (int, 1),
        (bool, True),
        (float, 1.0),
        (str, "1"),
        (bytes, b"1"),
        (type(None), None),
    ]


def test_a_call_that_waits_for_its_argument_has_the_values_of_the_moment_it_was_made(threaded, asynchronous):
    waiting = asynchronous.wait.remote()
    actorio.get(asynchronous.look.remote())
    ref = actorio.remote(lambda _: user.get()).remote(waiting)
    user.set("later")
    actorio.get(asynchronous.open.remote())
    assert actorio.get(ref) == "ann"


def test_each_attempt_of_a_call_has_the_values_of_the_first():
    _code, output, errors = run("""
        import contextvars
        from actorio.util import propagate

        user = propagate(contextvars.ContextVar("user"))

        @actorio.remote(max_restarts=1, max_task_retries=1)
        class Mortal:
            def look(self, path):
                if not os.path.exists(path):
                    open(path, "w").close()
                    os._exit(1)
                return user.get("unset")

        user.set("ann")
        with actorio.init() as context:
            path = os.path.join(os.environ["XDG_RUNTIME_DIR"], f"attempt-{os.getpid()}")
            ref = Mortal.remote().look.remote(path)
            user.set("later")
            print(actorio.get(ref))
            os.unlink(path)
    """)
    assert output == "ann\n", errors


# -- and leaves nothing to others ------------------------------------------------------------------------------------


def test_nothing_is_left_for_the_next_call_of_the_same_thread(threaded):
    plain = contextvars.Context().run
    assert actorio.get(threaded.change.remote("changed")) == "changed"
    assert actorio.get(plain(threaded.change.remote, "changed")) == "changed"
    assert actorio.get(plain(threaded.look.remote))[0] == "unset"
    assert actorio.get(threaded.look.remote())[0] == "ann"


def test_calls_that_run_at_once_each_have_their_own(asynchronous):
    actor = actorio.remote(Asynchronous).remote()
    waiting = [in_context(actor.wait.remote, user_is=number) for number in range(20)]
    waiting.append(actor.change_and_wait.remote("changed"))
    actorio.get(actor.open.remote())
    assert actorio.get(waiting) == [(number, number) for number in range(20)] + ["changed"]


def test_a_call_that_had_to_wait_does_not_start_in_the_context_of_the_one_before(session):
    """It waits for a place, which the end of the other one gives it."""
    narrow = actorio.remote(Asynchronous).options(max_concurrency=1).remote()
    assert actorio.get([narrow.set_unmarked.remote(), narrow.look.remote()]) == [None, ("ann", "nobody's", "unset")]


@pytest.mark.parametrize("kind", ["threaded", "asynchronous", "task"])
def test_all_steps_of_a_generator_run_in_one_context(kind, threaded, asynchronous):
    stream = {
        "threaded": threaded.steps.stream,
        "asynchronous": asynchronous.steps.stream,
        "task": actorio.remote(steps_async).stream,
    }[kind]
    assert list(stream()) == ["ann", "changed", "ann"]
    assert list(contextvars.Context().run(stream)) == ["unset", "changed", "unset"]


# -- further on ------------------------------------------------------------------------------------------------------


def test_calls_that_a_method_makes_take_along_what_is_set_there(threaded, asynchronous):
    other = actorio.remote(Threaded).remote()
    assert actorio.get(threaded.ask.remote(other))[0] == "ann"
    assert actorio.get(asynchronous.ask.remote(other))[0] == "ann"
    assert actorio.get(threaded.ask_as.remote("bob", other))[0] == "bob"
    assert actorio.get(contextvars.Context().run(threaded.ask.remote, other))[0] == "unset"


def test_a_task_that_a_task_makes_sees_them(session):
    def ask():
        return actorio.get(actorio.remote(look).remote())

    assert actorio.get(actorio.remote(ask).remote())[0] == "ann"


def test_a_value_that_nobody_knows_is_handed_on_unopened(session, tmp_path, monkeypatch):
    """The one in the middle does not import the module, and could not read the value."""
    name = "marks_for_a_test"
    (tmp_path / f"{name}.py").write_text(
        "import contextvars\n"
        "from actorio.util import propagate\n"
        "class Value: pass\n"
        "variable = propagate(contextvars.ContextVar('marked_elsewhere'))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module(name)
    monkeypatch.setattr(propagation.CARRIED, "variables", dict(propagation.CARRIED.variables))

    class Middle:
        def ask(self, last):
            return actorio.get(last.look.remote()), name in sys.modules

    class Last:
        def look(self):
            import marks_for_a_test

            return type(marks_for_a_test.variable.get(None)).__name__

    value = module.Value()
    context = contextvars.copy_context()
    context.run(module.variable.set, value)
    last = actorio.remote(Last).remote()
    assert actorio.get(context.run(actorio.remote(Middle).remote().ask.remote, last)) == ("Value", False)


def test_a_variable_of_main_is_marked_wherever_its_class_goes():
    lines = output_of("""
        import contextvars
        from actorio.util import propagate

        user = propagate(contextvars.ContextVar("user", default="nobody"))
        unset = propagate(contextvars.ContextVar("unset"), name="my.unset")

        @actorio.remote
        class Looker:
            def look(self):
                return user.get(), unset.get("no value")

        @actorio.remote
        def look():
            return user.get(), unset.get("no value")

        with actorio.init():
            looker = Looker.remote()
            print(*actorio.get([looker.look.remote(), look.remote()]))
            user.set("ann")
            print(*actorio.get([looker.look.remote(), look.remote()]))
    """)
    assert lines == ["('nobody', 'no value') ('nobody', 'no value')", "('ann', 'no value') ('ann', 'no value')"]


# -- what cannot be ----------------------------------------------------------------------------------------------------


def test_a_value_that_cannot_be_pickled_is_an_error_at_the_call_which_names_the_variable(threaded):
    user.set([threading.Lock()])
    text = r"Threaded\.look\(\): the value of the context variable 'test_context_user'\[0\] .*cannot be pickled"
    with pytest.raises(UnpicklableError, match=text):
        threaded.look.remote()
    with pytest.raises(UnpicklableError, match="test_context_user"):
        actorio.remote(look).remote()
    user.set("ann")
    assert actorio.get(threaded.look.remote())[0] == "ann"


@pytest.mark.parametrize("what", ["a handle", "a reference"])
def test_handles_and_references_are_refused(what, threaded):
    user.set({"a handle": threaded, "a reference": actorio.put(1)}[what])
    with pytest.raises(UnpicklableError, match=r"test_context_user.*holds a handle or a reference.*as an argument"):
        threaded.look.remote()
    user.set("ann")
    gc.collect()
    assert actorio.get(threaded.look.remote())[0] == "ann"


class Poisoned:
    def __reduce__(self):
        return _refuse, ()


def _refuse():
    raise LookupError("not here")


def test_a_value_that_the_actor_cannot_read_is_an_error_of_the_call(threaded):
    user.set(Poisoned())
    with pytest.raises(RayTaskError, match="'test_context_user' cannot be read in the actor: LookupError: not here"):
        actorio.get(threaded.look.remote())


def test_only_a_context_variable_is_marked():
    with pytest.raises(TypeError, match="not str"):
        propagate("user")


def test_one_name_is_for_one_variable(monkeypatch):
    monkeypatch.setattr(propagation.CARRIED, "variables", dict(propagation.CARRIED.variables))
    again = contextvars.ContextVar("test_context_user")
    elsewhere = {"__name__": "elsewhere", "propagate": propagate, "again": again}
    with pytest.raises(ValueError, match=r"elsewhere marks .*'test_context_user'.*name=") as caught:
        exec("propagate(again)", elsewhere)
    assert __name__ in str(caught.value)
    exec("propagate(again, 'elsewhere.user')", elsewhere)
    # The same module may: it has been reloaded.
    assert propagate(again) is again


def test_an_unmarked_variable_is_not_pickled():
    with pytest.raises(TypeError, match="'test_context_unmarked': mark it"):
        pickle.dumps(unmarked)


def test_a_value_that_cannot_change_is_pickled_once(threaded, monkeypatch):
    dumped = []
    dumps = carrying.wire.dumps
    monkeypatch.setattr(carrying.wire, "dumps", lambda value: dumped.append(value) or dumps(value))
    for value in ("one " * 3, "two", ("a", "tuple")):
        user.set(value)
        actorio.get([threaded.look.remote() for _ in range(5)])
    assert dumped == ["one " * 3, "two", *[("a", "tuple")] * 5]


# -- trace headers -----------------------------------------------------------------------------------------------------


def test_headers_travel_to_the_actor_and_further(threaded, asynchronous):
    other = actorio.remote(Asynchronous).remote()
    headers = {"traceparent": PARENT, "tracestate": "vendor=1"}
    with trace_context(PARENT, "vendor=1"):
        assert actorio.get_runtime_context().get_trace_headers() == headers
        refs = [threaded.headers.remote(), asynchronous.headers.remote(), threaded.headers_of.remote(other)]
    assert actorio.get(refs) == [headers] * 3
    assert actorio.get(threaded.headers.remote()) == {}
    assert actorio.get_runtime_context().get_trace_headers() == {}


@pytest.mark.parametrize(
    "header", [None, "", "00-1-2-01", f"00-{'0' * 32}-{'2' * 16}-01", f"ff-{'1' * 32}-{'2' * 16}-01", PARENT + "\n"]
)
def test_a_header_that_the_standard_does_not_allow_changes_nothing(header):
    with trace_context(PARENT), trace_context(header, "a=b"):
        assert actorio.get_runtime_context().get_trace_headers() == {"traceparent": PARENT}


def test_a_process_that_has_marked_nothing_hands_headers_and_values_on():
    """The actor in the middle is of a class that is sent by value, and imports nothing."""
    lines = output_of(f"""
        import contextvars, json
        from actorio.util import propagate, trace_context

        user = propagate(contextvars.ContextVar("user"))

        class Middle:
            def ask(self, last):
                is_on = sys.modules["actorio._model.propagation"].CARRIED.is_on
                return [is_on, *actorio.get(last.look.remote())]

        class Last:
            def look(self):
                return user.get("unset"), actorio.get_runtime_context().get_trace_headers()

        user.set("ann")
        with actorio.init(), trace_context("{PARENT}"):
            last = actorio.remote(Last).remote()
            print(json.dumps(actorio.get(actorio.remote(Middle).remote().ask.remote(last))))
    """)
    assert json.loads(lines[0]) == [False, "ann", {"traceparent": PARENT}]
