import pytest
from hypothesis import given
from hypothesis import strategies as st

from actorio._node import lines
from actorio._node.lines import LineSplitter

TEXTS = st.lists(st.sampled_from([b"\n", b"\r", b"a", b"bc", b"\xff", b"\0", b"0123456789"]), max_size=40).map(b"".join)
CHUNKS = st.lists(st.integers(0, 15), max_size=40)


def split(text, sizes):
    splitter = LineSplitter()
    found = []
    for size in sizes:
        found += splitter.feed(text[:size])
        text = text[size:]
    return [*found, *splitter.feed(text)], splitter


@given(TEXTS, CHUNKS)
def test_any_chunking_gives_the_same_lines(text, sizes):
    found, splitter = split(text, sizes)
    *whole, rest = text.split(b"\n")
    assert found == whole
    assert splitter.finish() == ([rest] if rest else [])
    assert splitter.finish() == []


@given(TEXTS)
def test_lines_come_as_soon_as_they_are_whole(text):
    splitter = LineSplitter()
    for place, byte in enumerate(text):
        found = splitter.feed(bytes([byte]))
        assert found == ([text[:place].rpartition(b"\n")[2]] if byte == 10 else [])


@pytest.fixture
def longest(monkeypatch):
    monkeypatch.setattr(lines, "LONGEST", 20)
    return 20


@given(TEXTS, CHUNKS)
def test_a_line_without_end_is_handed_on_in_pieces_and_nothing_is_lost(text, sizes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "LONGEST", 20)
        found, splitter = split(text, sizes)
        assert len(splitter._rest) <= 20
        found += splitter.finish()
    assert b"".join(found) == text.replace(b"\n", b"")
    # Only what is too long is cut, so that each short line is still there.
    for line in text.split(b"\n"):
        assert line in found or len(line) > 20 or not line


def test_a_line_is_handed_on_when_it_is_longer_than_may_be(longest):
    splitter = LineSplitter()
    assert splitter.feed(b"x" * longest) == []
    assert splitter.feed(b"x") == [b"x" * (longest + 1)]
    assert splitter.feed(b"rest\n") == [b"rest"]


def test_a_long_line_that_ends_right_behind_a_piece_adds_no_empty_line(longest):
    splitter = LineSplitter()
    assert splitter.feed(b"x" * (longest + 1)) == [b"x" * (longest + 1)]
    assert splitter.feed(b"\nnext\n\n") == [b"next", b""]
