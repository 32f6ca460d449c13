"""Runs suites one after the other, and keeps what they find."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from actorio.bench.machine import this_machine
from actorio.bench.results import Results, Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actorio.bench.progress import Show
    from actorio.bench.suite import Plan, Suite


class Run:
    """A run of some suites.

    Args:
        plan: How to measure; whom to tell of progress and of what is skipped is added to it.
        save: Called with the results after each suite, and when the run ends early, once there are any.

    Attributes:
        results: What is known so far.
        failed: The suites that an error has ended, each with that error.
    """

    def __init__(self, plan: Plan, save: Callable[[Results], None]) -> None:
        self.results = Results(
            machine=this_machine(),
            began=datetime.now(UTC).isoformat(timespec="seconds"),
            effort=plan.effort,
            measurements=[],
            skipped=[],
        )
        self.failed: dict[str, Exception] = {}
        self._plan = replace(plan, skip=self._skip)
        self._save = save

    def measure(self, suites: Sequence[Suite], show: Show) -> None:
        """Runs suites in the main thread. One that fails does not keep the others from running.

        Raises:
            KeyboardInterrupt: somebody wants it to end. What is known is kept; what was being measured is lost, and
                everything that was started for it has ended.
        """
        # From the beginning: a file of a run that is killed says it, too.
        self.results.missing = [suite.name for suite in suites]
        for suite in suites:
            show.begin(suite.name)
            try:
                self._measure_or_skip(suite, replace(self._plan, advance=show.advance))
                self.results.missing.remove(suite.name)
            finally:
                if self.results.measurements:
                    self._save(self.results)
            show.end()

    def _measure_or_skip(self, suite: Suite, plan: Plan) -> None:
        try:
            self._measure_one(suite, plan)
        except Exception as error:
            self.failed[suite.name] = error
            self._skip(Skipped(suite.name, "actorio", f"{type(error).__name__}: {error}"))

    def _measure_one(self, suite: Suite, plan: Plan) -> None:
        measuring = suite.measure(plan)
        with ExitStack() as stack:
            if isinstance(measuring, Generator):
                # One that is left half-way ends its session when it is closed.
                stack.callback(measuring.close)
            # One by one: what was found before an error or Ctrl-C stays.
            for measurement in measuring:
                self.results.measurements.append(measurement)

    def _skip(self, skipped: Skipped) -> None:
        if skipped not in self.results.skipped:
            self.results.skipped.append(skipped)
