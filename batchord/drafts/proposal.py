"""Proposes what identifies and orders the records of a table, and says why and what is missing."""

from collections.abc import Iterator
from dataclasses import dataclass

from batchord.core.errors import ConfigurationError
from batchord.core.text.counts import counted
from batchord.drafts.arrivals import Remark, ordering
from batchord.sources.sql.tables import Column, Index, Table, TableKind

_VIEWS = (TableKind.VIEW, TableKind.MATERIALIZED_VIEW)
#: Relations that have indexes of their own.
_INDEXED = (TableKind.TABLE, TableKind.PARTITIONED, TableKind.MATERIALIZED_VIEW)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The key and the arrival of a table's records."""

    #: The name of the key's column, or the names of its columns.
    key: str | tuple[str, ...]
    key_why: str
    #: The key's columns in the query's list of columns.
    key_sql: tuple[str, ...]
    #: None: the key itself orders the records.
    arrival: Column | None
    arrival_why: str
    #: Whether ``settle=`` must bridge the time until a record is visible.
    needs_settle: bool
    #: The columns that the key and the arrival use.
    used: frozenset[str]
    remarks: tuple[Remark, ...]

    @property
    def key_name(self) -> str:
        """The key for people."""
        return self.key if isinstance(self.key, str) else ", ".join(self.key)

    @property
    def arrival_name(self) -> str | None:
        """The name of the arrival's column."""
        return None if self.arrival is None else self.arrival.name


def propose(table: Table, *, key: str | None = None, arrival: str | None = None) -> Proposal:
    """The proposal for ``table``. ``key`` and ``arrival`` are columns that the author names.

    Raises ConfigurationError if the table lacks such a column, or if nothing looks like a key.
    """
    key_columns, key_why = _key(table, key)
    order = ordering(table, key_columns, arrival)
    names = tuple(column.name for column in key_columns)
    leading = () if order.arrival is None else (order.arrival,)
    remarks = (
        *_remarks_on_rights(table),
        *_remarks_on_key(table, key_columns),
        *order.remarks,
        *_remarks_on_index(table, [*leading, *key_columns]),
    )
    return Proposal(
        key=names[0] if len(names) == 1 else names,
        key_why=key_why,
        key_sql=tuple(column.quoted for column in key_columns),
        arrival=order.arrival,
        arrival_why=order.why,
        needs_settle=order.needs_settle,
        used=frozenset(column.name for column in (*leading, *key_columns)),
        remarks=remarks,
    )


def _key(table: Table, name: str | None) -> tuple[tuple[Column, ...], str]:
    if name is not None:
        column = table.column(name)
        unique = any(index.unique and index.columns == (name,) for index in table.indexes)
        return (column,), f"your choice, {'unique' if unique else 'not known to be unique'}"
    unique_indexes = [index for index in table.indexes if index.unique and None not in index.columns]
    for index in sorted(unique_indexes, key=lambda index: _preference(table, index)):
        columns = tuple(table.column(str(each)) for each in index.columns)
        what = "primary key" if index.primary else "unique index"
        return columns, what if len(columns) == 1 else f"{what} of {counted(len(columns), 'column')}"
    for column in table.columns:
        if column.name.lower() in ("id", f"{table.name.lower()}_id", "uuid", "key"):
            return (column,), "by its name; no unique index"
    names = ", ".join(column.name for column in table.columns)
    raise ConfigurationError(
        f"{table.quoted} has no primary key and no unique index, so nothing identifies a row. Name a column with "
        f"--key; the columns are: {names}."
    )


def _preference(table: Table, index: Index) -> tuple[bool, bool, int]:
    """The primary key first, then columns that are never NULL, then few columns."""
    nullable = any(not table.column(str(name)).not_null for name in index.columns)
    return (not index.primary, nullable, len(index.columns))


def _remarks_on_rights(table: Table) -> Iterator[Remark]:
    if not table.schema_usable:
        yield Remark(
            text=f"The role {table.role}, which reads sources, may not use the schema {table.quoted_schema}.",
            statement=f"GRANT USAGE ON SCHEMA {table.quoted_schema} TO {table.role};",
        )
    unreadable = [column.name for column in table.columns if not column.readable]
    if unreadable:
        which = "" if len(unreadable) == len(table.columns) else f" column {unreadable[0]} of"
        yield Remark(
            text=f"The role {table.role}, which reads sources, may not read{which} {table.quoted}.",
            statement=f"GRANT SELECT ON {table.quoted} TO {table.role};",
        )


def _remarks_on_key(table: Table, key: tuple[Column, ...]) -> Iterator[Remark]:
    names = [column.name for column in key]
    shown = ", ".join(names)
    if table.kind in _VIEWS:
        yield Remark(
            text=f"{table.quoted} is a view. Batchord cannot see whether {shown} is unique in it, and only the daily "
            "audit finds a row that appears in it without an INSERT."
        )
    elif not any(index.unique and set(index.columns) <= set(names) for index in table.indexes):
        create = f"CREATE UNIQUE INDEX ON {table.quoted} ({', '.join(column.quoted for column in key)});"
        yield Remark(
            text=f"No unique index makes sure that {shown} is unique. Batchord rejects records that share a key.",
            statement=create if table.kind in _INDEXED else None,
        )
    if table.kind not in _VIEWS:
        yield from (
            _nullable(table, column, "has no key and is never predicted") for column in key if not column.not_null
        )


def _nullable(table: Table, column: Column, consequence: str) -> Remark:
    return Remark(
        text=f"{column.name} may be NULL: such a row {consequence}.",
        statement=f"ALTER TABLE {table.quoted} ALTER COLUMN {column.quoted} SET NOT NULL;",
    )


def _remarks_on_index(table: Table, order: list[Column]) -> Iterator[Remark]:
    """An index whose first column orders the records is enough to read only the newest."""
    leading = order[0]
    if any(index.ordered and index.columns[0] == leading.name for index in table.indexes):
        return
    columns = ", ".join(column.quoted for column in order)
    if table.kind in _INDEXED:
        concurrently = "" if table.kind is TableKind.PARTITIONED else "CONCURRENTLY "
        yield Remark(
            text=f"No index begins with {leading.name}, so each run sorts the whole table.",
            statement=f"CREATE INDEX {concurrently}ON {table.quoted} ({columns});",
        )
    else:
        yield Remark(
            text=f"Batchord cannot see an index on {leading.name}: give one to the tables below, or each run reads all."
        )
