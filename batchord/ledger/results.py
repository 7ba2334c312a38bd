"""The tables of predictions: finds a step's table, has it made, and writes SQL over its rows.

No name of a table or a column holds a ``%``, which would begin the place of a value.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from batchord.core.errors import ConfigurationError, TransientError
from batchord.core.run.key_columns import KeyColumn, takes, unfitting, widens
from batchord.core.run.records import Scalar, record_key
from batchord.core.run.results import ResultsTable
from batchord.ledger.connection import Connection, Connections
from batchord.ledger.rows import one

_COLUMNS = "id, pipeline, step, schema_name, table_name, key_column, key_type, has_text, columns, has_earlier"
_FIND = f"SELECT {_COLUMNS} FROM batchord.results WHERE pipeline = %s AND step = %s"
_ALL = (
    f"SELECT {_COLUMNS} FROM batchord.results WHERE %(pipeline)s::text IS NULL OR pipeline = %(pipeline)s ORDER BY id"
)
_MAKE = "SELECT batchord.make_results(%s, %s, %s, %s)"
#: Today's columns of ``batchord.predictions``, which people know.
_ROW = """
    SELECT {pipeline} AS pipeline, {step} AS step, {record_key} AS record_key, writer.model_version,
           row.{label} AS label, row.{score} AS score, row.{output} AS output, writer.run_id, writer.shard,
           writer.attempt, row.{input_digest} AS input_digest, row.{predicted_at} AS predicted_at
    FROM {table} AS row LEFT JOIN batchord.writers AS writer ON writer.id = row.{writer}
"""
_EARLIER_ROW = """
    SELECT pipeline, step, record_key, model_version, label, score, output, run_id, shard, attempt, input_digest,
           predicted_at
    FROM batchord.earlier_predictions WHERE pipeline = {pipeline} AND step = {step}
"""
#: The writers of a step of a run, with the table into which they write.
_WRITERS_OF_RUN = """
    SELECT to_jsonb(place) AS place, array_agg(writer.id) AS writers
    FROM batchord.writers AS writer JOIN batchord.results AS place ON place.id = writer.results
    WHERE writer.run_id = %(run)s AND place.step = %(step)s GROUP BY place.id
"""
_ROW_OF_RUN = """
    SELECT {label} AS label, {score} AS score, {output} AS output FROM {table}
    WHERE {writer} BETWEEN %(from)s AND %(to)s AND {writer} = ANY(%(writers)s)
"""
_EARLIER_OF_RUN = """
    SELECT label, score, output FROM batchord.earlier_predictions WHERE run_id = %(run)s AND step = %(step)s
"""


def find_table(connection: Connection, pipeline: str, step: str) -> ResultsTable | None:
    """The table of a step's predictions; None if the step has none, because it was never planned by this release."""
    row = connection.execute(_FIND, [pipeline, step]).fetchone()
    return None if row is None else ResultsTable(**row)


def all_tables(connection: Connection, pipeline: str | None = None) -> list[ResultsTable]:
    """The tables of all steps of the pipeline, or of all pipelines."""
    return [ResultsTable(**row) for row in connection.execute(_ALL, {"pipeline": pipeline})]


def table_from(row: Mapping[str, Any]) -> ResultsTable:
    """The table of a row of ``batchord.results`` in the form of JSON."""
    return ResultsTable(**{name: row[name] for name in ResultsTable.__dataclass_fields__})


def have_table(connections: Connections, pipeline: str, step: str, key: KeyColumn) -> ResultsTable:
    """The table for predictions of records with such keys. It is made if it is missing.

    Raises ConfigurationError if the table holds predictions with keys of another type, and TransientError if somebody
    reads the views so long that they cannot be made anew now.
    """
    with connections.transaction() as connection:
        table = find_table(connection, pipeline, step)
        if table is not None and takes(table.key_type, key.type):
            return table
        if table is not None and not widens(table.key_type, key.type):
            _refuse_if_filled(connection, table, key)
    # A transaction of its own: it locks a view, which everybody reads.
    with connections.transaction() as connection:
        try:
            connection.execute(_MAKE, [pipeline, step, key.name, key.type])
        except psycopg.errors.LockNotAvailable as error:
            raise TransientError(
                f"The table for predictions of step {step} of {pipeline} cannot be made now: it must be shown in the "
                "view batchord.predictions, which somebody has been reading for seconds."
            ) from error
        return ResultsTable(**one(connection.execute(_FIND, [pipeline, step]).fetchone()))


def _refuse_if_filled(connection: Connection, table: ResultsTable, key: KeyColumn) -> None:
    filled = connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(place(table))).fetchone()
    if filled is None:
        return
    raise ConfigurationError(
        f"The source of step {table.step} has keys of type {key.type}, but {table.schema_name}.{table.table_name} "
        f"holds predictions with keys of type {table.key_type}. Convert the key in the source, or give the step a new "
        f"name, or forget these predictions with `batchord reset {table.pipeline} --step {table.step}`."
    )


def place(table: ResultsTable) -> sql.Identifier:
    """The table's name with its schema."""
    return sql.Identifier(table.schema_name, table.table_name)


def columns_of(table: ResultsTable) -> dict[str, sql.Identifier]:
    """The names of the table's columns besides the key, by what they hold."""
    return {held: sql.Identifier(name) for held, name in table.columns.items()}


def text_of_key(table: ResultsTable) -> sql.Composed:
    """The ledger's text for the key of a row with the alias ``row``."""
    if table.has_text:
        return sql.SQL("row.{}").format(columns_of(table)["record_key"])
    return sql.SQL("row.{}::text").format(sql.Identifier(table.key_column))


def has_key(table: ResultsTable) -> sql.Composed:
    """The condition that a row with the alias ``row`` has one of ``%(fitting)s``; by index.

    These are texts of :func:`texts_of_fitting`.
    """
    column, kind = (table.columns["record_key"], "text") if table.has_text else (table.key_column, table.key_type)
    return sql.SQL("row.{} = ANY(%(fitting)s::{}[])").format(sql.Identifier(column), sql.SQL(kind))


def texts_of_fitting(table: ResultsTable | None, keys: Sequence[Scalar]) -> list[str]:
    """The ledger's texts of those keys that the table can hold; without a table, none."""
    if table is None:
        return []
    wrong = unfitting(keys, table.key_type)
    return [record_key(key) for key in keys if key not in wrong] if wrong else [record_key(key) for key in keys]


def rows_of_step(
    pipeline: str, step: str, table: ResultsTable | None, *, by_keys: bool = False, newest: bool = False
) -> sql.Composed:
    """A query for all predictions of a step, wherever they lie, with the columns of ``batchord.predictions``.

    Args:
        pipeline: The pipeline's name.
        step: The step's name.
        table: The step's table, if it has one.
        by_keys: Only those with ``%(fitting)s`` in the table, and with ``%(keys)s`` in that of earlier predictions.
            The values ``%(pipeline)s`` and ``%(step)s`` are needed, too; otherwise the query has no values.
        newest: Only the newest of each record.
    """
    names: dict[str, sql.Composable] = {
        "pipeline": sql.SQL("%(pipeline)s::text") if by_keys else sql.Literal(pipeline),
        "step": sql.SQL("%(step)s::text") if by_keys else sql.Literal(step),
    }
    earlier = sql.SQL(_EARLIER_ROW).format(**names)
    if by_keys:
        earlier += sql.SQL(" AND record_key = ANY(%(keys)s::text[])")
    if newest:
        earlier = sql.SQL(
            "SELECT * FROM (SELECT DISTINCT ON (record_key) * FROM ({}) AS old ORDER BY record_key, predicted_at DESC) "
            "AS newest"
        ).format(earlier)
    if table is None:
        return earlier
    own = sql.SQL(_ROW).format(**names, **_without_key(table), record_key=text_of_key(table), table=place(table))
    if by_keys:
        own += sql.SQL(" WHERE ") + has_key(table)
    return sql.SQL("{} UNION ALL {}").format(own, earlier) if table.has_earlier else own


def rows_of_run(connection: Connection, run_id: str, step: str) -> tuple[sql.Composed, dict[str, Any]]:
    """Label, score and output of all predictions of a step of a run, as a subquery and its values."""
    values: dict[str, Any] = {"run": run_id, "step": step}
    written = connection.execute(_WRITERS_OF_RUN, values).fetchone()
    earlier = sql.SQL(_EARLIER_OF_RUN)
    if written is None:
        return sql.SQL("({})").format(earlier), values
    table = table_from(written["place"])
    # All numbers of a run's writers lie in one narrow range: the index finds their pages by its ends.
    values |= {"writers": written["writers"], "from": min(written["writers"]), "to": max(written["writers"])}
    own = sql.SQL(_ROW_OF_RUN).format(**_without_key(table), table=place(table))
    return sql.SQL("({} UNION ALL {})").format(own, earlier) if table.has_earlier else sql.SQL("({})").format(
        own
    ), values


def _without_key(table: ResultsTable) -> dict[str, sql.Identifier]:
    return {held: name for held, name in columns_of(table).items() if held != "record_key"}
