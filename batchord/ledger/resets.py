"""Forgets the results of a pipeline's steps, in one transaction, while none of its runs is at work."""

from collections.abc import Sequence
from datetime import datetime

import psycopg
from psycopg import sql

from batchord.core.errors import ConfigurationError
from batchord.core.run.history import Change
from batchord.core.run.resets import StepResults
from batchord.core.run.results import ResultsTable
from batchord.core.run.run_ids import short_ids
from batchord.core.text.error_text import clause
from batchord.ledger.connection import Connection, Connections
from batchord.ledger.history import keep_change
from batchord.ledger.readable import readable
from batchord.ledger.results import all_tables, columns_of, place
from batchord.ledger.rows import one
from batchord.ledger.run_names import Neighbours

_RESULTS = """
    SELECT step, sum(predictions)::bigint AS predictions, sum(rejections)::bigint AS rejections,
           min(since) AS since, max(until) AS until, bool_or(has_frontier) AS has_frontier
    FROM (SELECT step, count(*) AS predictions, 0 AS rejections, min(predicted_at) AS since,
                 max(predicted_at) AS until, false AS has_frontier
          FROM batchord.earlier_predictions WHERE pipeline = %(pipeline)s GROUP BY step
          {own}
          UNION ALL
          SELECT step, 0, count(*), min(rejected_at), max(rejected_at), false
          FROM batchord.rejections WHERE pipeline = %(pipeline)s GROUP BY step
          UNION ALL
          SELECT step, 0, 0, NULL, NULL, true FROM batchord.frontiers WHERE pipeline = %(pipeline)s) AS result
    GROUP BY step ORDER BY step
"""
_OWN = """
    UNION ALL
    SELECT {step}, count(*), 0, min({predicted_at}), max({predicted_at}), false FROM {table}
    WHERE {writer} IS NOT NULL HAVING count(*) > 0
"""
_OPEN = "SELECT id::text AS id, state FROM batchord.runs WHERE pipeline = %(pipeline)s AND {condition} LIMIT 1"
_OPEN_NOW = _OPEN.format(condition="state IN ('queued', 'running')")
#: Also a run that has started and ended since: its plan took the results for there that are forgotten now.
_OPEN_SINCE = _OPEN.format(condition="state <> 'skipped' AND (finished_at IS NULL OR finished_at >= %(began)s)")
_TABLES = ("earlier_predictions", "rejections")
#: Nobody moves earlier rows of these steps meanwhile: whoever does skips steps whose row is locked. The current table
#: comes last, as for a plan that makes another one current.
_HOLD = """
    SELECT FROM batchord.results WHERE pipeline = %(pipeline)s AND step = ANY(%(steps)s)
    ORDER BY is_current, id FOR UPDATE
"""
_NO_EARLIER = """
    UPDATE batchord.results SET has_earlier = false, moving_from = NULL, moved_as = NULL, moved = 0, kept = 0
    WHERE pipeline = %(pipeline)s AND step = ANY(%(steps)s)
"""
#: An author's table may have rows of the author. They have no writer.
_DELETE_OWN = "DELETE FROM {table} WHERE {writer} IS NOT NULL"
_RESET = """
    INSERT INTO batchord.resets (pipeline, step) SELECT %(pipeline)s, unnest(%(steps)s::text[])
    ON CONFLICT (pipeline, step) DO UPDATE SET reset_at = excluded.reset_at
"""


class ResetQueries:
    """Forgets the results of steps."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def results(self, pipeline: str) -> list[StepResults]:
        """The results of each step of the pipeline that has any, by name. It reads all predictions of the ledger.

        Raises ConfigurationError if an author's table cannot be read.
        """
        with self._connections.transaction() as connection:
            tables = all_tables(connection, pipeline)
            own = sql.SQL("").join(
                sql.SQL(_OWN).format(step=sql.Literal(table.step), **_names(table)) for table in tables
            )
            query = sql.SQL(_RESULTS).format(own=own)
            with readable(tables):
                return [StepResults(**row) for row in connection.execute(query, {"pipeline": pipeline})]

    def check(self, pipeline: str) -> None:
        """Raises ConfigurationError if a run of the pipeline is queued or running."""
        with self._connections.transaction() as connection:
            _refuse_open(connection, pipeline)

    def reset(self, pipeline: str, steps: Sequence[str], *, change: Change | None = None) -> list[StepResults]:
        """Deletes the predictions, the rejections and the frontiers of the steps, and keeps the ``change``.

        Returns what was deleted, by step. It is one transaction: everything is deleted, or nothing.

        No earlier run can write a result afterwards. A run ends only after all its shards have ended, and a shard that
        has ended has no token, which every write checks. Nobody plans a step of a run that has ended, either.

        Raises ConfigurationError if a run of the pipeline is queued or running, or was so meanwhile.
        """
        values = {"pipeline": pipeline, "steps": list(steps)}
        with self._connections.transaction() as connection:
            began = one(connection.execute("SELECT batchord.now() AS now").fetchone())["now"]
            _refuse_open(connection, pipeline)
            # Millions of rows take minutes. The lock comes after that: a tick that waits for it holds a thread of the
            # control worker, and a few ticks would hold all of them. So a run may start meanwhile; then nothing is
            # deleted. Taking the lock first was rejected for that reason.
            connection.execute(_HOLD, values)
            counts = {table: _deleted(connection, table, pipeline, steps) for table in _TABLES}
            own = _deleted_own(connection, pipeline, steps)
            connection.execute(_NO_EARLIER, values)
            frontiers = connection.execute(
                "DELETE FROM batchord.frontiers WHERE pipeline = %(pipeline)s AND step = ANY(%(steps)s) RETURNING step",
                values,
            ).fetchall()
            # A retry locks in this order, too: rejections, frontiers, the pipeline.
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"batchord:{pipeline}"])
            _refuse_open(connection, pipeline, since=began)
            connection.execute(_RESET, values)
            forgotten = [
                StepResults(
                    step=step,
                    predictions=counts["earlier_predictions"][step] + own[step],
                    rejections=counts["rejections"][step],
                    has_frontier=any(row["step"] == step for row in frontiers),
                )
                for step in steps
            ]
            keep_change(
                connection,
                change,
                predictions=sum(each.predictions for each in forgotten),
                rejections=sum(each.rejections for each in forgotten),
            )
            return forgotten

    def times(self, pipeline: str) -> dict[str, datetime]:
        """When each step was last reset; only steps that were."""
        with self._connections.transaction() as connection:
            rows = connection.execute("SELECT step, reset_at FROM batchord.resets WHERE pipeline = %s", [pipeline])
            return {row["step"]: row["reset_at"] for row in rows}


def _deleted(connection: Connection, table: str, pipeline: str, steps: Sequence[str]) -> dict[str, int]:
    """Deletes the steps' rows; returns how many there were of each."""
    delete = f"DELETE FROM batchord.{table} WHERE pipeline = %s AND step = %s"
    return {step: connection.execute(delete, [pipeline, step]).rowcount for step in steps}


def _deleted_own(connection: Connection, pipeline: str, steps: Sequence[str]) -> dict[str, int]:
    """Deletes the predictions in the steps' own tables; returns how many there were of each step.

    Raises ConfigurationError if an author's table refuses it.
    """
    deleted = dict.fromkeys(steps, 0)
    for table in all_tables(connection, pipeline):
        if table.step in deleted:
            deleted[table.step] += _emptied(connection, table)
    return deleted


def _emptied(connection: Connection, table: ResultsTable) -> int:
    names = _names(table)
    try:
        return connection.execute(sql.SQL(_DELETE_OWN).format(table=names["table"], writer=names["writer"])).rowcount
    except (psycopg.IntegrityError, psycopg.ProgrammingError) as error:
        if not table.is_chosen:
            raise
        said = clause(error.diag.message_primary or str(error))
        raise ConfigurationError(
            f"The predictions in {table.name} cannot be deleted, so nothing was changed: PostgreSQL says: {said}. "
            "Change what refuses it, such as a foreign key to this table without ON DELETE, or the right to DELETE."
        ) from error


def _names(table: ResultsTable) -> dict[str, sql.Composable]:
    columns = columns_of(table)
    return {"table": place(table), "writer": columns["writer"], "predicted_at": columns["predicted_at"]}


def _refuse_open(connection: Connection, pipeline: str, *, since: datetime | None = None) -> None:
    query = _OPEN_NOW if since is None else _OPEN_SINCE
    run = connection.execute(query, {"pipeline": pipeline, "began": since}).fetchone()
    if run is None:
        return
    run_id = str(run["id"])
    short = short_ids(Neighbours(connection), [run_id])[run_id]
    if since is None:
        raise ConfigurationError(
            f"{pipeline} is at work: run {short} is {run['state']}. Nothing was changed. Wait for its end, or end "
            f"it with `batchord cancel {short}`; `batchord pause {pipeline}` keeps its schedule from starting the "
            "next one."
        )
    raise ConfigurationError(
        f"Run {short} of {pipeline} started meanwhile, so nothing was changed. Keep its schedule from starting "
        f"runs with `batchord pause {pipeline}`, wait for the end of the run, and reset {pipeline} again."
    )
