"""The ledger for discovery: it reads frontiers, and writes a step's frontier and shards in one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from batchord.core.run.frontier import Candidate, Frontier
from batchord.core.run.leases import StepLease
from batchord.core.run.plans import Past, Plan
from batchord.core.run.records import Position, Scalar
from batchord.core.run.sizing import Rate
from batchord.ledger.accounted import accounted
from batchord.ledger.connection import Connection, Connections
from batchord.ledger.places import have_table, ready_table
from batchord.ledger.rates import RATES
from batchord.ledger.rows import one

_FRONTIER = """
    SELECT position, candidates FROM batchord.frontiers
    WHERE pipeline = %s AND step = %s AND source_digest = %s
"""
#: All that discovery asks the ledger before it scans, in one statement.
_PAST = f"""
    SELECT batchord.now() AS now, frontier.position, coalesce(frontier.candidates, '[]') AS candidates,
           (SELECT coalesce(jsonb_object_agg(step.run_id, step.state), '{{}}') FROM batchord.steps AS step
            WHERE step.name = %(step)s AND step.run_id IN (
                SELECT CAST(candidate ->> 'scanned_by' AS uuid)
                FROM jsonb_array_elements(frontier.candidates) AS candidate)) AS states,
           (SELECT coalesce(jsonb_agg(rate), '[]') FROM ({RATES}) AS rate) AS rates
    FROM (SELECT) AS always LEFT JOIN batchord.frontiers AS frontier
      ON frontier.pipeline = %(pipeline)s AND frontier.step = %(step)s AND frontier.source_digest = %(digest)s
"""
#: States of steps that have not ended.
_OPEN = {"pending", "ready", "planning", "running"}
#: One statement for the step, its attempt, the run, the frontier and all shards. psycopg's executemany() sends many
#: statements without waiting for an answer in between. PostgreSQL's limit on an idle session begins only after an
#: answer, so a process that was stopped there kept its locks for ever.
_PLAN = """
    WITH planned AS (
        UPDATE batchord.steps SET state = 'running', planned_at = batchord.now(), queue = %(queue)s,
            backlog_left = %(backlog)s, code = %(code)s, lease_token = NULL, lease_until = NULL, error = NULL
        WHERE run_id = %(run)s AND name = %(step)s AND lease_token = %(token)s AND state = 'planning'
        RETURNING run_id, name
    ), ended AS (
        UPDATE batchord.attempts AS attempt SET state = 'done', error = NULL, finished_at = batchord.now()
        FROM planned WHERE attempt.run_id = planned.run_id AND attempt.step = planned.name AND attempt.shard = -1
          AND attempt.state = 'running'
    ), pinned AS (
        UPDATE batchord.runs AS run SET models = models || %(pinned)s, discovered = discovered + %(records)s
        FROM planned WHERE run.id = planned.run_id AND run.state = 'running'
    ), frontier AS (
        INSERT INTO batchord.frontiers AS old (pipeline, step, source_digest, position, candidates, versions, moved_at)
        SELECT %(pipeline)s, %(step)s, %(digest)s, %(position)s, %(candidates)s, ARRAY[%(version)s], batchord.now()
        FROM planned
        ON CONFLICT (pipeline, step) DO UPDATE SET
            versions = ARRAY(SELECT DISTINCT unnest(old.versions || excluded.versions)),
            source_digest = excluded.source_digest, position = excluded.position, candidates = excluded.candidates,
            moved_at = CASE WHEN old.position IS DISTINCT FROM excluded.position THEN batchord.now()
                            ELSE old.moved_at END,
            updated_at = batchord.now()
        RETURNING cardinality(versions) AS versions
    ), added AS (
        -- A record that an earlier version predicted may move into a shard. Writing this version's prediction of it
        -- would raise no conflict. So shards are dense only as long as the step has had a single version.
        INSERT INTO batchord.shards (run_id, step, index, first_position, last_position, planned, discovered, dense)
        SELECT planned.run_id, planned.name, shard.index, shard.first, shard.last, shard.planned, shard.planned,
               shard.dense AND frontier.versions = 1
        FROM planned CROSS JOIN frontier CROSS JOIN jsonb_to_recordset(%(shards)s)
            AS shard (index int, first jsonb, last jsonb, planned bigint, dense boolean)
    )
    SELECT FROM planned
"""


class PlannerTables:
    """The ledger for discovery."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def accounted(self, pipeline: str, step: str, keys: Sequence[Scalar]) -> set[Scalar]:
        """The ``keys`` that have a prediction or a rejection from any version of the model."""
        with self._connections.transaction() as connection:
            return accounted(connection, pipeline, step, keys)

    def frontier(self, pipeline: str, step: str, source_digest: str) -> Frontier:
        """The step's frontier; a new one if the ledger has none for this digest of the source."""
        with self._connections.transaction() as connection:
            row = connection.execute(_FRONTIER, [pipeline, step, source_digest]).fetchone()
        return Frontier() if row is None else _frontier(row)

    def past(self, pipeline: str, step: str, *, source_digest: str, model_version: str) -> Past:
        """What planning must know of earlier runs, as it is now."""
        values = {"pipeline": pipeline, "step": step, "digest": source_digest, "version": model_version}
        with self._connections.transaction() as connection:
            row = one(connection.execute(_PAST, values).fetchone())
        frontier = _frontier(row)
        states: dict[str, str] = row["states"]
        scanned = {candidate.scanned_by for candidate in frontier.candidates if candidate.scanned_by is not None}
        return Past(
            now=row["now"],
            frontier=frontier,
            accounted_runs=frozenset(run for run, state in states.items() if state == "done"),
            # A run that was deleted from the ledger will never account for its records, so it counts as ended.
            ended_runs=frozenset(run for run in scanned if states.get(run) not in _OPEN),
            rates=[Rate(**rate) for rate in row["rates"]],
        )

    def plan(self, lease: StepLease, plan: Plan) -> bool:
        """Writes the shards and the frontier. If the lease is lost, it writes nothing and returns False.

        Before, it makes the table of the step's predictions if that is missing, and raises as
        :func:`.places.have_table` does.
        """
        place = (lease.pipeline, lease.step, plan.key, plan.into)
        with self._connections.transaction() as connection:
            # Nearly always the table is there, as the plan needs it.
            if not plan.shards or ready_table(connection, *place, outputs=plan.outputs) is not None:
                return _write(connection, lease, plan)
        have_table(self._connections, *place, outputs=plan.outputs)
        with self._connections.transaction() as connection:
            return _write(connection, lease, plan)


def _frontier(row: Mapping[str, Any]) -> Frontier:
    return Frontier(
        position=None if row["position"] is None else Position.from_json(row["position"]),
        candidates=tuple(Candidate.from_json(value) for value in row["candidates"]),
    )


def _write(connection: Connection, lease: StepLease, plan: Plan) -> bool:
    shards = [
        {
            "index": index,
            "first": shard.first.to_json(),
            "last": shard.last.to_json(),
            "planned": shard.planned,
            "dense": shard.dense,
        }
        for index, shard in enumerate(plan.shards)
    ]
    values = {
        "run": lease.run_id,
        "pipeline": lease.pipeline,
        "step": lease.step,
        "token": lease.token,
        "queue": plan.queue,
        "backlog": plan.backlog_left,
        "code": plan.code,
        "pinned": Jsonb({lease.step: plan.model_version}),
        "version": plan.model_version,
        "records": plan.records,
        "digest": plan.source_digest,
        "position": None if plan.frontier.position is None else Jsonb(plan.frontier.position.to_json()),
        "candidates": Jsonb([candidate.to_json() for candidate in plan.frontier.candidates]),
        "shards": Jsonb(shards),
    }
    return connection.execute(_PLAN, values).rowcount == 1
