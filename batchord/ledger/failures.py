"""Errors of the ledger's database, as one line that names the host, where its address comes from, and what to do."""

from typing import TYPE_CHECKING

import psycopg
from psycopg_pool import PoolTimeout

from batchord.core.errors import BatchordError, ConfigurationError, TransientError
from batchord.core.secrets.patterns import masked
from batchord.core.text.error_text import clause
from batchord.database.refusals import advice_for, one_line
from batchord.settings import origin_of, start_or_correct

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

VARIABLE = "BATCHORD_DATABASE_URL"

#: Errors after which another attempt may succeed. Two of them are InternalErrors: the server ended a session that was
#: idle in a transaction, or the server has become a standby.
PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.ReadOnlySqlTransaction,
    PoolTimeout,
)
#: SQLSTATEs of a server that is being shut down, has crashed, or does not accept connections yet.
_STARTS_OR_ENDS = ("57P01", "57P02", "57P03")
#: Errors of a missing or outdated schema, which an administrator has to migrate.
MISSING = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedColumn)


def translated(error: psycopg.Error, url: str, variable: str = VARIABLE) -> BatchordError:
    """Batchord's error for psycopg's ``error``.

    ``url``: the address in the spelling of :mod:`batchord.core.addresses.postgres`. ``variable``: the variable that
    holds it.
    """
    where = place(url, variable)
    message = _without_password(one_line(str(error)), url)
    if isinstance(error, MISSING):
        return ConfigurationError(f"The ledger's schema is missing or too old ({message}): run `batchord migrate`.")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return ConfigurationError(
            f"{where} denies a right: {clause(message)}. Run `batchord migrate`, which grants it; BATCHORD_OWNER_URL "
            "must name the role that owns the schema batchord. See docs/how-to/roles.md."
        )
    advice = advice_for(message) if isinstance(error, psycopg.OperationalError | psycopg.ProgrammingError) else None
    if advice is not None and not (isinstance(error, psycopg.OperationalError) and error.sqlstate):
        return ConfigurationError(f"{where} refuses the connection: {clause(message)}. In {variable}, {advice}.")
    if isinstance(error, PASSING):
        if _is_away(error):
            advice = start_or_correct(variable, url)
            return TransientError(f"{where} does not answer: {clause(message)}. {advice}")
        return TransientError(f"{where} failed: {message}")
    return ConfigurationError(f"{where} refuses: {message}")


def _is_away(error: psycopg.Error) -> bool:
    """Whether the server gave no answer, or is starting or ending, so that a person may have to start it."""
    if isinstance(error, PoolTimeout):  # the server answers, but all connections of this process are in use
        return False
    return not error.sqlstate or error.sqlstate.startswith(_STARTS_OR_ENDS)


def place(url: str, variable: str = VARIABLE) -> str:
    """The name of the database for people, without the password and without options, which may hold a password."""
    address = _address(url)
    host = address.host or address.query.get("host") or "the local socket"
    port = address.port or address.query.get("port")
    return (
        f"The ledger's database {address.database or ''} at {host}{f':{port}' if port else ''} "
        f"(user {address.username or 'by default'}, {origin_of(variable, url)})"
    )


def _address(url: str) -> "URL":
    # Imported here: importing SQLAlchemy takes more than half of a light command's start, and most need no error.
    from sqlalchemy.engine import make_url

    return make_url(url)


def _without_password(message: str, url: str) -> str:
    password = _address(url).password
    return masked(message, known=[str(password)] if password else [])
