"""The harness's side of an adapter: its process, and the samples that it is asked for."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from actorio.bench.results import Skipped
from actorio.bench.rivals import NAMES, PACKAGES, is_installed
from actorio.bench.rivals.exchange import Ask, Failure, Job, Line, Ready, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actorio.bench.patterns import Effort
    from actorio.bench.suite import Plan

# How long a rival may take to begin, for one sample, and to end, in seconds.
_START_TIMEOUT, _SAMPLE_TIMEOUT, _END_TIMEOUT = 60.0, 60.0, 20.0
_CHUNK = 1 << 16


class RivalError(Exception):
    """A rival has not started, or has no answer; the text says why."""


@contextmanager
def running(plan: Plan, suite: str, known: Sequence[str] = NAMES) -> Iterator[list[Rival]]:
    """Runs the rivals that were asked for, and that a suite knows, for the length of a ``with`` block.

    Those that cannot run are skipped, and the plan is told why.
    """
    with ExitStack() as stack:
        rivals = []
        for name in plan.against:
            if name not in known:
                continue
            plan.advance(f"starting {name}")
            try:
                rivals.append(stack.enter_context(started(name)))
            except RivalError as error:
                plan.skip(Skipped(suite, name, str(error)))
        yield rivals


@contextmanager
def started(name: str, timeout: float = _START_TIMEOUT) -> Iterator[Rival]:
    """Runs one rival.

    Raises:
        RivalError: it is not installed, or has not begun in time.
    """
    if not is_installed(name):
        raise RivalError(f"not installed: pip install {PACKAGES[name]}")
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603  # this package itself
            [sys.executable, "-m", "actorio.bench.rivals", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            # A terminal's Ctrl-C is for the harness, which ends its rivals. And all that they start can be ended.
            start_new_session=True,
        )
        rival = Rival(process, errors.fileno())
        try:
            rival.wait_until_ready(timeout)
            yield rival
        finally:
            rival.close()


class Rival:
    """A rival that runs.

    Attributes:
        jobs: What it can do; nothing any more when it has failed.
    """

    def __init__(self, process: subprocess.Popen[bytes], errors: int) -> None:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("it was started with pipes")
        self.jobs: frozenset[Job] = frozenset()
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._errors = errors
        self._unread = b""

    def wait_until_ready(self, timeout: float) -> None:
        """Waits until it has begun."""
        answer = self._read(timeout)
        if not isinstance(answer, Ready):
            raise RivalError(answer.reason if isinstance(answer, Failure) else f"unexpected answer: {answer}")
        self.jobs = frozenset(answer.jobs)

    def sample(self, job: Job, effort: Effort) -> float:
        """Has one sample taken; returns calls per second.

        Raises:
            RivalError: it has none, or no more. It is not asked again then.
        """
        try:
            self._stdin.write(msgspec.json.encode(Ask(job, effort.calls, effort.batches)) + b"\n")
            self._stdin.flush()
            answer = self._read(_SAMPLE_TIMEOUT)
        except OSError as error:
            self.jobs = frozenset()
            raise RivalError(self._end_in_words()) from error
        except RivalError:
            self.jobs = frozenset()
            raise
        if isinstance(answer, Sample):
            return answer.value
        self.jobs -= {job}
        raise RivalError(answer.reason if isinstance(answer, Failure) else f"unexpected answer: {answer}")

    def close(self) -> None:
        """Ends it and all that it has started; kills what does not end in time, or when somebody cannot wait."""
        try:
            self._stdin.close()
            while True:
                self._read(_END_TIMEOUT)
        except (OSError, RivalError):
            pass  # It has ended, or will not.
        finally:
            # Not reaped yet, so nobody else can have its number.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._stdout.close()

    def _read(self, timeout: float) -> Line:
        deadline = time.monotonic() + timeout
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise RivalError(f"no answer within {timeout:g} seconds")
            data = os.read(self._stdout.fileno(), _CHUNK)
            if not data:
                raise RivalError(self._end_in_words())
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        message: Line = msgspec.json.decode(line, type=Line)
        return message

    def _end_in_words(self) -> str:
        size = os.fstat(self._errors).st_size
        lines = os.pread(self._errors, _CHUNK, max(0, size - _CHUNK)).decode(errors="replace").strip().splitlines()
        return f"its process has ended: {lines[-1]}" if lines else "its process has ended"
