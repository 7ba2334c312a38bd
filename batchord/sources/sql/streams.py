"""Results of any size in parts, from a cursor on the server where there is one."""

from collections.abc import Callable, Iterator, Sequence
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

    ``adapt`` says how psycopg is to load values, if otherwise than the connection does. Raises SQLAlchemyError,
    UnreadableValue where the driver cannot make a value, and MemoryError.
    """
    if connection.dialect.driver == "psycopg":
        yield from _by_psycopg(connection, statement, rows, adapt)
        return
    with connection.execution_options(yield_per=rows).execute(statement) as result:
        yield from result.partitions()


def _by_psycopg(
    connection: sa.Connection, statement: sa.Select[Any], rows: int, adapt: Callable[[AdaptersMap], None] | None
) -> Iterator[Rows]:
    """With the driver's own cursor: SQLAlchemy makes an object of each row, which takes six times as long."""
    compiled = statement.compile(dialect=connection.dialect)
    values = compiled.construct_params()
    if not connection.in_transaction():
        connection.begin()  # ends with the connection's block, as does what the cursor reads
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 -- the dialect's
    try:
        with driver.cursor(name="batchord") as cursor:
            if adapt is not None:
                adapt(cursor.adapters)
            # As text: the driver knows in which encoding the server wants it.
            cursor.execute(compiled.string, values)
            while part := _fetched(cursor, rows):
                yield part
    except MemoryError:
        connection.invalidate()  # with what libpq has taken for it
        raise
    except psycopg.Error as error:
        # What libpq could not read for want of memory it takes for the end of the connection.
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


def _fetched(cursor: psycopg.ServerCursor[Any], rows: int) -> Rows:
    try:
        return cursor.fetchmany(rows)
    except (ValueError, ArithmeticError, RecursionError) as error:
        # Of a loader's: JSON with a number of thousands of digits, or thousands of lists in each other.
        said = f"{type(error).__name__}: {error}"
        raise UnreadableValue(f"The source's query gives a value that cannot be read: {said}", said=said) from error
