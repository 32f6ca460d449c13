import pickle

import msgspec
import pytest

from actorio._model.concurrency import POLICIES, MethodRule, Rate, Rules


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/s", Rate(100, 1.0)),
        ("5/min", Rate(5, 60.0)),
        ("1000/h", Rate(1000, 3600.0)),
        ("3/d", Rate(3, 86400.0)),
        ("1/10ms", Rate(1, 0.01)),
        ("10/2s", Rate(10, 2.0)),
        ("10/0.5s", Rate(10, 0.5)),
        (" 10 / 2 s ", Rate(10, 2.0)),
    ],
)
def test_a_rate_is_read_as_it_is_written(text, rate):
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'100/s'"),
        ("100", "'100/s'"),
        ("s/100", "'100/s'"),
        ("-1/s", "'100/s'"),
        ("100/s/s", "'100/s'"),
        ("1e3/s", "'100/s'"),
        ("１/s", "'100/s'"),  # noqa: RUF001  # a digit, but not an ASCII one
        ("5/m", "'m' is none of the units ms, s, min, h, d"),
        ("0.5/s", "0.5 is no whole number; .* '1/2s'"),
        ("0/s", "from 1 to 1000000 starts .* not 0"),
        ("1000001/s", "from 1 to 1000000"),
        ("1/0s", "more than 0 and at most 1e\\+09 seconds, not 0"),
        ("1/99999d", "at most 1e\\+09"),
        ("9" * 99 + "/s", "from 1 to 1000000"),
        ("9" * 5000 + "/s", "is no rate"),
    ],
)
def test_what_is_no_rate_is_refused_with_words_that_say_how_to_write_it(text, says):
    with pytest.raises(ValueError, match=says):
        Rate.parse(text)


@pytest.mark.parametrize("period", [0, -1.0, float("nan"), float("inf")])
def test_a_rate_needs_a_period(period):
    with pytest.raises(ValueError, match="period"):
        Rate(1, period)


def test_rules_travel():
    rules = Rules(2, {"io": 3}, {"read": MethodRule("io", 1, Rate(5, 2.0)), "write": MethodRule()}, 10, "drop_oldest")
    assert pickle.loads(pickle.dumps(rules)) == rules
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(rules), type=Rules) == rules


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Rules(0), "at least one call may run, not 0"),
        (lambda: Rules(1, {"io": 0}), "'io', not 0"),
        (lambda: Rules(1, {"": 2}), "has a name"),
        (lambda: Rules(1, {"io": 1}, {"m": MethodRule("oi")}), "'m' is of the concurrency group 'oi', but .*: 'io'"),
        (lambda: Rules(1, methods={"m": MethodRule("io")}), "'io', and the actor has none"),
        (lambda: Rules(1, bound=-1), "not -1"),
        (lambda: Rules(1, policy="block"), f"'block' is none of the policies {', '.join(POLICIES)}"),
        (lambda: MethodRule(limit=-1), "not -1"),
    ],
)
def test_rules_that_cannot_hold_are_refused_when_they_are_made(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_group_is_checked_by_name():
    rules = Rules(1, {"io": 1, "cpu": 2})
    rules.check_group("")
    rules.check_group("io")
    with pytest.raises(ValueError, match="'oi', but there are: 'io', 'cpu'"):
        rules.check_group("oi")
    with pytest.raises(ValueError, match="'oi', and the actor has none"):
        Rules(1).check_group("oi")
