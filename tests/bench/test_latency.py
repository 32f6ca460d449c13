import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorio.bench.latency import percentile


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(1, 0.5, 1), (2, 0.5, 1), (3, 0.5, 2), (100, 0.5, 50), (100, 0.99, 99), (100, 0.07, 7), (99, 0.99, 99), (5, 1, 5)],
)
def test_a_percentile_is_the_value_of_the_nearest_rank(count, share, expected):
    assert percentile(range(count, 0, -1), share) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_one_of_the_values_and_enough_are_not_above_it(values, share):
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0), ([1.0], 1.5), ([1.0], 99)])
def test_a_percentile_that_cannot_be_is_refused(values, share):
    with pytest.raises(ValueError, match=r"no values|is not in"):
        percentile(values, share)
