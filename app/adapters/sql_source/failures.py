"""A database's errors, told as Batchord's: who has to act, and what the database said."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from app.core.errors import BatchordError, ConfigurationError, TransientError

#: SQLSTATE classes that a later attempt may not meet: connection, transaction rollback, resources,
#: object in use, operator intervention, system and internal errors.
_TRANSIENT_CLASSES = ("08", "40", "53", "55", "57", "58", "XX")
#: What drivers say in an OperationalError although a person must act: SQLite has one class for all its
#: errors, and libpq gives no SQLSTATE for a connection that the server refused.
_PERMANENT = re.compile(
    r"no such (table|column|function|module)|syntax error|unrecognized token|incomplete input|"
    r"ambiguous column|wrong number of arguments|attempt to write a readonly database|"
    r"row value misused|unable to open database file|authentication failed|no pg_hba\.conf entry|"
    r'(database|role) ".*" does not exist|permission denied|Access denied|Unknown (database|column)',
    re.IGNORECASE,
)


@contextmanager
def translated(url: sa.URL) -> Iterator[None]:
    """Raises ConfigurationError or TransientError for what SQLAlchemy or a driver raises inside.

    The message holds the database's own words, with the line of the SQL where it gives one, and never
    the password of ``url``.
    """
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise _translate(error, url) from error


def _translate(error: sa.exc.SQLAlchemyError, url: sa.URL) -> BatchordError:
    said = str(error.orig if isinstance(error, sa.exc.DBAPIError) else error).strip()
    if url.password:
        said = said.replace(str(url.password), "***")
    where = url.render_as_string()
    if _is_transient(error, said):
        return TransientError(f"The source's database {where} does not answer: {said}")
    return ConfigurationError(
        f"The source's database {where} refuses the query: {said}\n"
        "Correct the source's sql, its key= or arrival=, or the rights of its user, and try it with `batchord plan`."
    )


def _is_transient(error: sa.exc.SQLAlchemyError, said: str) -> bool:
    if isinstance(error, sa.exc.TimeoutError):  # no free connection in the pool
        return True
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate:
        return str(sqlstate).startswith(_TRANSIENT_CLASSES)
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.InternalError):
        return not _PERMANENT.search(said)
    return False
