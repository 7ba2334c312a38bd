"""Turns a statement's errors into Batchord's, without the values of its parameters."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from batchord.core.errors import BatchordError, ConfigurationError, SqlFailed, TransientError
from batchord.core.secrets.patterns import masked
from batchord.core.text.error_text import clause
from batchord.database.engine import shown
from batchord.database.failures import is_away, is_transient, refusal, said_by
from batchord.database.refusals import one_line

#: Beginnings of the SQLSTATEs of errors that may pass before the next attempt: connection, transaction rollback,
#: resources, operator intervention, system errors; a lock that was not free at once, an object in use.
_TRANSIENT_CLASSES = ("08", "40", "53", "57", "58", "55P03", "55006")
#: Where a person finds the address.
_ADDRESS = (
    "in the step's url=, in the variable of its url_env=, or, if it has neither, in BATCHORD_AUTHOR_URL or "
    "BATCHORD_DATABASE_URL."
)
_IN_TRANSACTION = "25001"
_CALLED_SECRET = re.compile(r"password|passwd|secret|token|api_?key|access_?key", re.IGNORECASE)


@contextmanager
def connecting(url: sa.URL) -> Iterator[None]:
    """Raises ConfigurationError if the address cannot be used, TransientError if the database does not answer."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        message, where = said_by(error, url), shown(url)
        if is_transient(error, message):
            if is_away(error):
                message = f"{clause(one_line(message))}. Start it, or correct its address, which is {_ADDRESS}"
            raise TransientError(f"The step's database {where} does not answer: {message}") from None
        advice = refusal(error, message) or "correct the address"
        raise ConfigurationError(
            f"The step's database {where} cannot be used: {one_line(message)}. Next step: {advice}. The address is "
            f"{_ADDRESS}"
        ) from None


@contextmanager
def executing(url: sa.URL, what: str, values: Mapping[str, Any]) -> Iterator[None]:
    """Raises SqlFailed or TransientError for errors of SQLAlchemy or a driver in the block.

    The error is not chained: the database's details and SQLAlchemy's own message quote values of the statement.
    """
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise _translated(error, url, what, values) from None


def was_cancelled(error: sa.exc.SQLAlchemyError) -> bool:
    """Whether the server stopped the statement, because its time was over or somebody asked for that."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == "57014"


def _translated(error: sa.exc.SQLAlchemyError, url: sa.URL, what: str, values: Mapping[str, Any]) -> BatchordError:
    message = masked(_message_of(error, url), known=_secrets(values))
    if is_transient(error, message, classes=_TRANSIENT_CLASSES):
        return TransientError(f"{what} was stopped by the database: {message}")
    advice = ""
    if getattr(getattr(error, "orig", None), "sqlstate", None) == _IN_TRANSACTION:
        advice = " A step's statements run in one transaction: use a Bash step with psql for this statement."
    return SqlFailed(f"{what} was refused: {message}{advice}")


def _message_of(error: sa.exc.SQLAlchemyError, url: sa.URL) -> str:
    """PostgreSQL's message and hint, without its detail, which quotes rows; another database's whole message."""
    diagnosis = getattr(getattr(error, "orig", None), "diag", None)
    primary = getattr(diagnosis, "message_primary", None)
    if not primary:
        return said_by(error, url)
    hint = getattr(diagnosis, "message_hint", None)
    return f"{primary}. {hint}" if hint else f"{primary}."


def _secrets(values: Mapping[str, Any]) -> list[str]:
    return [value for name, value in values.items() if isinstance(value, str) and _CALLED_SECRET.search(name)]
