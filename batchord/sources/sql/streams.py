"""Reads results of any size in parts, with a cursor on the server if the database has one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.adapt import AdaptersMap

from batchord.database.failures import lacks_memory
from batchord.sources.sql.failures import UnreadableValue

Rows = Sequence[Sequence[Any]]


def in_parts(
    connection: sa.Connection,
    statement: sa.Select[Any],
    rows: int,
    adapt: Callable[[AdaptersMap], None] | None = None,
) -> Iterator[Rows]:
    """The rows of ``statement`` in lists of at most ``rows``; none is empty.

    ``adapt`` changes how psycopg loads values; None: as the connection does. Raises SQLAlchemyError, UnreadableValue if
    the driver cannot convert a value, and MemoryError.
    """
    if connection.dialect.driver == "psycopg":
        yield from _by_psycopg(connection, statement, rows, adapt)
        return
    with connection.execution_options(yield_per=rows).execute(statement) as result:
        yield from result.partitions()


def _by_psycopg(
    connection: sa.Connection, statement: sa.Select[Any], rows: int, adapt: Callable[[AdaptersMap], None] | None
) -> Iterator[Rows]:
    """Reads with the driver's own cursor: SQLAlchemy makes an object of each row and takes six times as long."""
    compiled = statement.compile(dialect=connection.dialect)
    values = compiled.construct_params()
    if not connection.in_transaction():
        connection.begin()  # it ends with the connection's block, together with the cursor
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 -- this dialect uses psycopg
    try:
        with _cursor(driver) as cursor:
            if adapt is not None:
                adapt(cursor.adapters)
            # Pass the statement as text: the driver knows the encoding that the server needs.
            cursor.execute(compiled.string, values)
            while part := _fetched(cursor, rows):
                yield part
    except MemoryError:
        connection.invalidate()  # this frees the memory that libpq holds
        raise
    except psycopg.Error as error:
        # If libpq lacks memory for a result, it reports the end of the connection.
        if lacks_memory(error) or b"memory" in driver.pgconn.error_message:
            connection.invalidate()
            raise MemoryError(f"libpq: {error}") from error
        raise sa.exc.DBAPIError.instance(
            compiled.string,
            values,
            error,
            psycopg.Error,
            hide_parameters=True,
            connection_invalidated=driver.broken,
            dialect=connection.dialect,
        ) from error


@contextmanager
def _cursor(driver: psycopg.Connection[Any]) -> Iterator[psycopg.ServerCursor[Any]]:
    cursor = driver.cursor(name="batchord")
    try:
        yield cursor
        cursor.close()
    finally:
        # If the block raises, an error of closing tells nothing new. It leaves the cursor open: close it once more.
        with suppress(psycopg.Error):
            cursor.close()
        cursor.close()


def _fetched(cursor: psycopg.ServerCursor[Any], rows: int) -> Rows:
    try:
        return cursor.fetchmany(rows)
    except (ValueError, ArithmeticError, RecursionError) as error:
        # A loader raises these, for JSON with a number of thousands of digits or thousands of nested lists.
        text = f"{type(error).__name__}: {error}"
        raise UnreadableValue(f"The source's query gives a value that cannot be read: {text}", said=text) from error
