import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorio._model.actor_options import (
    ACTOR_OPTIONS,
    METHOD_OPTIONS,
    NAME_OPTIONS,
    TASK_OPTIONS,
    ActorOptions,
    exceptions_of,
)
from actorio._model.init_options import INIT_OPTIONS, InitOptions
from actorio._model.options import validate, with_defaults
from actorio._model.restarts import RestartPolicy

TABLES = [INIT_OPTIONS, ACTOR_OPTIONS, TASK_OPTIONS, METHOD_OPTIONS, NAME_OPTIONS]


# A name has to be given where one is asked for.
@pytest.mark.parametrize(("table", "given"), [*((table, {}) for table in TABLES[:-1]), (NAME_OPTIONS, {"name": "bob"})])
def test_every_default_is_itself_allowed(table, given):
    defaults = with_defaults(table, given)
    assert validate(table, defaults, "here") == defaults
    assert set(defaults) == set(table)


def test_only_what_was_given_is_returned_so_that_options_can_be_merged():
    of_class = validate(ACTOR_OPTIONS, {"max_concurrency": 2, "num_cpus": 0.5}, "@remote")
    of_call = validate(ACTOR_OPTIONS, {"max_concurrency": 3}, "A.options()")
    assert of_class | of_call == {"max_concurrency": 3, "num_cpus": 0.5}


@pytest.mark.parametrize(
    ("table", "given", "words"),
    [
        (ACTOR_OPTIONS, {"max_concurency": 2}, ["A.options()", "max_concurency=2", "did you mean max_concurrency"]),
        (
            ACTOR_OPTIONS,
            {"colour": "red"},
            ["colour='red'", "the options are allow_blocking_get, cancel_grace, concurrency_groups"],
        ),
        (ACTOR_OPTIONS, {"name": ""}, ["name=''", "must not be empty"]),
        (ACTOR_OPTIONS, {"name": "two\nlines"}, ["name='two", "must be printable"]),
        (ACTOR_OPTIONS, {"name": "\ud800"}, ["name=", "must be printable"]),
        (ACTOR_OPTIONS, {"name": "x" * 10_000}, ["10000 characters", "may have 1000"]),
        (ACTOR_OPTIONS, {"namespace": ""}, ["namespace=''", "must not be empty"]),
        (
            ACTOR_OPTIONS,
            {"lifetime": "for ever"},
            ["lifetime='for ever'", "'detached', 'session', 'non_detached' or None"],
        ),
        (ACTOR_OPTIONS, {"max_restarts": -2}, ["max_restarts=-2", "at least -1"]),
        (ACTOR_OPTIONS, {"max_task_retries": -2}, ["max_task_retries=-2", "at least -1"]),
        (ACTOR_OPTIONS, {"retry_exceptions": [KeyError, "no"]}, ["'no' is not a class of exceptions"]),
        (ACTOR_OPTIONS, {"retry_exceptions": [KeyboardInterrupt]}, ["KeyboardInterrupt", "not a class of exceptions"]),
        (ACTOR_OPTIONS, {"scheduling_strategy": "SPREAD"}, ["scheduling_strategy", "not supported here yet"]),
        (ACTOR_OPTIONS, {"num_returns": 2}, ["there is no option num_returns"]),
        (ACTOR_OPTIONS, {"max_retries": 2}, ["there is no option max_retries", "did you mean max_task_retries"]),
        (ACTOR_OPTIONS, {"max_concurrency": 0}, ["max_concurrency=0", "at least 1"]),
        (ACTOR_OPTIONS, {"num_cpus": float("nan")}, ["num_cpus=nan", "at least 0"]),
        (ACTOR_OPTIONS, {"num_gpus": -1}, ["num_gpus=-1", "at least 0"]),
        (ACTOR_OPTIONS, {"resources": {"disk": -1}}, ["disk", "at least 0"]),
        (ACTOR_OPTIONS, {"resources": {1: 1}}, ["the key 1", "not a string"]),
        (TASK_OPTIONS, {"max_concurrency": 2}, ["there is no option max_concurrency"]),
        (TASK_OPTIONS, {"max_calls": -1}, ["max_calls=-1", "at least 0"]),
        (TASK_OPTIONS, {"num_gpus": 1.5}, ["num_gpus=1.5", "whole number"]),
        (TASK_OPTIONS, {"num_cpus": 1e30}, ["num_cpus=1e+30", "at most"]),
        (ACTOR_OPTIONS, {"resources": {"CPU": 1}}, ["CPU", "num_cpus="]),
        (TASK_OPTIONS, {"max_retries": -2}, ["max_retries=-2", "at least -1"]),
        (METHOD_OPTIONS, {"num_returns": -1}, ["num_returns=-1", "at least 0"]),
        (METHOD_OPTIONS, {"max_task_retries": -2}, ["max_task_retries=-2", "at least -1"]),
        (METHOD_OPTIONS, {"max_restarts": 1}, ["there is no option max_restarts"]),
        (METHOD_OPTIONS, {"tensor_transport": "nccl"}, ["tensor_transport", "not supported here yet"]),
        (INIT_OPTIONS, {"runtime_env": {}}, ["runtime_env", "not supported here yet"]),
        (INIT_OPTIONS, {"loop_stall_limit": 0}, ["loop_stall_limit=0", "greater than 0"]),
        (INIT_OPTIONS, {"namespace": ""}, ["namespace=''", "must not be empty"]),
        (INIT_OPTIONS, {"address": ""}, ["address=''", "must not be empty"]),
        (NAME_OPTIONS, {"name": ""}, ["name=''", "must not be empty"]),
        (INIT_OPTIONS, {"preload": ["numpy", "a b"]}, ["'a b'", "not the name of a module"]),
        (INIT_OPTIONS, {"preload": [3]}, ["3 is not the name of a module"]),
    ],
)
def test_a_wrong_option_is_a_value_error_that_names_it_and_what_is_allowed(table, given, words):
    with pytest.raises(ValueError) as caught:
        validate(table, given, "A.options()")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("table", "given", "allowed"),
    [
        (ACTOR_OPTIONS, {"max_concurrency": True}, "int or None"),
        (ACTOR_OPTIONS, {"max_concurrency": 1.0}, "int or None"),
        (ACTOR_OPTIONS, {"allow_blocking_get": 1}, "bool"),
        (ACTOR_OPTIONS, {"allow_blocking_get": None}, "bool"),
        (ACTOR_OPTIONS, {"num_cpus": "1"}, "int or float or None"),
        (INIT_OPTIONS, {"log_to_driver": "yes"}, "bool"),
        (INIT_OPTIONS, {"preload": "numpy"}, "list or tuple"),
        (INIT_OPTIONS, {"namespace": b"x"}, "str or None"),
        (INIT_OPTIONS, {"address": 6379}, "str or None"),
        (NAME_OPTIONS, {"name": None}, "str"),
        (ACTOR_OPTIONS, {"name": 5}, "str or None"),
        (ACTOR_OPTIONS, {"lifetime": True}, "str or None"),
        (ACTOR_OPTIONS, {"get_if_exists": 1}, "bool"),
        (ACTOR_OPTIONS, {"max_restarts": 1.5}, "int"),
        (ACTOR_OPTIONS, {"max_restarts": None}, "int"),
        (ACTOR_OPTIONS, {"max_restarts": True}, "int"),
        (ACTOR_OPTIONS, {"retry_exceptions": KeyError}, "bool or list or tuple"),
        (ACTOR_OPTIONS, {"restart_policy": {"window": 60}}, "RestartPolicy or None"),
        (METHOD_OPTIONS, {"num_returns": True}, "int or str or None"),
    ],
)
def test_a_wrong_type_is_a_type_error_that_names_the_types_allowed(table, given, allowed):
    (name,) = given
    with pytest.raises(TypeError) as caught:
        validate(table, given, "here")
    assert f"{name}={given[name]!r}" in str(caught.value)
    assert str(caught.value).endswith(f"it must be {allowed}")


def test_rays_options_without_a_meaning_here_are_accepted_and_have_no_effect():
    given = {"dashboard_port": 80}
    given |= {"include_dashboard": False, "dashboard_host": "h", "configure_logging": True, "logging_level": "info"}
    assert InitOptions.of(given) == InitOptions()
    assert not any(INIT_OPTIONS[name].has_effect for name in given)


def test_resources_are_counted_in_ten_thousandths():
    given = {"num_cpus": 0.1, "num_gpus": 2, "memory": 5, "resources": {"x": 3}}
    assert ActorOptions.of(given).amounts == {"CPU": 1000, "GPU": 20_000, "memory": 50_000, "x": 30_000}
    assert InitOptions.of({"num_cpus": 0}).amounts == {"CPU": 0}
    assert ActorOptions.of({}).amounts == {}


def test_the_records_hold_what_was_given_and_can_be_pickled():
    given = {"preload": ["numpy", "scipy.sparse"], "loop_stall_limit": 2, "log_to_driver": False}
    options = InitOptions.of(given | {"address": "auto", "namespace": "here"})
    assert options == InitOptions(
        log_to_driver=False,
        preload=("numpy", "scipy.sparse"),
        loop_stall_limit=2.0,
        address="auto",
        namespace="here",
    )
    assert pickle.loads(pickle.dumps(options)) == options
    assert ActorOptions.of({"max_concurrency": 5}) == ActorOptions(5, allow_blocking_get=False)


def test_the_record_of_an_actor_holds_its_life_and_can_be_pickled():
    given = {"name": "bob", "namespace": "here", "lifetime": "detached", "get_if_exists": True, "max_restarts": -1}
    given |= {"max_task_retries": 3, "retry_exceptions": [KeyError], "restart_policy": RestartPolicy(window=60)}
    options = ActorOptions.of(given)
    assert options == ActorOptions(
        name="bob",
        namespace="here",
        is_detached=True,
        get_if_exists=True,
        max_restarts=-1,
        max_task_retries=3,
        retry_exceptions=(KeyError,),
        restart_policy=RestartPolicy(window=60.0),
    )
    assert pickle.loads(pickle.dumps(options)) == options


@pytest.mark.parametrize("lifetime", [None, "non_detached"])
def test_an_actor_is_not_detached_unless_that_is_said(lifetime):
    assert not ActorOptions.of({"lifetime": lifetime}).is_detached


def test_an_actor_of_the_session_is_a_detached_one_that_ends_with_it():
    assert ActorOptions.of({"lifetime": "session"}) == ActorOptions(is_detached=True, ends_with_session=True)
    assert not ActorOptions.of({"lifetime": "detached"}).ends_with_session


@pytest.mark.parametrize("given", [{"get_if_exists": True}, {"namespace": "here"}])
def test_what_is_about_a_name_needs_one(given):
    (name,) = given
    with pytest.raises(ValueError, match=rf"^A\.options\(\): {name}={given[name]!r} needs a name="):
        ActorOptions.of(given, "A.options()")
    assert ActorOptions.of(given | {"name": "bob"}).name == "bob"


@pytest.mark.parametrize(
    ("given", "found"), [(True, True), (False, False), ([], ()), ([KeyError, OSError], (KeyError, OSError))]
)
def test_retried_exceptions_are_all_none_or_those_of_some_classes(given, found):
    assert exceptions_of(given) == found


def test_the_records_refuse_what_the_table_refuses():
    with pytest.raises(ValueError, match=r"^Account\.options\(\): max_concurrency=0"):
        ActorOptions.of({"max_concurrency": 0}, "Account.options()")


@given(
    st.sampled_from(TABLES),
    st.dictionaries(
        st.sampled_from(sorted({name for table in TABLES for name in table} | {"name", "colour"})),
        st.sampled_from([None, True, False, -1, 0, 1, 7, 0.5, float("nan"), "", "a", b"b", (), ["json"], [1], {}]),
    ),
)
def test_anything_is_either_returned_as_given_or_refused_by_name(table, options):
    try:
        assert validate(table, options, "somewhere") == options
    except (TypeError, ValueError) as error:
        text = str(error)
        assert text.startswith("somewhere: ")
        assert any(name in text for name in options)
