"""A record that is too large is not read: the query says how large it is, and gives NULL in place of its values.

A text may have a gigabyte. libpq doubles its buffer until it fits, gives up the whole result when it cannot, and keeps
the buffer as long as the connection; the driver and pandas each make a copy.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from batchord.core.reasons import Reason
from batchord.core.run.records import Rejection
from batchord.core.text.counts import counted

#: ``pg_type.oid`` of types whose values have a few hundred bytes at the most, numbers of any length apart, which have
#: 130,000 digits: bool, "char", name, int8, int2, int4, oid, float4, float8, money, times, numeric, uuid, addresses.
_SMALL = frozenset(
    {16, 18, 19, 20, 21, 23, 26, 700, 701, 790, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 2950, 650, 829, 869, 774}
)
#: text, varchar, char(n), bytea: the server knows how long a value is without reading it.
_SAY_THEIR_LENGTH = frozenset({25, 1043, 1042, 17})
#: Of other types the server tells cheaply what a value takes where it is stored, perhaps compressed. As a text it takes
#: no more than so many times that: 255 times when it is unpacked; JSON then up to four times as it is written, an array
#: of NULLs forty times.
_JSON = frozenset({114, 3802})
_UNPACKED_JSON, _UNPACKED = 1024, 16_384
_SIZE = "batchord_bytes"


def bounded(statement: sa.Select[Any], types: Mapping[str, int], most: int) -> sa.Select[Any]:
    """PostgreSQL's ``statement``, with one more column: the size of a record of more than ``most`` bytes, else NULL.

    The statement gives the key, and then columns of ``types``, as ``pg_type.oid``. Those of such a record whose values
    may be large are NULL.
    """
    # Two subqueries that the planner does not dissolve: the author's expressions are computed once, and so is the size.
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
    """As a bigint: of several columns the sum may be more than an integer holds."""
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
    """The bytes of a record's texts and bytes, where the database was not asked."""
    return sum(len(value) for value in row if isinstance(value, str | bytes))


def too_large(key: Any, size: int, most: int) -> Rejection:
    """The rejection of a record of ``size`` bytes."""
    return Rejection(
        key=key,
        reason=Reason.TOO_LARGE,
        detail=f"its values have {counted(size, 'byte')}, more than {most:,}: leave large columns out of the source's "
        "sql, shorten them there, or raise max_bytes= of the source",
    )
