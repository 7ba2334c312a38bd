"""What goes wrong inside a model, in our words."""

from collections.abc import Iterator
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
    """Turns whatever a model raises for ``frame`` into a ModelError that names the version and the records.

    MemoryError where this process lacked memory or threads for it, however the model's library says so.
    """
    try:
        yield
    except (BatchordError, MemoryError, SoftTimeLimitExceeded):
        raise  # ours already, or no fault of the model's: the worker's memory, Celery's clock
    except BaseException as error:
        if ends_the_process(error):
            raise
        if is_exhaustion(error):
            raise MemoryError(f"{version} on {counted(len(frame), 'record')}: {error_text(error)}") from error
        keys = f"{frame.index[0]!r} to {frame.index[-1]!r}" if len(frame) else "none"
        raise ModelError(
            f"{version} failed on {counted(len(frame), 'record')} (keys {keys}): {clause(_said(error))}. "
            "The traceback is in the log: `batchord logs RUN`."
        ) from error


def _said(error: BaseException) -> str:
    # Named as the author wrote it: of a SystemExit the text is a bare number, or nothing.
    return f"it called sys.exit({error.code!r})" if isinstance(error, SystemExit) else error_text(error)


def filled_column(frame: "pd.DataFrame", column: str, *, version: str, argument: str) -> "pd.Series[Any]":
    """The column that a model reads, without a gap.

    Raises ConfigurationError when the source does not give it, and ModelError for a missing value, which the
    caller has to reject before.
    """
    if column not in frame.columns:
        raise ConfigurationError(
            f"{version} reads {argument}, but the source has {list(frame.columns)}: select the column {column!r}."
        )
    missing = frame.index[frame[column].isna()]
    if len(missing):
        raise ModelError(f"{version} got records without a value for {argument}, the first with key {missing[0]!r}.")
    return frame[column]
