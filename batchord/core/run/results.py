"""The tables of predictions: one for each ``Predict`` step."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ResultsTable:
    """The table of a step's predictions, as the ledger has registered it."""

    id: int
    pipeline: str
    step: str
    schema_name: str
    table_name: str
    key_column: str
    #: As :attr:`batchord.core.run.key_columns.KeyColumn.type`.
    key_type: str
    #: Whether a column with the key's text identifies a row: other values of the type may mean the same key.
    has_text: bool
    #: The names of the other columns by what they hold, such as ``label``.
    columns: Mapping[str, str]
    #: Whether earlier releases of Batchord have predicted records of the step. Their rows are in another table.
    has_earlier: bool


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where an attempt writes its predictions."""

    table: ResultsTable
    #: The number that stands in each of its rows for the run, the shard, the attempt and the model version.
    writer: int
