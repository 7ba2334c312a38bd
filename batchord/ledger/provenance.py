"""Where the ledger's outcome of one record comes from, and which runs may still meet the record."""

from collections.abc import Sequence
from typing import Any

from psycopg import sql

from batchord.core.run.provenance import AttemptAtShard, Outcome, ShardOfStep, StepOfRun
from batchord.core.run.records import Position
from batchord.core.run.runs import RunState, StepState
from batchord.ledger.connection import Connections
from batchord.ledger.readable import readable
from batchord.ledger.results import find_tables, fitting_values_of_texts, rows_of_step
from batchord.ledger.rows import turn

_PREDICTIONS = """
    SELECT old.record_key, old.model_version, old.run_id::text, run.kind, run.trigger, run.slot, old.shard, old.attempt,
           shard.attempt AS attempts, attempt.worker, old.input_digest, step.code, step.planned_at AS discovered_at,
           old.predicted_at AS at, NULL AS reason, NULL AS detail, old.label, old.score
    FROM ({}) AS old
    LEFT JOIN batchord.runs AS run ON run.id = old.run_id
    LEFT JOIN batchord.steps AS step ON step.run_id = old.run_id AND step.name = old.step
    LEFT JOIN batchord.shards AS shard
           ON shard.run_id = old.run_id AND shard.step = old.step AND shard.index = old.shard
    LEFT JOIN batchord.attempts AS attempt
           ON attempt.run_id = old.run_id AND attempt.step = old.step AND attempt.shard = old.shard
          AND attempt.attempt = old.attempt
    ORDER BY old.predicted_at DESC, old.model_version
"""
_REJECTIONS = """
    SELECT old.record_key, old.model_version, old.run_id::text, run.kind, run.trigger, run.slot, old.shard,
           old.attempts AS attempt, shard.attempt AS attempts, attempt.worker, NULL::bigint AS input_digest, step.code,
           step.planned_at AS discovered_at, old.rejected_at AS at, old.reason, old.detail, NULL AS label,
           NULL::float8 AS score
    FROM batchord.rejections AS old
    LEFT JOIN batchord.runs AS run ON run.id = old.run_id
    LEFT JOIN batchord.steps AS step ON step.run_id = old.run_id AND step.name = old.step
    LEFT JOIN batchord.shards AS shard
           ON shard.run_id = old.run_id AND shard.step = old.step AND shard.index = old.shard
    LEFT JOIN batchord.attempts AS attempt
           ON attempt.run_id = old.run_id AND attempt.step = old.step AND attempt.shard = old.shard
          AND attempt.attempt = old.attempts
    WHERE old.pipeline = %(pipeline)s AND old.step = %(step)s AND old.record_key = ANY(%(keys)s)
    ORDER BY old.rejected_at DESC, old.model_version
"""
_ATTEMPTS = """
    SELECT attempt, worker, state, cause, error FROM batchord.attempts
    WHERE run_id = %s AND step = %s AND shard = %s ORDER BY attempt
"""
_STEP_OF_RUN = """
    run.id::text AS run_id, run.state AS run_state, run.trigger, run.created_at, run.full_scan, run.window_start,
    run.window_end, step.state, step.after, step.backlog_left, step.planned_at, step.error
"""
_OPEN = f"""
    SELECT {_STEP_OF_RUN}
    FROM batchord.runs AS run JOIN batchord.steps AS step ON step.run_id = run.id AND step.name = %(step)s
    WHERE run.pipeline = %(pipeline)s AND run.state IN ('queued', 'running')
    ORDER BY run.state = 'queued', {turn("run")}
"""
_ENDED = f"""
    SELECT {_STEP_OF_RUN}
    FROM batchord.runs AS run JOIN batchord.steps AS step ON step.run_id = run.id AND step.name = %(step)s
    WHERE run.pipeline = %(pipeline)s AND run.state NOT IN ('queued', 'running', 'skipped') AND NOT step.reused
    ORDER BY run.created_at DESC LIMIT %(limit)s
"""
_SHARDS = """
    SELECT index, parent, first_position, last_position, state, attempt, worker, error FROM batchord.shards
    WHERE run_id = %s AND step = %s ORDER BY index
"""


class ProvenanceQueries:
    """Reads what the ledger knows of one record. Every query uses an index on the record's key or on its run."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def outcomes(self, pipeline: str, step: str, keys: Sequence[str]) -> list[Outcome]:
        """The predictions of a record, then its rejections, the newest first. ``keys``: the ledger's texts of its key.

        A record has one outcome at most, unless somebody wrote into the ledger against the rules.

        Raises ConfigurationError if an author's table cannot be read.
        """
        values: dict[str, Any] = {"pipeline": pipeline, "step": step, "keys": list(keys)}
        with self._connections.transaction() as connection:
            tables = find_tables(connection, pipeline, step)
            values |= fitting_values_of_texts(tables, keys)
            predictions = sql.SQL(_PREDICTIONS).format(rows_of_step(pipeline, step, tables, by_keys=True))
            with readable(tables):
                rows = connection.execute(predictions, values).fetchall()
            rows += connection.execute(_REJECTIONS, values).fetchall()
        return [Outcome(**row) for row in rows]

    def attempts(self, run_id: str, step: str, shard: int) -> list[AttemptAtShard]:
        """The attempts at a shard, the first one first; empty if its run was pruned."""
        return [AttemptAtShard(**row) for row in self._rows(_ATTEMPTS, [run_id, step, shard])]

    def open_runs(self, pipeline: str, step: str) -> list[StepOfRun]:
        """The step in each run that is at work, then in each that waits, in the order in which they will start."""
        return self._steps(_OPEN, {"pipeline": pipeline, "step": step})

    def ended_runs(self, pipeline: str, step: str, *, limit: int) -> list[StepOfRun]:
        """The step in the newest runs that have ended, the newest first."""
        return self._steps(_ENDED, {"pipeline": pipeline, "step": step, "limit": limit})

    def shards(self, run_id: str, step: str) -> list[ShardOfStep]:
        """The shards of a step of a run, by index."""
        rows = self._rows(_SHARDS, [run_id, step])
        return [
            ShardOfStep(
                **{name: row[name] for name in ("index", "parent", "state", "attempt", "worker", "error")},
                first=Position.from_json(row["first_position"]),
                last=Position.from_json(row["last_position"]),
            )
            for row in rows
        ]

    def _steps(self, query: str, values: Any) -> list[StepOfRun]:
        return [
            StepOfRun(
                **{
                    **row,
                    "run_state": RunState(row["run_state"]),
                    "state": StepState(row["state"]),
                    "after": tuple(row["after"]),
                }
            )
            for row in self._rows(query, values)
        ]

    def _rows(self, query: str, values: Any) -> list[dict[str, Any]]:
        with self._connections.transaction() as connection:
            return connection.execute(query, values).fetchall()
