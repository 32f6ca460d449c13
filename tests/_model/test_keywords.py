"""What type checkers know of options and of what is called is what there is at runtime."""

import ast
import types
import typing
from pathlib import Path

import pytest

from actorio._model import handle, keywords, remote
from actorio._model.actor_options import ACTOR_OPTIONS, CALL_OPTIONS, METHOD_OPTIONS, TASK_OPTIONS

TYPED = Path(handle.__file__).with_name("typed.py")
# It says what a call returns, so that it is written out in each signature.
NOT_A_KEYWORD = {"num_returns"}
# How a supervisor makes members.
NOT_FOR_USERS = {"supervised"}


def runtime_types(hint) -> set[type]:
    """Return the types that `Option.types` lists for what a hint allows."""
    origin = typing.get_origin(hint)
    if origin in {typing.Union, types.UnionType}:
        return set().union(*(runtime_types(each) for each in typing.get_args(hint)))
    if origin is typing.Literal:
        return {type(value) for value in typing.get_args(hint)}
    return {int, float} if hint is float else {origin or hint}


@pytest.mark.parametrize(
    ("table", "known"),
    [
        (ACTOR_OPTIONS, keywords.ActorKeywords),
        (TASK_OPTIONS, keywords.TaskKeywords),
        (METHOD_OPTIONS, keywords.MethodKeywords),
        (CALL_OPTIONS, keywords.CallKeywords),
    ],
    ids=["actors", "tasks", "methods", "calls"],
)
def test_type_checkers_know_each_option_and_its_types(table, known):
    options = {name: set(option.types) for name, option in table.items() if name not in NOT_A_KEYWORD}
    hints = {name: runtime_types(hint) for name, hint in typing.get_type_hints(known).items()}
    assert hints == options


def test_remote_knows_the_options_of_classes_and_of_functions():
    both = typing.get_type_hints(keywords.ActorKeywords) | typing.get_type_hints(keywords.TaskKeywords)
    assert typing.get_type_hints(keywords.EveryKeyword) == both


@pytest.mark.parametrize(
    ("known", "bases"),
    [(handle.ActorMethod, ["Remote"]), (remote.RemoteFunction, ["Remote"]), (remote.ActorClass, [])],
    ids=["methods", "functions", "classes"],
)
def test_type_checkers_know_what_there_is(known, bases):
    classes = {node.name: node.body for node in ast.parse(TYPED.read_text()).body if isinstance(node, ast.ClassDef)}
    body = [node for name in [known.__name__, *bases] for node in classes[name]]
    names = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    public = {name for name in vars(known) if not name.startswith("_")} - NOT_FOR_USERS
    assert {name for name in names if not name.startswith("_")} == public
