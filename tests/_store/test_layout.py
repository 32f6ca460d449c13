"""Where the parts of a value lie."""

from hypothesis import given
from hypothesis import strategies as st

from actorio._store.layout import lay_out, parts_of

PARTS = st.lists(st.binary(max_size=200), max_size=8)


def written(parts):
    """Return parts as a file would hold them, in room for more."""
    table, positions, end = lay_out([len(part) for part in parts])
    whole = bytearray(end + 100)
    whole[: len(table)] = table
    for position, part in zip(positions, parts, strict=True):
        whole[position : position + len(part)] = part
    return whole


@given(PARTS)
def test_parts_are_found_as_they_were_laid_out(parts):
    assert [bytes(part) for part in parts_of(memoryview(written(parts)))] == parts


@given(PARTS)
def test_parts_begin_where_vector_instructions_like_it_and_lie_apart(parts):
    table, positions, end = lay_out([len(part) for part in parts])
    assert not [position for position in positions if position % 64]
    ends = [len(table), *(position + len(part) for position, part in zip(positions, parts, strict=True))]
    assert all(before <= after for before, after in zip(ends, [*positions, end], strict=True))
