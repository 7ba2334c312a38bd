"""What PostgreSQL knows of a table: its columns, its indexes, and what a role may read of it."""

from dataclasses import dataclass
from enum import StrEnum

from batchord.core.errors import ConfigurationError


class TableKind(StrEnum):
    """The kind of a relation, with PostgreSQL's letter for it."""

    TABLE = "r"
    PARTITIONED = "p"
    VIEW = "v"
    MATERIALIZED_VIEW = "m"
    FOREIGN = "f"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table."""

    name: str
    #: The name as SQL needs it, in quotes if necessary.
    quoted: str
    #: As PostgreSQL writes it, such as ``numeric(10,2)``.
    type: str
    #: The name of the type without its length, of a domain's the type below it: ``timestamptz``.
    base: str
    #: PostgreSQL's letter for the category of the type: ``N`` numbers, ``S`` texts, ``B`` boolean, ``D`` times.
    category: str
    not_null: bool
    default: str | None
    #: Whether a sequence without a cache fills it, so that later rows have greater values.
    rises: bool
    #: Whether the role may read it.
    readable: bool
    #: The average size of its values in bytes, as PostgreSQL has estimated it; None: it has not.
    width: int | None = None


@dataclass(frozen=True, kw_only=True)
class Index:
    """A valid index over all rows."""

    #: Its columns in their order; None for an expression.
    columns: tuple[str | None, ...]
    unique: bool
    primary: bool
    #: Whether it can return rows in order.
    ordered: bool


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, a view or another relation with rows."""

    schema: str
    name: str
    #: Schema and name as SQL needs them.
    quoted: str
    quoted_schema: str
    kind: TableKind
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]
    #: The role that reads sources, as SQL needs it, and whether it may use the schema.
    role: str
    schema_usable: bool

    def column(self, name: str) -> Column:
        """The column of that name. Raises ConfigurationError, which names the columns."""
        for column in self.columns:
            if column.name == name:
                return column
        names = ", ".join(column.name for column in self.columns)
        raise ConfigurationError(f"{self.quoted} has no column {name!r}; its columns are: {names} (case matters).")
