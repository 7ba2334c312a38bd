"""Brings what is logged and printed to the attempt of the context in which that happens."""

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
#: Characters without an end of line that are held until there is one.
_LONGEST_PARTIAL = 64 * 1024
_format = logging.Formatter().format

#: In a forked child no thread writes the log; and what it prints is for whoever forked it.
os.register_at_fork(after_in_child=lambda: of_context.set(None))


def install(*, log_printed: bool = False) -> None:
    """Routes the root logger's records from INFO on, and prints, to the attempt of their context.

    What an attempt prints still goes to its stream; with ``log_printed`` the logger ``batchord.output`` gets each
    line instead, so that a worker's log names the attempt with it. Outside of attempts nothing changes. Give the
    process's own handlers their streams before: later they would find ours, and what they write counts as printed.
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
    """Adds what was printed last without an end of line."""
    while log.partial:
        (_, source), text = log.partial.popitem()
        _add_printed(log, source, text, logged=_installed is not None and _installed.log_printed)


class _Installed:
    """The handler and both streams, and what was there before."""

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
            if getattr(sys, name) is stream:  # else someone has put another in place, and will undo that
                setattr(sys, name, self._before[name])


_installed: _Installed | None = None


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log = of_context.get()
        if log is None or record.name == _OUTPUT.name:  # which the stream has added already
            return
        try:
            # With its traceback, if there is one; most records have none and need no formatter.
            message = _format(record) if record.exc_info or record.stack_info else record.getMessage()
            log.add(record.created, record.levelname, record.name, message)
        except Exception:  # noqa: BLE001 -- as logging's own handlers
            self.handleError(record)


class _Stream:
    """``sys.stdout`` or ``sys.stderr``, which an attempt's lines leave for its log; all else is the stream's own."""

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
        # What a handler writes of a printed line is not printed: without this it would go on for ever.
        if log is None or getattr(_logging, "now", False) or not isinstance(text, str):
            return self._stream.write(text)
        written = len(text) if self._logged else self._stream.write(text)
        key = (threading.get_ident(), self._source)
        rest = log.partial.pop(key, "") + text
        if "\n" in text:  # print() writes each of its arguments alone
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


#: ``now``: this thread logs what was printed.
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
            else:  # or an attempt that prints without end would fill the worker's disk
                _OUTPUT.info("(the task printed more than %d bytes; the attempt's log has the rest)", log.limit_bytes)
        finally:
            _logging.now = False


def _visible(line: str) -> str:
    """What a terminal shows of it: a progress bar returns to the beginning each time, and is one line."""
    return line.rstrip("\r").rpartition("\r")[2]
