"""What PostgreSQL knows about the columns of a source: their types in frames, and which can be NULL."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa

from batchord.sources.series import ColumnType
from batchord.sources.sql.columns import Columns
from batchord.sources.sql.connections import reading
from batchord.sources.sql.dtypes import depends_on_null, types_of
from batchord.sources.sql.few import FewRecords
from batchord.sources.sql.nullability import never_null
from batchord.sources.sql.source import SqlSource


def frame_types(
    engine: sa.Engine, statements: FewRecords, columns: Columns, declared: SqlSource, names: Sequence[str]
) -> dict[str, ColumnType]:
    """The types of the columns ``names`` on PostgreSQL, without reading a record."""
    oids = {name: columns.types[name] for name in names}
    decided = {declared.arrival, *declared.dtypes}
    unsure = [name for name in names if depends_on_null(oids[name]) and name not in decided]
    with reading(engine) as connection:
        filled = never_null(connection, statements, unsure, columns.origins)
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)  # noqa: S101 -- this dialect uses psycopg
        # A record without an arrival has no position, so the model never gets it.
        filled |= {declared.arrival} if declared.arrival else {*declared.key_columns}
        return types_of(oids, driver.adapters, filled=filled, dtypes=declared.dtypes)


def unplaced_keys(
    engine: sa.Engine, statements: FewRecords, columns: Columns, declared: SqlSource, most: int
) -> Iterator[tuple[str, list[Any]]]:
    """The arrival and the key, if records have NULL there, each with at most ``most`` keys of these records.

    With an index that begins with the column, it costs a look into it; otherwise a scan up to the first such records.
    """
    keys = declared.key_columns
    names = list(dict.fromkeys([declared.arrival or keys[0], *keys]))
    with reading(engine) as connection:
        if engine.dialect.name == "postgresql":
            filled = never_null(connection, statements, names, columns.origins)
            names = [name for name in names if name not in filled]
        for name in names:
            found = list(connection.execute(statements.unplaced(name, most)).scalars())
            if found:
                yield name, [key for key in found if key is not None]
