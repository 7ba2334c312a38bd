"""Reads the tables of predictions, of which authors may rename or alter some at any time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg

from batchord.core.errors import ConfigurationError
from batchord.core.run.results import ResultsTable
from batchord.core.text.error_text import clause


@contextmanager
def readable(tables: Sequence[ResultsTable]) -> Iterator[None]:
    """The block reads these tables of one pipeline.

    Raises ConfigurationError, which says what to do, if the author's table or a column of it is gone, or may not be
    read. Without this, the error would be one of the ledger's own schema.
    """
    try:
        yield
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.InsufficientPrivilege,
    ) as error:
        chosen = [table for table in tables if table.is_chosen]
        if not chosen:
            raise
        whose, names = _whose(chosen), " or ".join(str(table.name) for table in chosen)
        if isinstance(error, psycopg.errors.UndefinedTable):
            raise ConfigurationError(
                f"A table with predictions of {whose} was renamed or dropped ({names}): "
                "give it its name back. To do without its predictions, see docs/how-to/use-predictions.md."
            ) from error
        raise ConfigurationError(
            f"The predictions of {whose} cannot be read from {names}: PostgreSQL says: "
            f"{clause(error.diag.message_primary or str(error))}. Take back the change of the table or of its rights."
        ) from error


def _whose(tables: Sequence[ResultsTable]) -> str:
    steps = " or ".join(dict.fromkeys(table.step for table in tables))
    return f"step {steps} of {tables[0].pipeline}"
