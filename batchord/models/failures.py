"""Translates errors that models raise into Batchord's."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from billiard.exceptions import SoftTimeLimitExceeded

from batchord.core.errors import BatchordError, ConfigurationError, ModelError
from batchord.core.process.exhaustion import is_exhaustion
from batchord.core.process.leaving import ends_the_process
from batchord.core.text.counts import counted
from batchord.core.text.error_text import clause, error_text

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def predicting(version: str, frame: "pd.DataFrame") -> Iterator[None]:
    """Turns any error of a model for ``frame`` into a ModelError that names the version and the records.

    It raises MemoryError if this process lacked memory or threads, in whatever words the model's library says so.
    """
    try:
        yield
    except (BatchordError, MemoryError, SoftTimeLimitExceeded):
        raise  # already Batchord's error, or not the model's fault: the worker's memory, Celery's time limit
    except BaseException as error:
        if ends_the_process(error):
            raise
        if is_exhaustion(error):
            raise MemoryError(f"{version} on {counted(len(frame), 'record')}: {error_text(error)}") from error
        raise ModelError(f"{version} failed for {_records(frame)}: {clause(_cause(error))}.") from error


def _records(frame: "pd.DataFrame") -> str:
    """``record 23``, ``10 records, from 23 to 32``."""
    if len(frame) == 1:
        return f"record {frame.index[0]!r}"
    ends = f", from {frame.index[0]!r} to {frame.index[-1]!r}" if len(frame) else ""
    return f"{counted(len(frame), 'record')}{ends}"


def _cause(error: BaseException) -> str:
    # The text of a SystemExit is a bare number or empty, so name the call that the author wrote.
    return f"it called sys.exit({error.code!r})" if isinstance(error, SystemExit) else error_text(error)


def check_columns(frame: "pd.DataFrame", names: Sequence[str], *, version: str) -> None:
    """Raises ConfigurationError if the source does not have all the columns that a model reads."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ConfigurationError(
            f"{version} needs columns {missing}, but the source gives {list(frame.columns)}: "
            "select them in the source's sql, or name the right ones in features=[…]."
        )


def filled_column(frame: "pd.DataFrame", column: str, *, version: str, argument: str) -> "pd.Series[Any]":
    """The column that a model reads, which has no missing values.

    Raises ConfigurationError if the source does not have the column, and ModelError for a missing value: the caller
    must reject such records before.
    """
    if column not in frame.columns:
        raise ConfigurationError(
            f"{version} reads {argument}, but the source has {list(frame.columns)}: select the column {column!r}."
        )
    missing = frame.index[frame[column].isna()]
    if len(missing):
        raise ModelError(f"{version} got records without a value for {argument}, the first with key {missing[0]!r}.")
    return frame[column]
