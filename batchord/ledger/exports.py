"""Reads the predictions of a step that are served now, row by row, as of one moment."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from batchord.core.errors import ConfigurationError
from batchord.core.run.exported import COLUMNS, KEY, Column, ColumnType, Wanted, column_of
from batchord.core.run.output_types import OutputType
from batchord.core.text.error_text import clause
from batchord.core.text.sql_text import NO_CONDITION, POSTGRESQL, is_condition
from batchord.ledger.connection import Connection, Connections
from batchord.ledger.failures import PASSING
from batchord.ledger.readable import readable
from batchord.ledger.results import find_tables, outputs_of, rows_of_step
from batchord.ledger.rows import one

#: The frontier knows the steps of earlier releases whose runs were pruned, the runs those whose source has no frontier.
_STEPS = """
    SELECT step FROM batchord.results WHERE pipeline = %(pipeline)s
    UNION
    SELECT step FROM batchord.frontiers WHERE pipeline = %(pipeline)s
    UNION
    SELECT step.name FROM batchord.steps AS step JOIN batchord.runs AS run ON run.id = step.run_id
    WHERE run.pipeline = %(pipeline)s AND step.kind = 'predict'
    ORDER BY step
"""
#: Positions keep the type of the source's key, which the texts of predictions do not show: [arrival, key].
_KEYS_ARE_NUMBERS = """
    SELECT coalesce(
        (SELECT jsonb_typeof(position -> 1) FROM batchord.frontiers
         WHERE pipeline = %(pipeline)s AND step = %(step)s AND position IS NOT NULL),
        (SELECT jsonb_typeof(shard.first_position -> 1)
         FROM batchord.shards AS shard JOIN batchord.runs AS run ON run.id = shard.run_id
         WHERE run.pipeline = %(pipeline)s AND shard.step = %(step)s ORDER BY run.created_at DESC LIMIT 1)
    ) IS NOT DISTINCT FROM 'number' AS are
"""
#: Whole numbers of 64 bits, written as PostgreSQL writes them. A source may have had other keys earlier.
_INTEGER = "^(0|-?[1-9][0-9]{0,17})$"
#: OFFSET 0: PostgreSQL tries the person's condition only on these rows. The step's own table is read, not the view over
#: all steps: a plan that shows a new table in the view must not wait for an export.
_ROWS = sql.SQL("(SELECT * FROM ({}) AS row OFFSET 0) AS prediction")
_TYPES = {
    ColumnType.TEXT: "text",
    ColumnType.INTEGER: "int8",
    ColumnType.NUMBER: "float8",
    ColumnType.SINGLE: "float4",
    ColumnType.DECIMAL: "text",
    ColumnType.BOOLEAN: "bool",
    ColumnType.DATE: "date",
    ColumnType.TIME: "timestamptz",
    ColumnType.JSON: "text",
}


class ConditionRefused(ConfigurationError):
    """PostgreSQL refuses a person's condition, or it is more than a condition."""


class ReadPredictions:
    """The wanted predictions as of one moment.

    Raises ConfigurationError if an author's table cannot be read, and for a condition that cannot be used.
    """

    def __init__(self, connection: Connection, wanted: Wanted) -> None:
        self._connection = connection
        self._wanted = wanted
        tables = find_tables(connection, wanted.pipeline, wanted.step)
        self._outputs = outputs_of(tables)
        rows = rows_of_step(wanted.pipeline, wanted.step, tables, newest=True, outputs=self._outputs)
        self._from = _ROWS.format(rows)
        with readable(tables):  # before a condition is found wrong
            connection.execute(sql.SQL("SELECT FROM {} LIMIT 0").format(self._from))
        if wanted.where is not None:
            self._check(wanted.where)
        values = {"pipeline": wanted.pipeline, "step": wanted.step}
        numbers = one(connection.execute(_KEYS_ARE_NUMBERS, values).fetchone())["are"]
        measured = self._measured()
        #: How many rows there are.
        self.rows: int = measured["rows"]
        self._key = ColumnType.INTEGER if numbers and measured["integers"] else ColumnType.TEXT

    def columns(self, names: Sequence[str]) -> list[Column]:
        """The columns with these names; :data:`.KEY` is an integer if all keys are, as the source's are."""
        return [Column(name=KEY, type=self._key) if name == KEY else column_of(name, self._outputs) for name in names]

    def each(self, columns: Sequence[Column]) -> Iterator[tuple[Any, ...]]:
        """The rows one after the other, by their keys' texts. Few of them are in memory at a time.

        The values are None, str, int, float, bool, date, an aware datetime in UTC, or a list of such.
        """
        types = [f"{_TYPES[column.type]}{'[]' if column.is_list else ''}" for column in columns]
        shown = [
            sql.SQL("{}::{}").format(sql.Identifier(column.name), sql.SQL(kind))
            for column, kind in zip(columns, types, strict=True)
        ]
        # COPY sends the rows as fast as they are read. A cursor's FETCH would wait between two portions, and the server
        # ends a transaction that waits for too long, as while somebody reads a page of the output.
        query = sql.SQL("COPY ({} ORDER BY record_key) TO STDOUT").format(self._select(sql.SQL(", ").join(shown)))
        with self._reading(), self._connection.cursor() as cursor, cursor.copy(query) as copy:
            copy.set_types(types)
            yield from copy.rows()

    def _measured(self) -> dict[str, Any]:
        what = sql.SQL("count(*) AS rows, coalesce(bool_and(record_key ~ {}), false) AS integers").format(_INTEGER)
        with self._reading():
            return one(self._connection.execute(self._select(what)).fetchone())

    def _select(self, what: sql.Composable) -> sql.Composed:
        select = sql.SQL("SELECT {} FROM {}").format(what, self._from)
        conditions: list[sql.Composable] = []
        if self._wanted.where is not None:
            conditions.append(_condition(self._wanted.where))
        if self._wanted.since is not None:
            conditions.append(sql.SQL("predicted_at >= {}").format(self._wanted.since))
        if not conditions:
            return select
        return sql.SQL("{} WHERE {}").format(select, sql.SQL(" AND ").join(conditions))

    def _check(self, where: str) -> None:
        """Raises ConditionRefused for a condition that PostgreSQL cannot parse, or that is more than a condition."""
        if not is_condition(where, POSTGRESQL):
            raise ConditionRefused(f"{where!r} {NO_CONDITION}")
        before = sql.SQL("SELECT FROM {} WHERE ").format(self._from)
        try:
            self._connection.execute(before + _condition(where) + sql.SQL(" LIMIT 0"))
        except psycopg.Error as error:
            if _is_passing(error):
                raise
            # As PostgreSQL counts: from 1 in the statement, the parenthesis and the line end behind it included.
            place = int(error.diag.statement_position or 0) - len(before.as_string(self._connection)) - 2
            at = f" at character {place}" if 1 <= place <= len(where) else " at its end" if place > 0 else ""
            raise self._refused(where, error, at) from None

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Raises ConditionRefused for an error that the condition causes with the values of a row."""
        try:
            yield
        except psycopg.Error as error:
            if self._wanted.where is None or _is_passing(error):
                raise
            raise self._refused(self._wanted.where, error, "") from None

    def _refused(self, where: str, error: psycopg.Error, at: str) -> ConditionRefused:
        said = error.diag.message_primary or str(error)
        hint = f". {error.diag.message_hint}" if error.diag.message_hint else ""
        return ConditionRefused(
            f"{where!r} cannot be used: PostgreSQL says{at}: {clause(said + hint)}. The columns are: "
            f"{', '.join([*COLUMNS, *self._outputs])}."
        )


class Exports:
    """For files of predictions."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def steps(self, pipeline: str) -> list[str]:
        """The names of the pipeline's steps that have ever predicted something, as far as the ledger knows."""
        with self._connections.transaction() as connection:
            return [row["step"] for row in connection.execute(_STEPS, {"pipeline": pipeline})]

    def outputs(self, pipeline: str, step: str) -> Mapping[str, OutputType]:
        """The columns for keys of the step's output, in any of its tables."""
        with self._connections.transaction() as connection:
            return outputs_of(find_tables(connection, pipeline, step))

    @contextmanager
    def reading(self, wanted: Wanted) -> Iterator[ReadPredictions]:
        """The wanted predictions, as they were at the beginning of the block. Runs go on undisturbed.

        Raises ConditionRefused, also from within the block.
        """
        with self._connections.snapshot() as connection:
            yield ReadPredictions(connection, wanted)


def _condition(where: str) -> sql.SQL:
    return sql.SQL(f"(\n{where}\n)")  # the line ends end a "--" comment


def _is_passing(error: psycopg.Error) -> bool:
    """Whether the server is the cause. What a condition must not do, such as writing, is an error of the condition."""
    return isinstance(error, PASSING) and not isinstance(error, psycopg.errors.ReadOnlySqlTransaction)
