"""The type of a column in all frames of a source. It follows from the type in the database.

If the values of a batch determined the type, a record's outcome would depend on the other records of its batch: in
pandas, a column of whole numbers becomes floats if one value is NULL, and objects if all are.
"""

from collections.abc import Collection, Mapping, Sequence

from psycopg.adapt import AdaptersMap
from psycopg.pq import Format

from batchord.sources.series import ColumnType

#: ``pg_type.oid``: int8, int2, int4, oid; float4, float8, numeric; text, varchar, char(n), "char", name.
_INTEGERS = frozenset({20, 21, 23, 26})
_NUMBERS = frozenset({700, 701, 1700})
_TEXTS = frozenset({25, 1043, 1042, 18, 19})
_BOOL = 16
_TIMES = {1114: "datetime64[us]", 1184: "datetime64[us, UTC]", 1186: "timedelta64[us]"}
#: The types of columns that are never NULL.
_FILLED = {_BOOL: "bool", **dict.fromkeys(_INTEGERS, "int64")}


def asked_types(names: Sequence[str], dtypes: Mapping[str, str]) -> dict[str, ColumnType]:
    """The types of the columns ``names`` in a database that does not report types."""
    return {name: ColumnType(dtypes.get(name), asked=name in dtypes) for name in names}


def types_of(
    oids: Mapping[str, int], adapters: AdaptersMap, *, filled: Collection[str], dtypes: Mapping[str, str]
) -> dict[str, ColumnType]:
    """The types of columns whose PostgreSQL types have the numbers ``oids``.

    ``adapters``: the driver's conversions, for less common types. ``filled``: columns that are never NULL. ``dtypes``:
    the types that the author asked for.
    """
    types = {}
    for name, oid in oids.items():
        own = _FILLED.get(oid) if name in filled else None
        types[name] = ColumnType(dtypes.get(name, own or _nullable(oid, adapters)), asked=name in dtypes)
    return types


def depends_on_null(oid: int) -> bool:
    """Whether the type in the frame depends on whether the column can be NULL."""
    return oid in _FILLED


def _nullable(oid: int, adapters: AdaptersMap) -> str:
    if oid in _INTEGERS or oid in _NUMBERS:
        return "float64"
    if oid in _TIMES:
        return _TIMES[oid]
    # For a type that the driver does not know, such as an enum, it returns the text.
    return "str" if oid in _TEXTS or adapters.get_loader(oid, Format.TEXT) is None else "object"
