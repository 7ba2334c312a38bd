"""A statement's errors, told as Batchord's, without the values that it was given."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from batchord.core.errors import BatchordError, ConfigurationError, SqlFailed, TransientError
from batchord.core.secrets.patterns import masked
from batchord.database.engine import shown
from batchord.database.failures import is_transient, refusal, said_by
from batchord.database.refusals import one_line

#: How the SQLSTATE of an error begins that the next attempt may not meet: connection, transaction rollback,
#: resources, operator intervention, system errors; a lock that was not to be had at once, an object in use.
_TRANSIENT_CLASSES = ("08", "40", "53", "57", "58", "55P03", "55006")
_IN_TRANSACTION = "25001"
_CALLED_SECRET = re.compile(r"password|passwd|secret|token|api_?key|access_?key", re.IGNORECASE)


@contextmanager
def connecting(url: sa.URL) -> Iterator[None]:
    """Raises ConfigurationError for an address that cannot be used, TransientError when nobody answers there."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        said, where = said_by(error, url), shown(url)
        if is_transient(error, said):
            raise TransientError(f"The step's database {where} does not answer: {said}") from None
        advice = refusal(error, said) or "correct the address"
        raise ConfigurationError(
            f"The step's database {where} cannot be used: {one_line(said)}. Next step: {advice}. The address is "
            "in the step's url=, in the variable of its url_env=, or, if it has neither, in BATCHORD_AUTHOR_URL or "
            "BATCHORD_DATABASE_URL."
        ) from None


@contextmanager
def executing(url: sa.URL, what: str, values: Mapping[str, Any]) -> Iterator[None]:
    """Raises SqlFailed or TransientError for what SQLAlchemy or a driver raises inside.

    Not chained: a database's details and SQLAlchemy's own words quote values of the statement.
    """
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise _translated(error, url, what, values) from None


def was_cancelled(error: sa.exc.SQLAlchemyError) -> bool:
    """Whether the server stopped the statement, for its time was over or because somebody asked it to."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == "57014"


def _translated(error: sa.exc.SQLAlchemyError, url: sa.URL, what: str, values: Mapping[str, Any]) -> BatchordError:
    said = masked(_said(error, url), known=_secrets(values))
    if is_transient(error, said, classes=_TRANSIENT_CLASSES):
        return TransientError(f"{what} was stopped by the database: {said}")
    advice = ""
    if getattr(getattr(error, "orig", None), "sqlstate", None) == _IN_TRANSACTION:
        advice = " A step's statements run in one transaction: use a Bash step with psql for this statement."
    return SqlFailed(f"{what} was refused: {said}{advice}")


def _said(error: sa.exc.SQLAlchemyError, url: sa.URL) -> str:
    """PostgreSQL's message and hint, not its detail, which quotes rows; other databases' message."""
    diagnosis = getattr(getattr(error, "orig", None), "diag", None)
    primary = getattr(diagnosis, "message_primary", None)
    if not primary:
        return said_by(error, url)
    hint = getattr(diagnosis, "message_hint", None)
    return f"{primary}. {hint}" if hint else f"{primary}."


def _secrets(values: Mapping[str, Any]) -> list[str]:
    return [value for name, value in values.items() if isinstance(value, str) and _CALLED_SECRET.search(name)]
