"""The tables of predictions: one for each ``Predict`` step."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: The schema of the tables whose names Batchord chooses.
RESULTS_SCHEMA = "batchord_results"
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class TableName:
    """The name of a table with its schema, as PostgreSQL stores both."""

    schema: str
    table: str

    def __str__(self) -> str:
        """The name as SQL, with quotes where they are needed."""
        return f"{quoted(self.schema)}.{quoted(self.table)}"


def quoted(name: str) -> str:
    """A name as SQL, with quotes if it needs any."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, kw_only=True)
class ResultsTable:
    """The table of a step's predictions, as the ledger has registered it."""

    id: int
    pipeline: str
    step: str
    schema_name: str
    table_name: str
    #: The column that identifies a row. Of a key of several columns, it holds their text; empty if an author's table
    #: has no column for that.
    key_column: str
    #: As :attr:`batchord.core.run.key_columns.KeyColumn.type`.
    key_type: str
    #: Whether a column with the key's text identifies a row: other values of the type may mean the same key.
    has_text: bool
    #: The names of the other columns by what they hold, such as ``label``. An author's table need not have all.
    columns: Mapping[str, str]
    #: Whether earlier releases of Batchord have predicted records of the step. Their rows are in another table.
    has_earlier: bool
    #: Whether new predictions go here. Of a step's tables, one is current.
    is_current: bool = True
    #: Whether the step had another table before, which may hold predictions.
    has_former: bool = False
    #: Whether a person has made the table: Batchord never alters it.
    by_author: bool = False
    #: The columns for keys of the model's output, and their types as PostgreSQL writes them. A value that has no such
    #: column, or was written before it had one, is in the column ``output``.
    outputs: Mapping[str, str] = field(default_factory=dict)

    #: The columns of a key of several, each with its type, in their order; empty if the key is one column.
    key_parts: Sequence[Sequence[str]] = ()

    @property
    def parts(self) -> dict[str, str]:
        """The types of a key's several columns by their names; empty if the key is one column."""
        return {name: kind for name, kind in self.key_parts}  # noqa: C416 -- each is a list

    @property
    def has_key_text(self) -> bool:
        """Whether a column holds the key itself, or its text: not if only several columns together show it."""
        return bool(self.key_column)

    @property
    def name(self) -> TableName:
        """The table's name."""
        return TableName(schema=self.schema_name, table=self.table_name)

    @property
    def is_chosen(self) -> bool:
        """Whether the author has chosen its name. Then it may have columns, constraints and triggers of the author."""
        return self.schema_name != RESULTS_SCHEMA


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where an attempt writes its predictions."""

    table: ResultsTable
    #: The number that stands in each of its rows for the run, the shard, the attempt and the model version.
    writer: int
