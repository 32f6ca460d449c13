"""Tables fit the terminal: whole columns are left out, in their order, and named."""

import io

import pytest
from rich.console import Console

from actorio.cli.columns import FittingTable


def drawn(width):
    table = FittingTable(("ID", "CLASS", ">CALLS", "NOTE"), spare=("NOTE", "ID"))
    table.add_row("0123456789", "Account", "12", "a long note")
    table.add_row("abcdef", "Bank", "3", "")
    file = io.StringIO()
    Console(file=file, width=width).print(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_where_there_is_room_every_column_is_shown():
    assert drawn(80) == [
        "ID          CLASS    CALLS  NOTE",
        "0123456789  Account     12  a long note",
        "abcdef      Bank         3",
    ]


@pytest.mark.parametrize(
    ("width", "headings", "last"),
    [
        (39, "ID          CLASS    CALLS  NOTE", "abcdef      Bank         3"),
        (38, "ID          CLASS    CALLS", "no room for NOTE"),
        (26, "ID          CLASS    CALLS", "no room for NOTE"),
        (25, "CLASS    CALLS", "no room for NOTE, ID"),
    ],
)
def test_what_can_be_spared_goes_first_and_is_named(width, headings, last):
    lines = drawn(width)
    assert (lines[0], lines[-1]) == (headings, last)
    assert not any("…" in line for line in lines)


def test_a_table_without_rows_is_its_headings():
    file = io.StringIO()
    Console(file=file, width=80).print(FittingTable(("ID", ">AGE"), spare=()))
    assert file.getvalue().split() == ["ID", "AGE"]
