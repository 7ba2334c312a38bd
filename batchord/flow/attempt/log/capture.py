"""Sends what is logged and printed to the attempt whose context it happens in."""

import logging
import os
import sys
import threading
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, TextIO, cast

from batchord.flow.attempt.log.lines import LINE_COSTS, size_of
from batchord.flow.attempt.log.writer import AttemptLog

of_context: ContextVar[AttemptLog | None] = ContextVar("batchord-attempt-log", default=None)

#: Logs what attempts print, for the process's own log.
_OUTPUT = logging.getLogger("batchord.output")
_STREAMS = ("stdout", "stderr")
#: The most characters that wait for the end of their line.
_LONGEST_PARTIAL = 64 * 1024
_format = logging.Formatter().format

#: In a forked child no thread writes the log, and its parent reads what it prints.
os.register_at_fork(after_in_child=lambda: of_context.set(None))


def install(*, log_printed: bool = False) -> None:
    """Routes printed text and the root logger's records from INFO on to the attempt of their context.

    What an attempt prints still goes to its stream. With ``log_printed`` the logger ``batchord.output`` gets each line
    instead, so that a worker's log names the attempt beside it. Outside of attempts nothing changes. Give the process's
    own handlers their streams before this call: later they would get our streams, and their output would count as
    printed text.
    """
    global _installed  # noqa: PLW0603 -- as sys.stdout and the root logger, there is one in a process
    uninstall()
    _installed = _Installed(log_printed=log_printed)


def uninstall() -> None:
    """Undoes :func:`install`, if it was called."""
    global _installed  # noqa: PLW0603 -- as above
    if _installed is not None:
        _installed.undo()
        _installed = None


def end_printed(log: AttemptLog) -> None:
    """Adds the last printed text if it has no end of line."""
    while log.partial:
        (_, source), text = log.partial.popitem()
        _add_printed(log, source, text, logged=_installed is not None and _installed.log_printed)


class _Installed:
    """The handler and both streams, and the streams that they replace."""

    def __init__(self, *, log_printed: bool) -> None:
        self.log_printed = log_printed
        root = logging.getLogger()
        self._handler = _Handler(logging.INFO)
        self._level = root.level
        if root.level > logging.INFO:
            root.setLevel(logging.INFO)
        root.addHandler(self._handler)
        self._before = {name: getattr(sys, name) for name in _STREAMS}
        self._ours = {
            name: _Stream(stream, name, logged=log_printed)
            for name, stream in self._before.items()
            if stream is not None  # as in a process without a console
        }
        for name, stream in self._ours.items():
            setattr(sys, name, cast("TextIO", stream))

    def undo(self) -> None:
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.setLevel(self._level)
        for name, stream in self._ours.items():
            if getattr(sys, name) is stream:  # otherwise somebody has replaced ours, and will undo that
                setattr(sys, name, self._before[name])


_installed: _Installed | None = None


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log = of_context.get()
        if log is None or record.name == _OUTPUT.name:  # the stream has added these already
            return
        try:
            # Include the traceback, if there is one. Most records have none and need no formatter.
            message = _format(record) if record.exc_info or record.stack_info else record.getMessage()
            log.add(record.created, record.levelname, record.name, message)
        except Exception:  # noqa: BLE001 -- as logging's own handlers
            self.handleError(record)


class _Stream:
    """``sys.stdout`` or ``sys.stderr`` that also sends an attempt's lines to its log. The stream does the rest."""

    def __init__(self, stream: TextIO, source: str, *, logged: bool) -> None:
        self._stream = stream
        self._source = source
        self._logged = logged

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Any:
        return iter(self._stream)

    def write(self, text: str) -> int:
        log = of_context.get()
        # A handler that logs a printed line may write to this stream. Without this check that would never end.
        if log is None or getattr(_logging, "now", False) or not isinstance(text, str):
            return self._stream.write(text)
        written = len(text) if self._logged else self._stream.write(text)
        key = (threading.get_ident(), self._source)
        rest = log.partial.pop(key, "") + text
        if "\n" in text:  # print() writes each of its arguments separately
            *lines, rest = rest.split("\n")
            for line in lines:
                _add_printed(log, self._source, line, logged=self._logged)
        if "\r" in rest:
            rest = _visible(rest) + ("\r" if rest.endswith("\r") else "")
        if len(rest) > _LONGEST_PARTIAL:
            _add_printed(log, self._source, rest, logged=self._logged)
        elif rest:
            log.partial[key] = rest
        return written

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)


#: ``now``: this thread is logging a printed line.
_logging = threading.local()


def _add_printed(log: AttemptLog, source: str, line: str, *, logged: bool) -> None:
    if "\r" in line:
        line = _visible(line)
    log.line(source, line)
    if logged and log.forwarded_bytes <= log.limit_bytes:
        log.forwarded_bytes += size_of(line) + LINE_COSTS
        _logging.now = True
        try:
            if log.forwarded_bytes <= log.limit_bytes:
                _OUTPUT.info("%s", line)
            else:  # otherwise an attempt that prints without end would fill the worker's disk
                _OUTPUT.info("(the task printed more than %d bytes; the attempt's log has the rest)", log.limit_bytes)
        finally:
            _logging.now = False


def _visible(line: str) -> str:
    """The text that a terminal shows: a progress bar returns to the beginning each time, so it is one line."""
    return line.rstrip("\r").rpartition("\r")[2]
