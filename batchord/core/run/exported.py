"""Predictions on their way from the ledger to a file: which rows, which columns, of which types."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from batchord.core.errors import ConfigurationError
from batchord.core.run.output_types import OutputType
from batchord.core.text.similar import meant


class ColumnType(StrEnum):
    """The type of a column's values. Each format of a file has its own name for it."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    #: A number of four bytes: fewer digits tell it from all others.
    SINGLE = "single"
    #: The text of a number, exactly.
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    #: The text of a JSON value.
    JSON = "json"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a file."""

    name: str
    type: ColumnType
    #: Whether each value is a list of values of the type.
    is_list: bool = False
    #: The digits of a decimal number, and how many of them stand behind the point; empty if nobody has said.
    sizes: tuple[int, ...] = ()


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
_OF_OUTPUTS = {
    "boolean": ColumnType.BOOLEAN,
    "smallint": ColumnType.INTEGER,
    "integer": ColumnType.INTEGER,
    "bigint": ColumnType.INTEGER,
    "real": ColumnType.SINGLE,
    "double precision": ColumnType.NUMBER,
    "numeric": ColumnType.DECIMAL,
    "date": ColumnType.DATE,
    "timestamp with time zone": ColumnType.TIME,
    "json": ColumnType.JSON,
    "jsonb": ColumnType.JSON,
    "vector": ColumnType.SINGLE,
    "halfvec": ColumnType.SINGLE,
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

    Raises ConfigurationError for a name that is given twice. :func:`check_names` knows which there are.
    """
    if written is None:
        return USUAL
    names = [name.strip() for name in written.split(",")]
    if twice := _repeated(names):
        raise ConfigurationError(f"{twice!r} is given twice: give each column once.")
    return tuple(names)


def check_names(names: Iterable[str], outputs: Collection[str]) -> None:
    """Raises ConfigurationError for a name that neither the view nor the step's ``outputs`` have."""
    every = [*COLUMNS, *outputs]
    for name in names:
        if name not in every:
            raise ConfigurationError(f"There is no column {name!r}: {meant(name, every, listed='the columns are')}")


def column_of(name: str, outputs: Mapping[str, OutputType]) -> Column:
    """The column with this name, of the view or of the step's ``outputs``."""
    kind = outputs.get(name)
    if kind is None:
        return Column(name=name, type=COLUMNS[name])
    of_values = _OF_OUTPUTS.get(kind.base, ColumnType.TEXT)
    if of_values is ColumnType.DECIMAL:
        return Column(name=name, type=of_values, is_list=kind.is_list, sizes=kind.sizes)
    return Column(name=name, type=of_values, is_list=kind.is_list or kind.is_vector)


def _repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value] # adds it
