"""A table that fits its terminal: where there is no room for all columns, it leaves out whole ones, and says which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

_GAP = 2


class FittingTable:
    """A table without lines.

    Args:
        headings: of each column; with ``>`` in front, its cells are aligned at their right.
        spare: the headings of columns that may be left out, the most expendable first.
    """

    def __init__(self, headings: Sequence[str], spare: Sequence[str]) -> None:
        self._headings = [heading.lstrip(">") for heading in headings]
        self._right = {heading[1:] for heading in headings if heading.startswith(">")}
        self._spare = spare
        self._rows: list[list[Text]] = []

    def add_row(self, *cells: Text | str) -> None:
        """Adds a line, with a cell for each column."""
        self._rows.append([cell if isinstance(cell, Text) else Text(cell) for cell in cells])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields the table as it fits."""
        left_out = self._left_out(options.max_width)
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
        shown = [number for number, heading in enumerate(self._headings) if heading not in left_out]
        for number in shown:
            heading = self._headings[number]
            table.add_column(heading, justify="right" if heading in self._right else "left", no_wrap=True)
        for row in self._rows:
            table.add_row(*(row[number] for number in shown))
        yield table
        if left_out:
            yield Text(f"no room for {', '.join(left_out)}", "dim")

    def _left_out(self, width: int) -> list[str]:
        widths = {
            heading: max(len(heading), *(row[number].cell_len for row in self._rows), 0)
            for number, heading in enumerate(self._headings)
        }
        room = sum(widths.values()) + _GAP * (len(widths) - 1)
        left_out = []
        for heading in self._spare:
            if room <= width:
                break
            room -= widths[heading] + _GAP
            left_out.append(heading)
        return left_out
