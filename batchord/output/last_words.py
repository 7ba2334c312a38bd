"""What a process tells where nobody has seen to it: errors that nobody caught, warnings, logs without a handler.

Masked as everything else. Nothing is imported for it before it is needed: commands start fast.
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
    """Any format, without secrets, each record as one entry."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, and those that go on with it."""
        return _told(super().format(record))


def mask_last_words() -> None:
    """Lets this process tell no secret, whatever happens; to be called when it starts."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(MaskedFormatter())
    warnings.showwarning = _warn
    sys.excepthook = _tell_uncaught
    threading.excepthook = lambda seen: _tell_uncaught(seen.exc_type, seen.exc_value, seen.exc_traceback)


def _warn(  # noqa: PLR0917 -- the signature of the warnings module
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 -- as above
    line: str | None = None,
) -> None:
    _log.warning("%s", warnings.formatwarning(message, category, filename, lineno, line).rstrip("\n"))


def _tell_uncaught(kind: type[BaseException], error: BaseException | None, where: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        sys.__excepthook__(kind, error or kind(), where)
        return
    print(_told("".join(traceback.format_exception(kind, error, where)).rstrip("\n")), file=sys.stderr)  # noqa: T201


def _told(text: Any) -> str:
    from batchord.core.text.visible import as_one_entry
    from batchord.output.masking import mask

    return as_one_entry(mask(text))
