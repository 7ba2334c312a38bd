"""Chooses the columns of a table that a model reads, by their types and names."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from batchord.core.text.counts import counted
from batchord.sources.sql.tables import Column, Table

_TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})
_NUMBERS = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
_PROSE = re.compile(
    r".*(body|text|content|message|comment|description|review|title|question|answer|summary|subject|note)",
    re.IGNORECASE,
)
#: Names of texts that nobody reads as prose: amounts, codes, categories, names, addresses. The last word counts.
_SHORT = re.compile(
    r"(.*_)?(amount|price|total|sum|cost|currency|country|city|state|region|zip|postcode|status|type|kind|category|code|"
    r"id|uuid|key|no|number|sku|iban|email|mail|phone|language|lang|locale|gender|level|priority|channel|device|unit|size|"
    r"colou?r|tag|version|name|user|username|host|ip|token|hash|url|uri|path|file|date|time|month|year|day)",
    re.IGNORECASE,
)
#: An average size in bytes below which a text is a code or a category.
_PROSE_BYTES = 16
_LOCATION = re.compile(r".*(location|uri|url|path|image|photo|picture|file|object_key)", re.IGNORECASE)
#: Numbers that name something and measure nothing.
_ID = re.compile(r"(.*_)?(id|key|no|number|code|zip)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The column that holds the texts to read."""

    column: Column
    why: str
    #: Whether it most likely holds codes or categories: there is nothing better.
    is_guess: bool


def text_choice(table: Table, used: Collection[str]) -> Choice | None:
    """The column that most likely holds prose, by its name, its type and PostgreSQL's statistics; None: no text.

    Names of amounts, codes and the like come last, and so do texts of a few bytes.
    """
    texts = texts_of(table, used)
    if not texts:
        return None
    column = min(texts, key=_rank)
    return Choice(column=column, why=_why(column, only=len(texts) == 1), is_guess=_is_short(column))


def _rank(column: Column) -> tuple[bool, bool, int, bool]:
    """The best column first."""
    return (_is_short(column), not _is_prose(column), -(column.width or 0), column.base != "text")


def _is_prose(column: Column) -> bool:
    return _PROSE.match(column.name) is not None


def _is_short(column: Column) -> bool:
    if _SHORT.fullmatch(column.name):
        return True
    # A text column called body is one, even if the first rows are short.
    return not _is_prose(column) and column.width is not None and column.width < _PROSE_BYTES


def _why(column: Column, *, only: bool) -> str:
    size = "" if column.width is None else f", {counted(column.width, 'byte')} on average"
    if _is_short(column):
        return f"a guess{size}: {'the only column of texts' if only else 'no column looks like prose'}"
    if _is_prose(column):
        return f"by its name{size}"
    return f"the {'only texts' if only else 'longest texts'}{size}" if size or only else "the first column of texts"


def is_text(column: Column) -> bool:
    """Whether the column holds texts, by its type."""
    return column.base in _TEXTS


def texts_of(table: Table, used: Collection[str]) -> list[Column]:
    """The columns with texts."""
    return [column for column in table.columns if is_text(column) and column.name not in used]


def number_columns(table: Table, used: Collection[str]) -> list[Column]:
    """The columns with numbers that may be features, not ids."""
    return [
        column
        for column in table.columns
        if column.base in _NUMBERS and column.name not in used and not _ID.fullmatch(column.name)
    ]


def location_column(table: Table, used: Collection[str]) -> Column | None:
    """The column that holds the locations of pictures, as its name suggests."""
    texts = texts_of(table, used)
    return min((column for column in texts if _LOCATION.match(column.name)), key=lambda _: 0, default=None)
