"""The ledger's database refuses or does not answer: one line names the variable, the host, and what to do."""

from typing import TYPE_CHECKING

import psycopg
from psycopg_pool import PoolTimeout

from batchord.core.errors import BatchordError, ConfigurationError, TransientError
from batchord.core.secrets.patterns import masked
from batchord.core.text.error_text import clause
from batchord.database.refusals import advice_for, one_line

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

VARIABLE = "BATCHORD_DATABASE_URL"

#: What may be over at the next try. The server ends a session that idles in a transaction with an InternalError, and
#: says with another that it has become a standby.
PASSING = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.ReadOnlySqlTransaction,
    PoolTimeout,
)
#: What an administrator has to see to.
MISSING = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedColumn)


def translated(error: psycopg.Error, url: str, variable: str = VARIABLE) -> BatchordError:
    """The error as Batchord's, for an address in the spelling of :mod:`batchord.core.addresses.postgres`.

    ``variable``: where the address stands.
    """
    where = place(url, variable)
    said = _without_password(one_line(str(error)), url)
    if isinstance(error, MISSING):
        return ConfigurationError(f"The ledger's schema is missing or too old ({said}): run `batchord migrate`.")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return ConfigurationError(
            f"{where} denies a right: {clause(said)}. Run `batchord migrate`, which grants it; BATCHORD_OWNER_URL must "
            "name the role that owns the schema batchord. See docs/how-to/roles.md."
        )
    advice = advice_for(said) if isinstance(error, psycopg.OperationalError | psycopg.ProgrammingError) else None
    if advice is not None and not (isinstance(error, psycopg.OperationalError) and error.sqlstate):
        return ConfigurationError(f"{where} refuses the connection: {clause(said)}. In {variable}, {advice}.")
    if isinstance(error, PASSING):
        return TransientError(f"{where} failed: {said}")
    return ConfigurationError(f"{where} refuses: {said}")


def place(url: str, variable: str = VARIABLE) -> str:
    """Which database it is, for people: no password, and no option, which may hold one."""
    address = _address(url)
    host = address.host or address.query.get("host") or "the local socket"
    port = address.port or address.query.get("port")
    return (
        f"The ledger's database {address.database or ''} at {host}{f':{port}' if port else ''} "
        f"(user {address.username or 'by default'}, {variable})"
    )


def _address(url: str) -> "URL":
    # Here, not above: SQLAlchemy is more than half of a light command's start, and most meet no failure.
    from sqlalchemy.engine import make_url

    return make_url(url)


def _without_password(said: str, url: str) -> str:
    password = _address(url).password
    return masked(said, known=[str(password)] if password else [])
