from actorio.bench.footprint import Footprint
from actorio.bench.soak_watch import Watch


def watched(*memory):
    watch = Watch({"driver": 1})
    watch.seen["driver"] = [Footprint(value, 0.0, 0, 0, 0) for value in memory]
    return watch


def test_growth_compares_the_last_tenth_with_the_first_after_warming_up():
    warming_up, steady, grown = [1.0] * 2, [5.0] * 16, [8.0] * 2
    assert watched(*warming_up, *steady, *grown).growth("driver", "memory") == 3.0


def test_what_was_seen_while_warming_up_is_left_out():
    assert watched(*[1.0] * 2, *[5.0] * 18).values("driver", "memory") == [5.0] * 18


def test_two_looks_are_enough():
    assert watched(1.0, 4.0).growth("driver", "memory") == 3.0
