"""What actors print and log, shown at the driver: in a thread of its own, where ``sys.stdout`` leads."""

from __future__ import annotations

import logging
import queue
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from actorio._transport.threads import start_thread
from actorio._wire.messages import Output, Record

if TYPE_CHECKING:
    import threading
    from typing import TextIO

_CYAN, _PLAIN = "\033[36m", "\033[0m"
_STDERR = 2
# In seconds: too short to be seen, long enough for a print() to end.
_PAUSE = 0.005


class OutputPrinter:
    """Prints news in the order in which they came.

    Not in the thread that reads the node's messages: a slow terminal must not hold up the news of a death.

    Args:
        is_shown: False drops everything, for ``init(log_to_driver=False)``.
    """

    def __init__(self, *, is_shown: bool) -> None:
        self._is_shown = is_shown
        self._queue: queue.SimpleQueue[Output | Record | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def take(self, news: Output | Record) -> None:
        """Takes what an actor printed or logged; called in one thread only."""
        if not self._is_shown:
            return
        if self._thread is None:
            self._thread = start_thread(self._print, "actorio-output")
        if self._thread is None:
            _show(news)
        else:
            self._queue.put(news)

    def close(self) -> None:
        """Returns when all that was taken has been printed."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _print(self) -> None:
        while (news := self._queue.get()) is not None:
            if self._queue.empty():
                # A line often comes with the result of its call, which the driver prints at once, and in pieces.
                time.sleep(_PAUSE)
            _show(news)


def _show(news: Output | Record) -> None:
    # The driver's own stream may be closed or broken, or anything that a program has put in its place: there is
    # nowhere to print to then, or to say so.
    with suppress(Exception):
        if isinstance(news, Output):
            _print_lines(news)
        else:
            _log(news)


def _print_lines(output: Output) -> None:
    # Looked up each time: pytest and notebooks replace the streams as they go.
    stream = sys.stderr if output.stream == _STDERR else sys.stdout
    if stream is None:
        return
    prefix = _prefix(stream, f"({output.label} pid={output.pid})")
    text = "".join(f"{prefix} {line.decode(errors='backslashreplace')}\n" for line in output.lines)
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _prefix(stream: TextIO, text: str) -> str:
    # What stands in for a stream has `write`, and perhaps no more.
    is_terminal = getattr(stream, "isatty", bool)()
    return f"{_CYAN}{text}{_PLAIN}" if is_terminal else text


def _log(record: Record) -> None:
    """Hands a record to the driver's logging, as if it had been logged there."""
    logger = logging.getLogger(record.logger)
    if not logger.isEnabledFor(record.level):
        return
    who = f"{record.label} pid={record.pid}" if record.pid else record.label
    text = f"({who}) {record.text}"
    entry = logger.makeRecord(record.logger, record.level, record.path, record.line, text, (), None)
    entry.created = record.created
    entry.process = record.pid
    vars(entry).update(record.extra)
    logger.handle(entry)
