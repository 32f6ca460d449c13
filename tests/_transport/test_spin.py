"""When it pays to poll before falling asleep, and that nothing polls otherwise. No time passes here but a test's."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actorio._transport import spin
from actorio._transport.spin import SECONDS, Habit, LoopSpin, is_worth_it

# -- the habit -----------------------------------------------------------------------------------------------------

# How long waits take that are begun by polling, and by falling asleep, in seconds. What takes longer than it is polled
# for ends in sleep all the same.
HELPS = st.tuples(st.floats(1e-6, 60e-6), st.floats(80e-6, 150e-6))
DOES_NOT_HELP = st.one_of(
    # Methods that take long, or callers that seldom call.
    st.floats(1e-3, 10.0).map(lambda seconds: (seconds, seconds)),
    # What waits for the other end is as quick.
    st.floats(5e-6, 99e-6).map(lambda seconds: (seconds, seconds)),
    # The processors are busy: whoever polls keeps the other end from running.
    st.tuples(st.floats(1e-3, 5e-3), st.floats(50e-6, 100e-6)),
)
# How much waits differ from each other.
JITTERS = st.lists(st.floats(0.9, 1.1), min_size=1, max_size=7)
# Whatever was the case before, the habit is there after so many waits.
SETTLING = 1200
MANY = 2500

few = settings(max_examples=30, deadline=None)


def live(habit, environment, jitters, count):
    """Wait so often; return how many of the waits were begun by polling."""
    awake, asleep = environment
    polled = 0
    for jitter in itertools.islice(itertools.cycle(jitters), count):
        polls = habit.polls
        habit.waited((awake if polls else asleep) * jitter, polled=polls)
        polled += polls
    return polled


@few
@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=300))
def test_nothing_polls_where_it_is_not_allowed(waits):
    habit = Habit(is_allowed=False)
    for seconds, polled in waits:
        assert not habit.polls
        habit.waited(seconds, polled=polled)
    assert not habit.polls


@few
@given(HELPS, JITTERS)
def test_nearly_all_waits_poll_where_that_shortens_them(environment, jitters):
    assert live(Habit(), environment, jitters, MANY) > 0.95 * MANY


@few
@given(DOES_NOT_HELP, JITTERS)
def test_a_tenth_of_waits_polls_at_most_where_that_shortens_nothing(environment, jitters):
    habit = Habit()
    live(habit, environment, jitters, SETTLING)
    assert live(habit, environment, jitters, MANY) < 0.1 * MANY


@few
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3000)), max_size=4), HELPS, DOES_NOT_HELP, JITTERS)
def test_a_habit_changes_when_the_world_does_and_changes_back(past, helps, does_not_help, jitters):
    habit = Habit()
    for is_quick, count in past:
        live(habit, helps if is_quick else does_not_help, jitters, count)
    live(habit, helps, jitters, SETTLING)
    assert live(habit, helps, jitters, MANY) > 0.95 * MANY
    live(habit, does_not_help, jitters, SETTLING)
    assert live(habit, does_not_help, jitters, MANY) < 0.1 * MANY
    live(habit, helps, jitters, SETTLING)
    assert live(habit, helps, jitters, MANY) > 0.95 * MANY


@few
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3000)), max_size=4), HELPS, DOES_NOT_HELP, JITTERS)
def test_whoever_slept_since_methods_took_long_polls_again_within_150_waits_of_quick_ones(
    past, helps, does_not_help, jitters
):
    habit = Habit()
    for is_quick, count in past:
        live(habit, helps if is_quick else does_not_help, jitters, count)
    live(habit, (1.0, 1.0), jitters, SETTLING)
    live(habit, helps, jitters, 150)
    assert live(habit, helps, jitters, 100) > 90


@few
@given(HELPS, JITTERS)
def test_whoever_polled_sleeps_after_a_dozen_waits_that_take_long(helps, jitters):
    habit = Habit()
    live(habit, helps, jitters, 500)
    assert live(habit, (1.0, 1.0), jitters, 60) <= 12


def test_whoever_loses_the_processor_while_polling_steps_aside_for_long_and_comes_back():
    habit, helps = Habit(), (20e-6, 100e-6)
    live(habit, helps, [1.0], 100)
    habit.held_up()
    # Once in a while is put up with.
    assert live(habit, helps, [1.0], 100) == 100
    habit.held_up()
    # Those who are let in at once when they wake do not find out by trying.
    assert live(habit, helps, [1.0], 990) == 0
    live(habit, helps, [1.0], 200)
    # The machine is as busy as before: the next time is enough.
    assert habit.polls
    habit.held_up()
    assert live(habit, helps, [1.0], 990) == 0
    live(habit, helps, [1.0], 200)
    assert live(habit, helps, [1.0], MANY) > 0.95 * MANY


def test_losing_the_processor_every_thousand_waits_is_put_up_with():
    habit = Habit()
    for _ in range(5):
        live(habit, (20e-6, 100e-6), [1.0], 1100)
        habit.held_up()
        assert habit.polls


def test_a_pause_between_bursts_is_not_taken_for_the_usual():
    habit = Habit()
    for _ in range(100):
        live(habit, (20e-6, 100e-6), [1.0], 20)
        habit.waited(1.0, polled=habit.polls)
    assert habit.polls


@pytest.mark.parametrize(("variable", "processors", "is_so"), [("0", 4, False), (None, 1, False), (None, 4, True)])
def test_polling_can_be_switched_off_and_needs_a_second_processor(monkeypatch, variable, processors, is_so):
    monkeypatch.setattr(spin.os, "sched_getaffinity", lambda _: range(processors), raising=False)
    monkeypatch.delenv("ACTORIO_SPIN", raising=False)
    if variable is not None:
        monkeypatch.setenv("ACTORIO_SPIN", variable)
    assert is_worth_it() is is_so


# -- on a loop -----------------------------------------------------------------------------------------------------


class Loop:
    """What is scheduled in an iteration runs in the next one. Each takes a while."""

    def __init__(self):
        self.now, self.used, self.ready = 1000.0, 0.0, []

    def call_soon(self, callback):
        self.ready.append(callback)

    def turn(self, seconds=1e-6):
        """Go round once; return whether the loop would not fall asleep now."""
        ready, self.ready = self.ready, []
        for callback in ready:
            callback()
        self.now += seconds
        return bool(self.ready)


@pytest.fixture
def loop(monkeypatch):
    made = Loop()
    monkeypatch.setattr(spin, "monotonic", lambda: made.now)
    monkeypatch.setattr(spin, "thread_time", lambda: made.used)
    monkeypatch.setattr(spin, "is_worth_it", lambda: True)
    return made


def test_a_loop_is_left_alone_unless_something_was_sent(loop):
    made = LoopSpin(loop)
    made.arrived()
    assert not loop.ready


def test_a_loop_stays_awake_until_something_arrives(loop):
    made = LoopSpin(loop)
    made.sent()
    assert all(loop.turn() for _ in range(20))
    made.arrived()
    assert not loop.turn()
    assert not loop.ready


def test_a_loop_falls_asleep_when_nothing_arrives_in_time(loop):
    made = LoopSpin(loop)
    began = loop.now
    made.sent()
    while loop.turn():
        pass
    assert loop.now - began == pytest.approx(SECONDS, abs=3e-6)


def test_a_loop_that_somebody_else_keeps_busy_is_not_kept_awake(loop):
    made = LoopSpin(loop)
    made.sent()
    loop.turn()
    # Another callback has run for long.
    loop.turn(seconds=0.002)
    assert not loop.turn()


@pytest.mark.parametrize("arrives", [False, True])
@pytest.mark.parametrize(("used", "polls"), [(0.0, False), (0.004, True)])
def test_a_loop_steps_aside_when_others_take_the_processor_and_not_when_its_own_tasks_do(loop, arrives, used, polls):
    made = LoopSpin(loop)
    for _ in range(2):
        made.sent()
        loop.turn()
        loop.used += used
        loop.turn(seconds=0.004)
        if arrives:
            made.arrived()
        loop.turn()
        assert not loop.ready
        for _ in range(20):
            made.sent()
            loop.turn()
            made.arrived()
            loop.turn()
    made.sent()
    assert bool(loop.ready) is polls


def test_however_much_is_sent_the_loop_is_asked_once_an_iteration(loop):
    made = LoopSpin(loop)
    for _ in range(50):
        made.sent()
        assert len(loop.ready) == 1
        loop.turn()
        assert len(loop.ready) == 1


def test_a_loop_whose_calls_take_long_falls_asleep_at_once(loop):
    made = LoopSpin(loop)
    for _ in range(20):
        made.sent()
        while loop.turn():
            pass
        loop.now += 1.0
        made.arrived()
    made.sent()
    assert not loop.ready


def test_nothing_keeps_a_loop_awake_where_it_is_not_worth_it(loop, monkeypatch):
    monkeypatch.setattr(spin, "is_worth_it", lambda: False)
    made = LoopSpin(loop)
    for _ in range(2000):
        made.sent()
        assert not loop.ready
        loop.now += 20e-6
        made.arrived()
