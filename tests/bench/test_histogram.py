import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorio.bench.histogram import Histogram

durations = st.floats(1e-6, 1e3)


@given(st.lists(durations, min_size=1), st.sampled_from([0.5, 0.9, 0.999, 1.0]))
def test_a_quantile_is_that_of_a_sorted_list_but_for_two_percent(seconds, part):
    histogram = Histogram()
    for each in seconds:
        histogram.note(each)
    rank = max(0, -int(-part * len(seconds) // 1) - 1)
    exact = sorted(seconds)[rank]
    assert exact * 0.999 <= histogram.quantile(part) <= exact * 1.021


def test_the_longest_is_kept_exactly():
    histogram = Histogram()
    for seconds in (0.001, 5000.0, 0.002):
        histogram.note(seconds)
    assert (histogram.number, histogram.longest) == (3, 5000.0)


def test_nothing_counted_has_no_quantile():
    with pytest.raises(ValueError, match="nothing was counted"):
        Histogram().quantile(0.5)
