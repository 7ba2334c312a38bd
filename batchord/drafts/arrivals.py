"""Chooses the column that orders a table's records by their arrival."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from batchord.sources.sql.tables import Column, Table, TableKind

#: Names of times that are set once, when a row is written; and of times that something else decides.
_ARRIVED = re.compile(
    r"(created|inserted|arrived|received|ingested|loaded|added|recorded|logged|submitted|uploaded|imported|posted)"
    r"(_?(at|on|time|date|ts|timestamp))?|(insert|create|creation|arrival|ingest)_?(time|date|ts|timestamp)",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"(.*_)?(last|updat|modif|chang|edit|delet|remov|expir|due|until|start|end|begin|birth|valid|schedul|seen|login)",
    re.IGNORECASE,
)
#: Defaults that are the database's clock, as PostgreSQL writes them, also at a fixed zone.
_CLOCK = re.compile(
    r"\(*(timezone\('[^']+'::text, )?"
    r"((now|clock_timestamp|statement_timestamp|transaction_timestamp)\(\)|(CURRENT|LOCAL)_?TIMESTAMP(\(\d\))?)"
    r"( AT TIME ZONE '[^']+'::text)?\)*(::.*)?",
    re.IGNORECASE,
)
_AT_UTC = re.compile(r"'(etc/)?utc'", re.IGNORECASE)
_WITH_ZONE, _WITHOUT_ZONE = "timestamptz", "timestamp"
#: Types of keys whose later values are greater only if a sequence gives them.
_NUMBERS = frozenset({"int2", "int4", "int8", "numeric"})


_LATE = "a row may become visible after a row"
_SETTLE = "settle= in the file must be the longest time that this takes: correct it."


@dataclass(frozen=True, kw_only=True)
class Remark:
    """Something that the author should know, and the statement that mends it; None: no statement does."""

    text: str
    statement: str | None = None


@dataclass(frozen=True, kw_only=True)
class Ordering:
    """What orders the records."""

    #: None: the key.
    arrival: Column | None
    why: str
    needs_settle: bool = False
    remarks: tuple[Remark, ...] = ()


def ordering(table: Table, key: tuple[Column, ...], named: str | None) -> Ordering:
    """The ordering of the table's records. ``named`` is the author's choice.

    A time that the database's clock sets is best: it is the arrival. Then a key from a sequence, which needs no second
    column. A time without a zone depends on the session that wrote it, so it comes after that. A time that clients set
    comes last: it needs ``settle=``.

    Raises ConfigurationError if the table has no column ``named``.
    """
    if named is not None:
        column = table.column(named)
        return _by(table, column, f"your choice, {_described(table, column)}")
    key_names = {column.name for column in key}
    times = [column for column in table.columns if column.name not in key_names and column.readable]
    by_clock = sorted((each for each in times if _is_arrival(table, each)), key=lambda each: _rank(table, each))
    with_zone = [each for each in by_clock if each.base == _WITH_ZONE]
    if with_zone:
        return _by(table, with_zone[0], _described(table, with_zone[0]))
    if len(key) == 1 and key[0].rises:
        return Ordering(arrival=None, why=f"{key[0].name} orders the records: a sequence fills it")
    if by_clock:
        return _by(table, by_clock[0], _described(table, by_clock[0]))
    by_clients = [each for each in times if each.base in (_WITH_ZONE, _WITHOUT_ZONE) and not _OTHER.match(each.name)]
    by_clients.sort(key=lambda each: _rank(table, each))
    if by_clients:
        return _by(table, by_clients[0], _described(table, by_clients[0]))
    return _by_key(table, key)


def _is_arrival(table: Table, column: Column) -> bool:
    return _has_clock(table, column) and not _OTHER.match(column.name)


def _has_clock(table: Table, column: Column) -> bool:
    """Whether this database's clock fills the column. The rows of a foreign table come from another database."""
    is_time = column.base in (_WITH_ZONE, _WITHOUT_ZONE) and table.kind is not TableKind.FOREIGN
    return is_time and column.default is not None and _CLOCK.fullmatch(column.default) is not None


def _rank(table: Table, column: Column) -> tuple[bool, bool, bool, bool]:
    """The best column first."""
    return (
        column.base != _WITH_ZONE,
        not _ARRIVED.fullmatch(column.name),
        not column.not_null,
        not _is_indexed(table, column),
    )


def _is_indexed(table: Table, column: Column) -> bool:
    return any(index.ordered and index.columns[0] == column.name for index in table.indexes)


def _described(table: Table, column: Column) -> str:
    facts = [column.base]
    if column.not_null:
        facts.append("not null")
    if _has_clock(table, column):
        facts.append(f"default {column.default}")
    if _is_indexed(table, column):
        facts.append("indexed")
    return ", ".join(facts)


def _by(table: Table, column: Column, why: str) -> Ordering:
    needs_settle = not column.rises and not _has_clock(table, column)
    return Ordering(
        arrival=column,
        why=why,
        needs_settle=needs_settle,
        remarks=tuple(_remarks(table, column, needs_settle=needs_settle)),
    )


def _remarks(table: Table, column: Column, *, needs_settle: bool) -> Iterator[Remark]:
    is_view = table.kind in (TableKind.VIEW, TableKind.MATERIALIZED_VIEW)
    if not column.not_null and not is_view:
        yield Remark(
            text=f"{column.name} may be NULL: no run predicts such a row until somebody sets it.",
            statement=f"ALTER TABLE {table.quoted} ALTER COLUMN {column.quoted} SET NOT NULL;",
        )
    if column.base == _WITHOUT_ZONE and not _AT_UTC.search(column.default or ""):
        change = (
            f"ALTER TABLE {table.quoted} ALTER COLUMN {column.quoted} TYPE timestamptz "
            f"USING {column.quoted} AT TIME ZONE 'UTC';"
        )
        yield Remark(
            text=f"{column.name} is a timestamp without time zone, which Batchord reads as UTC. If sessions write it "
            "in another zone, rows seem to come from the future, and each run reads them again.",
            statement=None if is_view else change,
        )
    if _OTHER.match(column.name):
        yield Remark(
            text=f"{column.name} sounds like a time that changes. A row keeps its prediction when its arrival changes."
        )
    if needs_settle:
        if is_view:
            why = f"Batchord cannot see what sets {column.name} in a view. If it is not the database's clock, "
        else:
            why = f"No default of the database sets {column.name}, so "
        yield Remark(text=f"{why}{_LATE} with a later value. {_SETTLE}")


def _by_key(table: Table, key: tuple[Column, ...]) -> Ordering:
    name = ", ".join(column.name for column in key)
    if len(key) == 1 and key[0].base in _NUMBERS:
        late = Remark(text=f"No sequence of the database fills {name}, so {_LATE} with a greater key. {_SETTLE}")
        return Ordering(arrival=None, why=f"none; {name} orders the records", needs_settle=True, remarks=(late,))
    is_table = table.kind in (TableKind.TABLE, TableKind.PARTITIONED)
    add = f"ALTER TABLE {table.quoted} ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();"
    unordered = Remark(
        text=f"Nothing orders the records by their arrival, so there is no frontier: each run reads all keys of "
        f"{table.quoted} and looks them up. A large table needs a column that says when a row arrived.",
        statement=add if is_table else None,
    )
    return Ordering(arrival=None, why=f"none; {name} orders the records", remarks=(unordered,))
