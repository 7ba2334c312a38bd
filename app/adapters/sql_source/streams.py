"""Results of any size in parts, from a cursor on the server where there is one."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa

Rows = Sequence[Sequence[Any]]


def in_parts(connection: sa.Connection, statement: sa.Select[Any], rows: int) -> Iterator[Rows]:
    """The rows of ``statement`` in lists of at most ``rows``; none is empty. Raises SQLAlchemyError."""
    if connection.dialect.driver == "psycopg":
        yield from _by_psycopg(connection, statement, rows)
        return
    with connection.execution_options(yield_per=rows).execute(statement) as result:
        yield from result.partitions()


def _by_psycopg(connection: sa.Connection, statement: sa.Select[Any], rows: int) -> Iterator[Rows]:
    """With the driver's own cursor: SQLAlchemy makes an object of each row, which takes six times as long."""
    compiled = statement.compile(dialect=connection.dialect)
    values = compiled.construct_params()
    if not connection.in_transaction():
        connection.begin()  # ends with the connection's block, as does what the cursor reads
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 -- the dialect's
    try:
        with driver.cursor(name="batchord") as cursor:
            # As text: the driver knows in which encoding the server wants it.
            cursor.execute(compiled.string, values)
            while part := cursor.fetchmany(rows):
                yield part
    except psycopg.Error as error:
        raise sa.exc.DBAPIError.instance(
            compiled.string,
            values,
            error,
            psycopg.Error,
            hide_parameters=True,
            connection_invalidated=driver.broken,
            dialect=connection.dialect,
        ) from error
