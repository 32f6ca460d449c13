import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorio._node.names import Names

WORDS = st.sampled_from(["bob", "eve", ""])


@given(st.lists(st.tuples(st.sampled_from(["take", "free"]), WORDS, WORDS, st.sampled_from("ab"))))
def test_a_name_has_one_actor_from_when_it_is_taken_until_it_is_freed(steps):
    names, taken = Names(), {}
    for verb, namespace, name, actor_id in steps:
        if verb == "free":
            names.free(namespace, name)
            taken.pop((namespace, name), None)
        elif taken.get((namespace, name), actor_id) == actor_id:
            names.take(namespace, name, actor_id)
            taken[namespace, name] = actor_id
        else:
            with pytest.raises(ValueError, match=f"{name!r} is taken in namespace {namespace!r}"):
                names.take(namespace, name, actor_id)
        for space in ("bob", "eve", ""):
            for each in ("bob", "eve", ""):
                assert names.get(space, each) == taken.get((space, each))


def names_with(*taken):
    names = Names()
    for number, (namespace, name) in enumerate(taken):
        names.take(namespace, name, f"{number}")
    return names


@pytest.mark.parametrize(
    ("taken", "hint"),
    [
        ([], "no actor of this namespace has a name"),
        ([("there", "something")], "no actor of this namespace has a name"),
        ([("here", "account")], "did you mean 'account'?"),
        ([("here", "account"), ("here", "acounts")], "did you mean 'acounts' or 'account'?"),
        ([("here", "bob"), ("here", "ann")], "the names in this namespace are 'ann', 'bob'"),
        ([("there", "acount"), ("here", "account")], "in namespace 'there': pass namespace='there'"),
        ([("there", "acount"), ("else", "acount")], "pass namespace='else'"),
    ],
)
def test_what_is_like_an_unknown_name_is_shown(taken, hint):
    assert hint in names_with(*taken).near("here", "acount")


def test_of_many_names_a_few_are_shown():
    shown = names_with(*(("here", f"{number:03}") for number in range(100))).near("here", "bob")
    assert shown == "the names in this namespace are '000', '001', '002', '003', '004', ..."
