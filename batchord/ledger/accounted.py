"""Finds out which records have an outcome already, wherever it lies."""

from collections.abc import Sequence

from psycopg import sql

from batchord.core.run.records import Scalar, ledger_texts
from batchord.ledger.connection import Connection
from batchord.ledger.readable import readable
from batchord.ledger.results import find_tables, fitting_values, has_key, place, text_of_key

_ACCOUNTED_BY_TEXT = """
    SELECT record_key AS key FROM batchord.earlier_predictions
    WHERE pipeline = %(pipeline)s AND step = %(step)s AND record_key = ANY(%(keys)s::text[])
    UNION ALL
    SELECT record_key FROM batchord.rejections
    WHERE pipeline = %(pipeline)s AND step = %(step)s AND record_key = ANY(%(keys)s::text[])
"""


def accounted(connection: Connection, pipeline: str, step: str, keys: Sequence[Scalar]) -> set[Scalar]:
    """The ``keys`` that have a prediction or a rejection from any version of the model, in whichever table."""
    by_text = ledger_texts(keys)
    return {by_text[text] for text in accounted_texts(connection, pipeline, step, keys)}


def accounted_texts(connection: Connection, pipeline: str, step: str, keys: Sequence[Scalar]) -> list[str]:
    """The ledger's texts of those keys that have an outcome.

    Raises ConfigurationError if an author's table cannot be read: its predictions count.
    """
    tables = find_tables(connection, pipeline, step)
    query = sql.Composed([sql.SQL(_ACCOUNTED_BY_TEXT)])
    own = sql.SQL("SELECT {} AS key FROM {} AS row WHERE {} UNION ALL ")
    for table in tables:
        query = own.format(text_of_key(table), place(table), has_key(table)) + query
    values = {"pipeline": pipeline, "step": step, "keys": list(ledger_texts(keys)), **fitting_values(tables, keys)}
    with readable(tables):
        return [row["key"] for row in connection.execute(query, values)]
