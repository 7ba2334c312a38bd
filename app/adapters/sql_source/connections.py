"""How a source is read: in READ ONLY transactions, or by statements of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from app.adapters.sql_source.failures import translated


@contextmanager
def reading(engine: sa.Engine, *, snapshot: bool = False) -> Iterator[sa.Connection]:
    """A connection in a new transaction that reads only and ends with the block.

    ``snapshot`` gives all its statements the same view of the data, where the database has that.
    Raises ConfigurationError and TransientError for the database's own errors.
    """
    options: dict[str, object] = {}
    if engine.dialect.name == "postgresql":
        options["postgresql_readonly"] = True
        if snapshot:
            options["isolation_level"] = "REPEATABLE READ"
    with translated(engine.url), engine.connect().execution_options(**options) as connection:
        yield connection


@contextmanager
def autocommit(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection whose every statement is a transaction of its own, with a snapshot of its own.

    For the server's own views only, never for the author's SQL. Raises as :func:`reading` does.
    """
    with translated(engine.url), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection
