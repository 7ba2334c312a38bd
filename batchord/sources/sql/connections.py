"""Reads a source in READ ONLY transactions, which discovery recognises as Batchord's own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import sqlalchemy as sa

from batchord.sources.sql.bounds import Bounds
from batchord.sources.sql.failures import translated

#: The name of the engine's option that holds the :class:`Bounds`.
BOUNDS = "batchord_bounds"


@contextmanager
def reading(engine: sa.Engine, *, snapshot: bool = False) -> Iterator[sa.Connection]:
    """A connection in a transaction that only reads. It is a new one that ends with the block, unless one is held.

    All settings are for the transaction, not for the session: behind a pooler such as PgBouncer, a session's setting
    would reach other clients. ``snapshot``: all statements see the same data, if the database supports that. Raises
    ConfigurationError and TransientError for the database's own errors.
    """
    bounds: Bounds = engine.get_execution_options()[BOUNDS]
    with translated(engine.url):
        if bounds.held is not None and not snapshot:
            try:
                yield bounds.held
            except BaseException:
                bounds.held = None  # after an error, the transaction can do no more
                raise
            return
        with _begun(engine, bounds, snapshot=snapshot) as connection:
            try:
                yield connection
            except GeneratorExit:
                # The reader wants nothing more. If the session has ended, that is no error of its.
                with suppress(sa.exc.DBAPIError):
                    connection.rollback()
                raise


@contextmanager
def held(engine: sa.Engine) -> Iterator[None]:
    """Reads of this source within the block, in this thread, share one transaction, which begins with the first.

    Each statement still sees what is there when it begins.
    """
    bounds: Bounds = engine.get_execution_options()[BOUNDS]
    with reading(engine) as connection:
        bounds.held = connection
        try:
            yield
        finally:
            bounds.held = None


@contextmanager
def _begun(engine: sa.Engine, bounds: Bounds, *, snapshot: bool) -> Iterator[sa.Connection]:
    """A session from the pool that may have ended while it was idle shows that at its first statement."""
    for is_last in (False, True):
        with ExitStack() as opened:
            connection = opened.enter_context(engine.connect())
            try:
                opened.enter_context(bounds.over(connection, snapshot=snapshot))
            except sa.exc.DBAPIError as error:
                if is_last or not error.connection_invalidated:
                    raise
                continue
            yield connection
            return
