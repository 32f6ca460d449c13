"""An actor's standard streams and logging, so that nothing is lost and records keep their level."""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from actorio._model.context import CURRENT_CALL, id_of
from actorio._model.propagation import trace_here
from actorio._wire.messages import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorio._caller.node import NodeClient

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PLAIN = (str, int, float, bool, type(None))


def use_lines() -> None:
    """Makes Python's standard streams write whole lines at once to their pipes."""
    sys.stdout = sys.__stdout__ = _line_stream(1)  # type: ignore[misc]  # the template's lead nowhere now
    sys.stderr = sys.__stderr__ = _line_stream(2)  # type: ignore[misc]


def _line_stream(fd: int) -> io.TextIOWrapper:
    # New ones: those of the template are made for what it had there, files perhaps, and not for pipes.
    return io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(fd, "w", closefd=False)),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )


def warn(text: str) -> None:
    """Writes a line to standard error."""
    with suppress(Exception):
        sys.stderr.write(f"{text}\n")


def flush() -> None:
    """Writes what Python still holds of standard output and error."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


class RecordForwarder(logging.Handler):
    """Hands logging records to the driver, through the node.

    It is the handler of last resort: an actor that configures logging itself gets what it configured.

    Attributes:
        label: the actor's class.
    """

    label = ""

    def __init__(self, node: Callable[[], NodeClient]) -> None:
        super().__init__()
        self._node = node

    def emit(self, record: logging.LogRecord) -> None:
        """Sends a record; one that cannot be sent is written to standard error."""
        try:
            self._node().send(self._message(record))
        except Exception:  # logging must not raise
            sys.stderr.write(f"{self.format(record)}\n")

    def mark(self, record: logging.LogRecord) -> None:
        """Adds what call it was logged in, as extras; outside of any they are empty, so that formats may name them."""
        extras = vars(record)
        if "actorio_call_id" not in extras:
            call = CURRENT_CALL.get()
            extras["actorio_call_id"] = "" if call is None else id_of(call)
            extras["actorio_method"] = "" if call is None else call.title or f"{self.label}.{call.request.method}"
            extras["actorio_traceparent"] = trace_here()[0]

    def _message(self, record: logging.LogRecord) -> Record:
        return Record(
            label=self.label,
            pid=os.getpid(),
            logger=record.name,
            level=record.levelno,
            text=self.format(record),
            created=record.created,
            path=record.pathname,
            line=record.lineno,
            extra={name: _plain(value) for name, value in vars(record).items() if name not in _STANDARD},
        )


class _Forwarding:
    """Where records go."""

    forwarder: Any = None


_FORWARDING = _Forwarding()


def forward_records(forwarder: RecordForwarder) -> None:
    """Hands on every record that no handler of this process takes. Libraries' null handlers take nothing."""
    logging.lastResort = forwarder
    if _FORWARDING.forwarder is not None:
        _FORWARDING.forwarder = forwarder
        return
    _FORWARDING.forwarder = forwarder
    call_handlers = logging.Logger.callHandlers

    def call_or_forward(logger: logging.Logger, record: logging.LogRecord) -> None:
        # Here, and not in a factory of records: a program may have its own.
        _FORWARDING.forwarder.mark(record)
        call_handlers(logger, record)
        handlers = _handlers_of(logger)
        # Without any handler the record has gone to the last resort already.
        if handlers and all(isinstance(handler, logging.NullHandler) for handler in handlers):
            _FORWARDING.forwarder.handle(record)

    # `logging.warning()` and its like configure logging by themselves where nobody has: here it is configured.
    logging.basicConfig = _explicit_only(logging.basicConfig)
    logging.Logger.callHandlers = call_or_forward  # type: ignore[assignment, method-assign]  # this process is an actor's alone


def _explicit_only(basic_config: Callable[..., None]) -> Callable[..., None]:
    def configure(**options: Any) -> None:
        if options:
            basic_config(**options)

    return configure


def _handlers_of(logger: logging.Logger) -> list[logging.Handler]:
    found: list[logging.Handler] = []
    current: logging.Logger | None = logger
    while current is not None:
        found.extend(current.handlers)
        current = current.parent if current.propagate else None
    return found


def _plain(value: Any) -> str | int | float | bool | None:
    return value if isinstance(value, _PLAIN) else repr(value)
