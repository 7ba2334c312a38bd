"""Masks the output that no other code masks: uncaught errors, warnings, log records without a handler.

It imports what it needs only when it needs it, so that commands start fast.
"""

import logging
import sys
import threading
import traceback
import warnings
from types import TracebackType
from typing import Any, TextIO

_log = logging.getLogger("batchord.warnings")


class MaskedFormatter(logging.Formatter):
    """Formats records without secrets, each as one entry."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, and the lines that continue it."""
        return _masked_entry(super().format(record))


def mask_last_words() -> None:
    """Masks this process's uncaught errors, its warnings and its records without a handler. Call it at the start."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(MaskedFormatter())
    warnings.showwarning = _warn
    sys.excepthook = _print_uncaught
    threading.excepthook = lambda uncaught: _print_uncaught(
        uncaught.exc_type, uncaught.exc_value, uncaught.exc_traceback
    )


def _warn(  # noqa: PLR0917 -- the signature of the warnings module
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 -- as above
    line: str | None = None,
) -> None:
    _log.warning("%s", warnings.formatwarning(message, category, filename, lineno, line).rstrip("\n"))


def _print_uncaught(kind: type[BaseException], error: BaseException | None, where: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        sys.__excepthook__(kind, error or kind(), where)
        return
    entry = _masked_entry("".join(traceback.format_exception(kind, error, where)).rstrip("\n"))
    print(entry, file=sys.stderr)  # noqa: T201


def _masked_entry(text: Any) -> str:
    from batchord.core.text.visible import as_one_entry
    from batchord.output.masking import mask

    return as_one_entry(mask(text))
