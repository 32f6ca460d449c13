"""How far a run has come, on a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Iterator


class Show(Protocol):
    """What is told how far a run has come."""

    def begin(self, suite: str) -> None:
        """A suite begins."""

    def advance(self, words: str) -> None:
        """Within it, something begins to be measured."""

    def end(self) -> None:
        """The suite has ended."""


class Silence:
    """Shows nothing."""

    def begin(self, suite: str) -> None:
        """Nothing."""

    def advance(self, words: str) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Bar:
    """Shows a bar, and what is being measured.

    It is drawn when something new begins, and at no other time: a thread that draws would be measured, too.
    """

    def __init__(self, progress: Progress, suites: int) -> None:
        self._progress = progress
        self._suite = ""
        self._task = progress.add_task("", total=suites)

    def begin(self, suite: str) -> None:
        """Names the suite."""
        self._suite = suite
        self.advance("")

    def advance(self, words: str) -> None:
        """Names what is measured."""
        self._progress.update(self._task, description=f"{self._suite}: {words}" if words else self._suite, refresh=True)

    def end(self) -> None:
        """Draws the bar longer."""
        self._progress.update(self._task, advance=1, refresh=True)


@contextmanager
def shown(suites: int) -> Iterator[Show]:
    """Shows the progress of a run on standard error, if that is a terminal; it is gone afterwards."""
    if not sys.stderr.isatty():
        yield Silence()
        return
    columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as progress:
        yield Bar(progress, suites)
