"""Writes into a table that may refuse a row, or not keep it.

An author's table has constraints and triggers; one of Batchord's own may have columns with a type that only PostgreSQL
knows well enough. A row that is refused costs its own record. It is found as the records are for which a model raises:
by halves.
"""

from collections.abc import Callable, Sequence

import psycopg

from batchord.core.declared.limits import MOST_RECORDS, MOST_SHARE
from batchord.core.errors import ConfigurationError, TableRefuses
from batchord.core.reasons import Reason
from batchord.core.run.records import Rejection, Scalar, record_key
from batchord.core.run.results import ResultsTable
from batchord.core.text.counts import counted
from batchord.core.text.error_text import clause
from batchord.ledger.connection import Connection

#: Writes the rows at these places of the batch; returns how many of them the table has then.
Write = Callable[[Sequence[int]], int]

#: The most characters of what the server says: a trigger may quote a whole row.
_MOST_DETAIL = 500
#: Classes of SQLSTATEs whose cause is no row: a lost connection, a deadlock, a server without space, a name that does
#: not exist, a right that is missing, and the like. A trigger may raise any other.
_NOT_THE_ROWS = ("08", "0A", "25", "26", "28", "34", "3D", "3F", "40", "42", "53", "55", "57", "58", "F0", "HV", "XX")


def attempt(connection: Connection, table: ResultsTable, write: Write, places: Sequence[int]) -> str | None:
    """Writes the rows, all or none. Returns None, or why the table refuses one of them.

    Raises ConfigurationError if it refuses any row, and what the server raises for other causes.
    """
    try:
        _write_all(connection, write, places)
    except _NotKept:
        return "a trigger or a rule of the table did not keep the row with its key and its writer"
    except psycopg.Error as error:
        if error.sqlstate is not None and not error.sqlstate.startswith(_NOT_THE_ROWS):
            return _words(error)
        if isinstance(error, psycopg.ProgrammingError | psycopg.NotSupportedError):
            raise ConfigurationError(
                f"Nothing can be written into {table.name}: PostgreSQL says: {_words(error)}. Change the table, its "
                "triggers or its rights; `batchord check` tries the table."
            ) from error
        raise
    return None


def write_isolating(
    connection: Connection,
    table: ResultsTable,
    keys: Sequence[Scalar],
    places: Sequence[int],
    *,
    write: Write,
    has_outcome: Callable[[int], bool],
) -> tuple[int, list[Rejection]]:
    """Writes the rows at ``places``, without those that the table refuses.

    Returns how many were written, and the rejections of the refused. ``has_outcome``: whether the record at a place has
    got an outcome meanwhile, so that its row is not refused but superfluous.

    Raises TableRefuses for more than a few refused rows of a table that the author has named, and as :func:`attempt`
    does.
    """
    written = 0
    refused: list[tuple[Scalar, str]] = []
    waiting = [list(places)] if places else []
    while waiting:
        part = waiting.pop()
        words = attempt(connection, table, write, part)
        if words is None:
            written += len(part)
        elif len(part) > 1:
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]  # a stack: the first half is taken first
        elif not has_outcome(part[0]):
            refused.append((keys[part[0]], words))
            if table.is_chosen and len(refused) > max(MOST_RECORDS, int(len(places) * MOST_SHARE)):
                raise _too_many(table, refused, len(places))
    if table.is_chosen and refused and not written and len(places) > 1:
        raise _too_many(table, refused, len(places))
    # In a table of Batchord's own, only the types of its columns refuse a row: the model is the cause.
    reason = Reason.REFUSED_BY_TABLE if table.is_chosen else Reason.UNFITTING_OUTPUT
    return written, [
        Rejection(key=key, reason=reason, detail=f"the table {table.name} refused it: {words}")
        for key, words in refused
    ]


def _write_all(connection: Connection, write: Write, places: Sequence[int]) -> None:
    with connection.transaction():
        if write(places) != len(places):
            raise _NotKept


class _NotKept(Exception):
    pass


def _too_many(table: ResultsTable, refused: Sequence[tuple[Scalar, str]], records: int) -> TableRefuses:
    key, words = refused[0]
    return TableRefuses(
        f"The table {table.name} refused at least {len(refused)} of {counted(records, 'prediction')} of a batch, and "
        f"none of the batch was written. The first is that of record {record_key(key)}: {words}. "
        "Change the table, or what the model returns."
    )


def _words(error: psycopg.Error) -> str:
    return clause((error.diag.message_primary or str(error))[:_MOST_DETAIL])
