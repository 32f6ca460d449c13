import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorio._model.restarts import LEAST_DELAY, SETTLED_AFTER, RestartBudget, RestartPolicy, within

SECONDS = st.floats(0, 100, allow_subnormal=False)
DICE = st.floats(0, 1, exclude_max=True)


@st.composite
def policies(draw):
    max_delay = draw(SECONDS)
    return RestartPolicy(
        window=draw(st.none() | st.floats(0.001, 50)),
        initial_delay=draw(st.floats(0, max_delay)),
        factor=draw(st.floats(1, 10)),
        max_delay=max_delay,
        jitter=draw(st.floats(0, 1)),
    )


# What an actor goes through between two deaths: it waits, then lives (None: it dies before it has started).
LIVES = st.lists(st.tuples(SECONDS, st.none() | SECONDS, DICE), max_size=30)


def live(budget, lives):
    """Lets an actor live and die; yields (time of the death, life, wait) until no restart is left."""
    now = 0.0
    for until_start, life, die in lives:
        now += until_start
        if life is not None:
            budget.started(now)
            now += life
        wait = budget.died(now, lambda die=die: die)
        yield now, life, wait
        if wait is None:
            return
        now += wait


def die(budget, now, *, after=None):
    """One death, without jitter; the actor has lived for ``after`` seconds, or not at all."""
    if after is not None:
        budget.started(now - after)
    return budget.died(now, lambda: 0.0)


def crash_loop(policy, length):
    budget = RestartBudget(-1, policy)
    return [die(budget, 10.0 * number, after=0.5) for number in range(length)]


# -- the table in docs/explanation/restarts.md: its columns, in the rows of a crash (R4, R5, R6, R8, R10) -------------


def test_a_crash_with_max_restarts_0_is_the_end():
    budget = RestartBudget(0)
    assert (die(budget, 1.0, after=1.0), budget.used, budget.left(1.0)) == (None, 0, 0)


def test_a_crash_with_restarts_left_takes_one_of_them():
    budget = RestartBudget(2)
    assert die(budget, 1.0, after=1.0) == 0.0
    assert (budget.used, budget.left(1.0)) == (1, 1)


def test_a_crash_with_all_restarts_used_up_is_the_end():
    budget = RestartBudget(1)
    die(budget, 1.0, after=1.0)
    assert die(budget, 1000.0, after=900.0) is None
    assert (budget.used, budget.left(1000.0)) == (1, 0)


def test_a_crash_with_max_restarts_minus_1_is_mended_for_ever():
    budget = RestartBudget(-1)
    assert [die(budget, float(now), after=1.0) for now in range(1, 100)] == [0.0] * 99
    assert (budget.used, budget.left(100.0)) == (99, None)


# -- how many ------------------------------------------------------------------------------------------------------


def test_with_a_window_old_restarts_do_not_count():
    budget = RestartBudget(1, RestartPolicy(window=10))
    assert die(budget, 100.0, after=50.0) is not None
    assert (budget.left(110.0), budget.left(110.1)) == (0, 1)
    assert die(budget, 110.1, after=5.0) is not None
    assert (budget.used, budget.left(110.1)) == (2, 0)


def test_a_restart_exactly_as_old_as_the_window_counts():
    budget = RestartBudget(1, RestartPolicy(window=10))
    die(budget, 100.0)
    assert die(budget, 110.0) is None


def test_a_refused_restart_is_not_counted():
    budget = RestartBudget(1, RestartPolicy(window=10))
    die(budget, 100.0)
    assert die(budget, 105.0) is None
    assert (budget.used, budget.left(110.1)) == (1, 1)


def test_times_that_nobody_counts_are_not_kept():
    endless, windowless, windowed = (
        RestartBudget(-1, RestartPolicy(window=10)),
        RestartBudget(1000),
        RestartBudget(1000, RestartPolicy(window=10)),
    )
    for now in range(100):
        for budget in (endless, windowless, windowed):
            assert die(budget, float(now)) is not None
    assert (endless.times, windowless.times) == ([], [])
    assert windowed.times == [float(now) for now in range(89, 100)]


@given(policies(), st.integers(-1, 5), LIVES)
def test_there_are_never_more_restarts_than_allowed(policy, max_restarts, lives):
    budget = RestartBudget(max_restarts, policy)
    restarts = []
    for now, _, wait in live(budget, lives):
        left_before = budget.left(now)
        if wait is not None:
            restarts.append(now)
        assert budget.used == len(restarts)
        counting = restarts if policy.window is None else within(restarts, now, policy.window)
        if max_restarts == -1:
            assert wait is not None
            assert left_before is None
        else:
            assert left_before == max_restarts - len(counting) >= 0
            # Refused only when the allowance is used up.
            assert wait is not None or left_before == 0


# -- how long ------------------------------------------------------------------------------------------------------


def test_one_crash_is_mended_at_once():
    assert crash_loop(RestartPolicy(), 1) == [0.0]


def test_a_crash_loop_waits_longer_and_longer_up_to_the_longest_delay():
    assert crash_loop(RestartPolicy(max_delay=0.3), 6) == [0.0, 0.05, 0.1, 0.2, 0.3, 0.3]


def test_an_initial_delay_is_waited_the_first_time_and_grows_by_the_factor():
    policy = RestartPolicy(initial_delay=2, factor=3, max_delay=20)
    assert crash_loop(policy, 4) == [2.0, 6.0, 18.0, 20.0]


def test_a_factor_of_1_keeps_the_delay_as_it_is():
    assert crash_loop(RestartPolicy(factor=1), 4) == [0.0, 0.05, 0.05, 0.05]


def test_a_max_delay_of_0_never_waits():
    assert crash_loop(RestartPolicy(max_delay=0), 4) == [0.0] * 4


def test_a_crash_loop_of_a_million_restarts_waits_for_the_longest_delay():
    budget = RestartBudget(-1, delay=30.0, used=10**6)
    assert die(budget, 1e9) == 30.0


@pytest.mark.parametrize("max_delay", [0.3, 1e9])
def test_the_largest_factor_does_no_harm(max_delay):
    assert crash_loop(RestartPolicy(factor=1e9, max_delay=max_delay), 50)[-1] == max_delay


def test_an_actor_that_has_lived_for_a_second_has_settled():
    budget = RestartBudget(-1)
    die(budget, 1.0, after=0.5)
    die(budget, 2.0, after=0.5)
    assert die(budget, 4.0, after=SETTLED_AFTER) == 0.0
    assert die(budget, 5.0, after=0.5) == LEAST_DELAY


def test_an_actor_that_has_lived_less_than_it_had_waited_has_not_settled():
    budget = RestartBudget(-1, RestartPolicy(initial_delay=4))
    assert die(budget, 10.0, after=0.5) == 4.0
    assert die(budget, 20.0, after=3.9) == 8.0
    assert die(budget, 40.0, after=8.0) == 4.0


def test_an_actor_that_dies_before_it_has_started_has_not_lived():
    budget = RestartBudget(-1)
    die(budget, 100.0, after=50.0)
    assert die(budget, 200.0) == LEAST_DELAY


def test_jitter_shortens_a_delay_by_no_more_than_its_part():
    policy = RestartPolicy(initial_delay=10, jitter=0.5)
    assert [RestartBudget(1, policy).died(0.0, lambda die=die: die) for die in (0.0, 0.5)] == [10.0, 7.5]


@given(policies(), LIVES)
def test_a_delay_is_what_the_policy_says(policy, lives):
    budget = RestartBudget(-1, policy)
    nominal = None
    for _, life, wait in live(budget, lives):
        has_settled = life is not None and life >= max(SETTLED_AFTER, nominal or 0.0)
        # Times are sums of floats: which side of the line a life is on that ends on it is nobody's business.
        if life is not None and abs(life - max(SETTLED_AFTER, nominal or 0.0)) < 1e-6:
            has_settled = budget.delay == policy.initial_delay
        nominal = policy.delay_after(None if has_settled else nominal)
        assert budget.delay == nominal
        assert nominal * (1 - policy.jitter) <= wait <= nominal <= policy.max_delay


@given(policies(), st.integers(2, 40))
def test_delays_in_a_row_never_shrink_and_never_keep_a_core_busy(policy, length):
    waits = crash_loop(msgspec.structs.replace(policy, jitter=0.0), length)
    assert waits == sorted(waits)
    assert all(wait >= min(LEAST_DELAY, policy.max_delay) for wait in waits[1:])


# -- how they travel -----------------------------------------------------------------------------------------------


@given(policies(), st.integers(-1, 5), LIVES, LIVES)
def test_a_budget_that_has_travelled_goes_on_as_it_was(policy, max_restarts, before, after):
    budget = RestartBudget(max_restarts, policy)
    list(live(budget, before))
    copy = msgspec.msgpack.decode(msgspec.msgpack.encode(budget), type=RestartBudget)
    assert copy == budget
    assert list(live(copy, after)) == list(live(budget, after))


def test_a_policy_is_a_value():
    assert RestartPolicy(window=60) == RestartPolicy(window=60.0)
    assert len({RestartPolicy(), RestartPolicy()}) == 1
    with pytest.raises(AttributeError):
        RestartPolicy().factor = 3.0


def test_budgets_share_nothing():
    one, other = (RestartBudget(2, RestartPolicy(window=10)) for _ in range(2))
    die(one, 1.0)
    assert (other.used, other.times) == (0, [])


# -- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"window": 0}, "window=0 is not allowed: it must be from 0.001 to 1e+09"),
        ({"window": -1.0}, "window=-1.0"),
        ({"window": float("inf")}, "window=inf"),
        ({"initial_delay": -0.1}, "initial_delay=-0.1"),
        ({"initial_delay": float("nan")}, "initial_delay=nan"),
        ({"factor": 0.5}, "factor=0.5 is not allowed: it must be from 1 to"),
        ({"factor": 10**400}, "factor=1000"),
        ({"max_delay": -1}, "max_delay=-1"),
        ({"jitter": 1.5}, "jitter=1.5 is not allowed: it must be from 0 to 1"),
        ({"initial_delay": 31}, "initial_delay=31.0 is greater than max_delay=30.0"),
    ],
)
def test_a_policy_out_of_range_is_refused(options, text):
    with pytest.raises(ValueError) as caught:
        RestartPolicy(**options)
    assert f"RestartPolicy: {text}" in str(caught.value)


@pytest.mark.parametrize("name", ["window", "initial_delay", "factor", "max_delay", "jitter"])
@pytest.mark.parametrize("value", ["1", True, [1], 1j])
def test_a_policy_of_something_else_than_numbers_is_refused(name, value):
    with pytest.raises(TypeError, match=f"RestartPolicy: {name}=.* is of type {type(value).__name__}"):
        RestartPolicy(**{name: value})


@pytest.mark.parametrize("name", ["initial_delay", "factor", "max_delay", "jitter"])
def test_only_a_window_may_be_none(name):
    with pytest.raises(TypeError, match=name):
        RestartPolicy(**{name: None})


def test_a_policy_takes_no_positional_arguments():
    with pytest.raises(TypeError):
        RestartPolicy(60)


def test_a_number_of_a_subclass_is_kept_as_a_plain_float():
    class Seconds(float):
        pass

    policy = RestartPolicy(window=Seconds(5), max_delay=7)
    assert (type(policy.window), type(policy.max_delay)) == (float, float)


def test_a_policy_that_arrives_is_checked_too():
    with pytest.raises(msgspec.ValidationError, match=r"factor=0\.5"):
        msgspec.msgpack.decode(msgspec.msgpack.encode([None, 0.0, 0.5, 30.0, 0.1]), type=RestartPolicy)


@pytest.mark.parametrize(
    ("max_restarts", "error"), [(-2, ValueError), (2**63, ValueError), (1.0, TypeError), (True, TypeError)]
)
def test_a_budget_of_no_number_of_restarts_is_refused(max_restarts, error):
    with pytest.raises(error, match="max_restarts="):
        RestartBudget(max_restarts)
