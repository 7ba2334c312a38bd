"""Predictions on their way from the ledger to a file: which rows, which columns, of which types."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from batchord.core.errors import ConfigurationError
from batchord.core.text.similar import meant


class ColumnType(StrEnum):
    """The type of a column's values. Each format of a file has its own name for it."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    TIME = "time"
    #: The text of a JSON value.
    JSON = "json"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a file."""

    name: str
    type: ColumnType


#: The columns of the view ``current_predictions``, in the order of its reference.
COLUMNS = {
    "pipeline": ColumnType.TEXT,
    "step": ColumnType.TEXT,
    "record_key": ColumnType.TEXT,
    "model_version": ColumnType.TEXT,
    "label": ColumnType.TEXT,
    "score": ColumnType.NUMBER,
    "output": ColumnType.JSON,
    "run_id": ColumnType.TEXT,
    "shard": ColumnType.INTEGER,
    "attempt": ColumnType.INTEGER,
    "input_digest": ColumnType.INTEGER,
    "predicted_at": ColumnType.TIME,
}
#: The key of the record, which is an integer where the source's keys are.
KEY = "record_key"
#: The columns of a file for which nobody has chosen any.
USUAL = (KEY, "label", "score", "output", "model_version", "run_id", "predicted_at")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The predictions that a person wants."""

    pipeline: str
    step: str
    #: Only predictions from this time on.
    since: datetime | None = None
    #: SQL: only rows of the view that meet this condition.
    where: str | None = None

    @property
    def is_narrowed(self) -> bool:
        """Whether some of the step's predictions may be left out."""
        return self.since is not None or self.where is not None


def chosen_names(written: str | None) -> tuple[str, ...]:
    """The names of the columns in a list such as ``record_key,score``; the usual ones for None.

    Raises ConfigurationError for a name that the view does not have, and for one that is given twice.
    """
    if written is None:
        return USUAL
    names = [name.strip() for name in written.split(",")]
    for name in names:
        if name not in COLUMNS:
            raise ConfigurationError(f"There is no column {name!r}: {meant(name, COLUMNS, listed='the columns are')}")
    if twice := _repeated(names):
        raise ConfigurationError(f"{twice!r} is given twice: give each column once.")
    return tuple(names)


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value] # adds it
