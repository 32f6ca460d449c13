"""Of what is noted, the last entries are kept."""

from actorio._caller.recent import Recent


def test_the_oldest_entry_is_forgotten_when_there_are_too_many():
    recent = Recent(2)
    for number in range(4):
        recent.note(number, str(number))
    assert recent == {2: "2", 3: "3"}


def test_an_entry_that_is_noted_again_is_one_entry():
    recent = Recent(2)
    for number in (1, 2, 2):
        recent.note(number, number)
    assert recent == {1: 1, 2: 2}
