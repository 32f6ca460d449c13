"""The interpreter is the judge: a function with the signature in question is made and called."""

import inspect
import keyword

from hypothesis import given
from hypothesis import strategies as st

from actorio._model.definition import MethodDefinition

NAMES = ["a", "b", "c", "d", "e"]


@st.composite
def functions(draw):
    """A function named f, whose body does nothing, with up to two parameters of each kind."""
    names = iter(NAMES)
    only, both, keywords = (draw(st.integers(0, 2)) for _ in range(3))
    only, both = [[next(names) for _ in range(n)] for n in (only, both)]
    keywords = list(names)[: min(keywords, 5 - len(only) - len(both))]
    first_default = draw(st.integers(0, len(only) + len(both)))
    parts = [name if i < first_default else f"{name}=0" for i, name in enumerate(only + both)]
    if only:
        parts.insert(len(only), "/")
    var_positional = draw(st.booleans())
    if var_positional or keywords:
        parts.append("*args" if var_positional else "*")
    parts += [name + draw(st.sampled_from(["", "=0"])) for name in keywords]
    if draw(st.booleans()):
        parts.append("**rest")
    scope = {}
    exec(f"def f({', '.join(parts)}): pass", scope)
    return scope["f"]


def refusal(call):
    try:
        call()
    except TypeError as error:
        # Python 3.13 and later add a suggestion.
        return str(error).split(". Did you mean")[0]
    return None


@given(functions(), st.integers(0, 6), st.dictionaries(st.sampled_from([*NAMES, "args", "rest", "x"]), st.none()))
def test_a_call_is_refused_exactly_when_python_refuses_it_and_in_the_same_words(function, count, kwargs):
    args = (None,) * count
    theirs = refusal(lambda: function(*args, **kwargs))
    ours = refusal(lambda: MethodDefinition.of_function(function).check(args, kwargs))
    assert ours == theirs, inspect.signature(function)


def test_the_names_tried_are_names():
    assert not any(keyword.iskeyword(name) for name in NAMES)
