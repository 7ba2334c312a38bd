"""Avoids reading records that are too large: the query returns their size, and NULL in place of their values.

A text may have a gigabyte. libpq doubles its buffer until the text fits, and gives up the whole result if it cannot. It
keeps the buffer as long as the connection. The driver and pandas each make a copy.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from batchord.core.reasons import Reason
from batchord.core.run.records import Rejection
from batchord.core.text.counts import counted

#: ``pg_type.oid`` of types whose values have at most a few hundred bytes (numeric: up to 130,000 digits): bool, "char",
#: name, int8, int2, int4, oid, float4, float8, money, times, numeric, uuid, addresses.
_SMALL = frozenset(
    {16, 18, 19, 20, 21, 23, 26, 700, 701, 790, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 2950, 650, 829, 869, 774}
)
#: text, varchar, char(n), bytea: the server knows the length of a value without reading it.
_SAY_THEIR_LENGTH = frozenset({25, 1043, 1042, 17})
#: For other types, the server cheaply reports the stored size of a value, which may be compressed. The text of the
#: value is at most this many times larger: unpacking enlarges it up to 255 times; then writing it as text enlarges JSON
#: up to four times, and an array of NULLs forty times.
_JSON = frozenset({114, 3802})
_UNPACKED_JSON, _UNPACKED = 1024, 16_384
_SIZE = "batchord_bytes"


def bounded(statement: sa.Select[Any], types: Mapping[str, int], most: int) -> sa.Select[Any]:
    """``statement`` with one more column: the size of a record that has more than ``most`` bytes, otherwise NULL.

    It is for PostgreSQL. The statement returns the key, then columns with ``types`` (``pg_type.oid``). In a record that
    is too large, the columns that may be large become NULL.
    """
    # OFFSET 0 keeps both subqueries apart: the author's expressions are computed only once, and so are the sizes.
    read = statement.offset(sa.literal_column("0")).subquery("read")
    key, *columns = read.c
    large = [column for column in columns if types[column.name] not in _SMALL]
    wide = {column.name: _bytes(column, types[column.name], most) for column in large}
    if not wide:
        return statement.add_columns(sa.null().label(_SIZE))
    total: sa.ColumnElement[Any] = sa.literal_column("0::bigint")
    for size in wide.values():
        total += size
    sized = sa.select(*read.c, total.label(_SIZE)).offset(sa.literal_column("0")).subquery("sized")
    key, *columns = list(sized.c)[:-1]
    limit: sa.ColumnElement[Any] = sa.literal_column(str(most))
    shown = [
        sa.case((sized.c[_SIZE] <= limit, column)).label(column.name) if column.name in wide else column
        for column in columns
    ]
    return sa.select(key, *shown, sa.case((sized.c[_SIZE] > limit, sized.c[_SIZE])).label(_SIZE))


def _bytes(column: sa.ColumnElement[Any], oid: int, most: int) -> sa.ColumnElement[Any]:
    """The bytes of a value, as a bigint: the sum over several columns may exceed an integer."""
    if oid in _SAY_THEIR_LENGTH:
        size: sa.ColumnElement[Any] = sa.func.pg_catalog.octet_length(column)
    else:
        stored = sa.func.pg_catalog.pg_column_size(column)
        size = sa.case(
            (stored < sa.literal_column(str(most // (_UNPACKED_JSON if oid in _JSON else _UNPACKED))), stored),
            else_=sa.func.pg_catalog.octet_length(sa.cast(column, sa.Text)),
        )
    return sa.cast(sa.func.coalesce(size, sa.literal_column("0")), sa.BigInteger)


def weight(row: Sequence[Any]) -> int:
    """The length of a record's texts and bytes, for databases whose query does not measure it."""
    return sum(len(value) for value in row if isinstance(value, str | bytes))


def too_large(key: Any, size: int, most: int) -> Rejection:
    """The rejection of a record of ``size`` bytes."""
    return Rejection(
        key=key,
        reason=Reason.TOO_LARGE,
        detail=f"its values have {counted(size, 'byte')}, more than {most:,}: leave large columns out of the source's "
        "sql, shorten them there, or raise max_bytes= of the source",
    )
