"""SQL over tables of predictions whose key is several columns.

A table that Batchord makes has the key's text besides, by which rows are found as by any key that is a text. A table of
an author's need not have it if its columns show the text: whole numbers, uuids, texts, dates and booleans do.
"""

from collections.abc import Iterable, Sequence

from psycopg import sql

from batchord.core.run.key_columns import columns_of_fitting, stored_columns
from batchord.core.run.records import Scalar
from batchord.core.run.results import ResultsTable

#: A column's part of the key's text. JSON writes dates in one way, whatever the session's settings are. The views that
#: ``batchord.show_results`` makes have the same.
_TEXT = """replace(replace(row.{} COLLATE "C", chr(92), chr(92) || chr(92)), ':', chr(92) || ':')"""
_SHOWN = {"date": "(to_jsonb(row.{}) #>> '{{}}')", "text": _TEXT, "character varying": _TEXT}


def text_of_columns(table: ResultsTable) -> sql.Composed:
    """The text of the key of a row with the alias ``row``, from its columns."""
    parts = [
        sql.SQL(_SHOWN.get(kind, "row.{}::text")).format(sql.Identifier(name)) for name, kind in table.parts.items()
    ]
    return sql.SQL('(({}) COLLATE "default")').format(sql.SQL(" || ':' || ").join(parts))


def has_columns(table: ResultsTable) -> sql.Composed:
    """The condition that a row with the alias ``row`` has one of the keys of :func:`column_values`; by index."""
    names = sql.SQL(", ").join(sql.SQL("row.{}").format(sql.Identifier(name)) for name in table.parts)
    lists = sql.SQL(", ").join(
        sql.SQL("{}::{}[]").format(sql.Placeholder(f"fitting_{table.id}_{place}"), sql.SQL(kind))
        for place, kind in enumerate(table.parts.values())
    )
    return sql.SQL("({}) IN (SELECT * FROM unnest({}))").format(names, lists)


def column_values(table: ResultsTable, keys: Iterable[Scalar]) -> dict[str, list[str]]:
    """The values for :func:`has_columns`: the columns' texts of those keys that the table can hold."""
    types = [*table.parts.values()]
    stored = stored_columns(keys, types, by_text=False)
    return {f"fitting_{table.id}_{place}": [each[place] for each in stored] for place in range(len(types))}


def texts_of_columns(table: ResultsTable, keys: Sequence[Scalar]) -> list[tuple[str, ...]]:
    """The texts of the columns of each key, which fits into the table."""
    return columns_of_fitting(keys, len(table.key_parts))
