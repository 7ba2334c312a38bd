"""Chooses the columns of a table that a model reads, by their types and names."""

import re
from collections.abc import Collection

from batchord.sources.sql.tables import Column, Table

_TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})
_NUMBERS = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
_PROSE = re.compile(
    r".*(body|text|content|message|comment|description|review|title|question|answer|summary|subject|note)",
    re.IGNORECASE,
)
_LOCATION = re.compile(r".*(location|uri|url|path|image|photo|picture|file|object_key)", re.IGNORECASE)
#: Numbers that name something and measure nothing.
_ID = re.compile(r"(.*_)?(id|key|no|number|code|zip)", re.IGNORECASE)


def text_column(table: Table, used: Collection[str]) -> Column | None:
    """The column with the longest texts, as its name and its type suggest; None if there is no text."""
    texts = [column for column in table.columns if column.base in _TEXTS and column.name not in used]
    return min(texts, key=lambda column: (not _PROSE.match(column.name), column.base != "text"), default=None)


def number_columns(table: Table, used: Collection[str]) -> list[Column]:
    """The columns with numbers that may be features, not ids."""
    return [
        column
        for column in table.columns
        if column.base in _NUMBERS and column.name not in used and not _ID.fullmatch(column.name)
    ]


def location_column(table: Table, used: Collection[str]) -> Column | None:
    """The column that holds the locations of pictures, as its name suggests."""
    texts = [column for column in table.columns if column.base in _TEXTS and column.name not in used]
    return min((column for column in texts if _LOCATION.match(column.name)), key=lambda _: 0, default=None)
