"""Describes an error of the author's code for the attempt's log, for the ledger and for `batchord try`."""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from batchord.core.code.traces import trace_of
from batchord.core.errors import TransientError
from batchord.core.run.failures import Failure
from batchord.core.run.logs import AttemptName
from batchord.core.run.records import Scalar, record_key, storable
from batchord.core.text.counts import counted
from batchord.core.text.error_text import message_of
from batchord.flow.parts import Parts

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

#: The most characters of an error and of a traceback: a model may raise its whole input.
_MOST_ERROR, _MOST_TRACEBACK = 500, 8_000
#: The most columns that a line of the log names.
_MOST_COLUMNS = 50


def failure_of(
    error: BaseException,
    *,
    mask: Callable[[str], str],
    key: Scalar | None = None,
    frame: "pd.DataFrame | None" = None,
) -> Failure:
    """Describes ``error`` without secrets. ``key`` and ``frame``: the record for which the model raised, and its frame.

    Of the frame, only the names and the types of the columns are taken.
    """
    trace = trace_of(error)
    return Failure(
        # Mask before cutting: half a secret cannot be recognised.
        error=storable(mask(message_of(trace.error)))[:_MOST_ERROR],
        traceback=_shortened(storable(mask(trace.text))),
        file=None if trace.file is None else storable(trace.file),
        line=trace.line,
        key=None if key is None else storable(record_key(key)),
        columns=None if frame is None else columns_of(frame),
    )


def keep_failure(parts: Parts, attempt: AttemptName, failure: Failure) -> None:
    """Keeps the failure with its attempt in the ledger. The attempt goes on, or ends, even if the ledger is away."""
    try:
        parts.ledger.attempts.note_failure(attempt, failure)
    except TransientError as error:
        log.warning("`batchord show` will not have this error: %s", error)


def log_failure(failure: Failure) -> None:
    """Logs the first record for which a model raises, with the traceback and the columns that the model got."""
    place = "" if failure.place is None else f" at {failure.place}"
    columns = "" if failure.columns is None else f"\nIts frame has the columns: {_listed(failure.columns)}."
    log.warning(
        "The model raised for record %s%s: %s%s\n%s", failure.key, place, failure.error, columns, failure.traceback
    )


def columns_of(frame: "pd.DataFrame") -> dict[str, str]:
    """The names and the types of a frame's columns."""
    return {storable(str(name)): str(frame.dtypes.iloc[place]) for place, name in enumerate(frame.columns)}


def _listed(columns: Mapping[str, str]) -> str:
    shown = [f"{name} ({dtype})" for name, dtype in columns.items()]
    more = f" and {len(shown) - _MOST_COLUMNS:,} more" if len(shown) > _MOST_COLUMNS else ""
    return (", ".join(shown[:_MOST_COLUMNS]) or "none") + more


def _shortened(text: str) -> str:
    """The beginning and the end of a traceback: its end says what is wrong."""
    if len(text) <= _MOST_TRACEBACK:
        return text
    half = _MOST_TRACEBACK // 2
    return f"{text[:half]}\n… {counted(len(text) - 2 * half, 'character')} left out …\n{text[-half:]}"
