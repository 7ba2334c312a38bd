"""The author's query with its window and, for a key of several columns, with the key's text as one more column."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from batchord.core.errors import ConfigurationError
from batchord.core.text.sql_text import PartKind, lexis_of, parts_of
from batchord.sources.sql.source import WINDOW, SqlSource

#: The name of the text of a key of several columns.
KEY_TEXT = "batchord_key"


class AsDriverGave(sa.types.UserDefinedType[Any]):
    """The type of a bound value that goes back to the driver unchanged.

    SQLAlchemy's own types add casts, such as ``::VARCHAR`` or ``::TIMESTAMP``, that may lose an offset or an index. A
    bound value without a type gets the type of its neighbour. psycopg sends whole numbers of any size as such, and a
    text as a literal without a type, which gets the column's own collation.
    """

    cache_ok = True


def author_query(
    declared: SqlSource, dialect: str, window: tuple[datetime, datetime] | None, key_text: str | None
) -> sa.TextClause:
    """The query as a statement with its values.

    ``key_text``: SQL of the key's text over columns of ``batchord_rows``, the query's rows; None: the key is a column.

    Raises ConfigurationError if the query needs a window and there is none.
    """
    names: set[str] = set()
    written = []
    for kind, text in parts_of(declared.sql, lexis_of(dialect)):
        if kind is PartKind.CODE:
            # A semicolon can only be at the end of the code; a comment may follow it.
            pieces = WINDOW.split(text.replace(";", " "))
            names.update(pieces[1::2])
        else:
            pieces = [text]
        # Every other colon (a cast, a time in a literal, a slice) is the author's own.
        written += [f":{piece}" if place % 2 else piece.replace(":", "\\:") for place, piece in enumerate(pieces)]
    if names and window is None:
        raise ConfigurationError(
            "The source's sql uses :window_start or :window_end, but this run has no window. Run the pipeline by "
            "its schedule, or remove :window_start and :window_end from its sql."
        )
    # The line break ends a "--" comment on the query's last line.
    text = "".join(written).strip() + "\n"
    if key_text is not None:
        text = f"SELECT batchord_rows.*, {key_text} AS {KEY_TEXT} FROM (\n{text}) AS batchord_rows\n"  # noqa: S608
    query = sa.text(text)
    if window is None:
        return query
    values = dict(zip(("window_start", "window_end"), window, strict=True))
    return query.bindparams(
        *[sa.bindparam(name, _instant(values[name], dialect), type_=AsDriverGave()) for name in sorted(names)]
    )


def _instant(moment: datetime, dialect: str) -> datetime | str:
    """The moment in the form that the dialect compares with a column: PostgreSQL knows zones, others use UTC."""
    moment = moment.astimezone(UTC)
    if dialect == "postgresql":
        return moment
    naive = moment.replace(tzinfo=None)
    # SQLite compares texts. Without ".000000" the bound is at or below both ways to write this moment.
    return naive.isoformat(sep=" ") if dialect == "sqlite" else naive
