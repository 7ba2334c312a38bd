"""Reads a source in READ ONLY transactions, which discovery recognises as Batchord's own."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from batchord.sources.sql.bounds import Bounds
from batchord.sources.sql.failures import translated

#: The name of the engine's option that holds the :class:`Bounds`.
BOUNDS = "batchord_bounds"


@contextmanager
def reading(engine: sa.Engine, *, snapshot: bool = False) -> Iterator[sa.Connection]:
    """A connection in a new transaction that only reads and ends with the block.

    All settings are for the transaction, not for the session: behind a pooler such as PgBouncer, a session's setting
    would reach other clients. ``snapshot``: all statements see the same data, if the database supports that. Raises
    ConfigurationError and TransientError for the database's own errors.
    """
    options: dict[str, object] = {}
    if engine.dialect.name == "postgresql":
        options["postgresql_readonly"] = True
        if snapshot:
            options["isolation_level"] = "REPEATABLE READ"
    bounds: Bounds = engine.get_execution_options()[BOUNDS]
    with translated(engine.url), engine.connect().execution_options(**options) as connection, bounds.over(connection):
        try:
            yield connection
        except GeneratorExit:
            # The reader wants nothing more. If the session has ended, that is no error of its.
            with suppress(sa.exc.DBAPIError):
                connection.rollback()
            raise
