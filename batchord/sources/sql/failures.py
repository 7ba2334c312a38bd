"""Turns a source's errors into Batchord's, which say what the database reported and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from batchord.core.errors import BatchordError, ConfigurationError, TransientError
from batchord.core.secrets.patterns import masked
from batchord.core.text.error_text import clause
from batchord.database.engine import shown
from batchord.database.failures import is_away, is_of_the_data, is_transient, lacks_memory, refusal, said_by
from batchord.database.refusals import one_line

#: Where a person finds the address.
_ADDRESS = (
    "in the source's url=, in the variable of its url_env=, or, if it has neither, in BATCHORD_SOURCE_URL or "
    "BATCHORD_DATABASE_URL."
)


class UnreadableValue(ConfigurationError):
    """A value of the query cannot be read. Without its record, the query may work."""

    def __init__(self, message: str, *, said: str) -> None:
        super().__init__(message)
        #: The message of the database or its driver about the value.
        self.said = said


@contextmanager
def translated(url: sa.URL) -> Iterator[None]:
    """Raises ConfigurationError or TransientError for errors of SQLAlchemy or a driver in the block.

    Raises UnreadableValue if a value is the cause, so that the query may work for fewer records. The message has the
    database's own words, with the line of the SQL if the database names it, and never the password of ``url``. Raises
    MemoryError if this process has no room for the result.
    """
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        if lacks_memory(error):
            raise MemoryError(said_by(error, url)) from error
        raise _translate(error, url) from error


def one_reason(error: BatchordError) -> str:
    """The database's own reason for an error that :func:`translated` raised, in one line."""
    cause = error.__cause__
    said = str(cause.orig if isinstance(cause, sa.exc.DBAPIError) else cause or error)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    hints = [line for line in lines[1:] if line.startswith("HINT")]
    return masked(clause("; ".join([*lines[:1], *(" ".join(hint.split()) for hint in hints)])))


def _translate(error: sa.exc.SQLAlchemyError, url: sa.URL) -> BatchordError:
    said = said_by(error, url)
    where = shown(url)
    if is_transient(error, said):
        if is_away(error):
            said = f"{clause(one_line(said))}. Start it, or correct its address, which is {_ADDRESS}"
        return TransientError(f"The source's database {where} does not answer: {said}")
    if advice := refusal(error, said):
        return ConfigurationError(
            f"The source's database {where} refuses the connection: {one_line(said)}. Next step: {advice}. "
            f"The address is {_ADDRESS}"
        )
    message = (
        f"The source's database {where} refuses the query: {said}\n"
        "Correct the source's sql, its key= or arrival=, or the rights of its user, and try it with `batchord plan`."
    )
    return UnreadableValue(message, said=said) if is_of_the_data(error) else ConfigurationError(message)
